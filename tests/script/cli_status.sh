#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Exit statuses and the sentences that go with them.
set -uo pipefail

guests=$BUILD/guests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
exit_port=(-device "isa-debug-exit,iobase=0xf4,iosize=4")

for guest in hello32 triple_fault halt_if0 fault_loop; do
    if [ ! -f "$guests/$guest.elf" ]; then
        echo "$guests/$guest.elf was not built"
        exit 1
    fi
done

complain() {
    echo "$1"
    sed 's/^/    /' "$work/err"
    bad=1
}

# expect STATUS PATTERN ARGUMENTS...: the run ends so, and a line of its standard error matches.
expect() {
    local status=$1 pattern=$2 rc=0
    shift 2
    timeout 60 "$IRQSCOPE" "$@" </dev/null >"$work/out" 2>"$work/err" || rc=$?
    [ "$rc" -eq "$status" ] || complain "irqscope $*: status $rc, not $status"
    grep -qE -- "$pattern" "$work/err" || complain "irqscope $*: no line like '$pattern'"
}

expect 0 '^irqscope: power-off at main' run
expect 0 '^irqscope: tour: ELF32, multiboot 1, entry _start; pc, 128 MiB, 1 CPU$'
expect 33 '^irqscope: isa-debug-exit 0x10 at .*: status 33$' run "${exit_port[@]}" "$guests/hello32.elf"
expect 4 '^irqscope: triple fault, CPU 0, t=' run "$guests/triple_fault.elf"
expect 4 '^  1 #UD  .*triple_fault\.S:[0-9]+\) ud2$' run --quiet "$guests/triple_fault.elf"
expect 4 '^  4 #NP\(0x43\) delivering #DF: IDT\[8\] .* => shutdown$' run "$guests/triple_fault.elf"
expect 4 '^  1 interrupt 0x08  main\+.*sti_no_idt\.S:[0-9]+\)' run "$guests/sti_no_idt.elf"
expect 6 '^irqscope: halted for ever: HLT with IF=0 at .*halt_if0\.S:[0-9]+\)$' run "$guests/halt_if0.elf"
expect 8 '^irqscope: limit: 5000 instructions; at ' run --limit-insns 5000 "$guests/fault_loop.elf"
expect 8 '^irqscope: limit: 20 us virtual time; at ' run --limit-time 20us "$guests/fault_loop.elf"
expect 124 '^irqscope: timeout: 0\.2 s of host time, ' run --timeout 0.2 "$guests/fault_loop.elf"
expect 0 '^irqscope: until: the serial output contains the text' run --until 'lo32' --limit-time 1s \
    "$guests/hello32.elf"
expect 8 '^irqscope: limit: 2 ms virtual time' run --until 'hello64' --limit-time 2ms "$guests/fault_loop.elf"

# Set-up errors: one sentence, nothing was run.
refuse() {
    expect 2 "$@"
    [ "$(wc -l <"$work/err")" -eq 1 ] || complain "irqscope $*: not one sentence"
    [ ! -s "$work/out" ] || complain "irqscope $*: something was printed"
}
refuse '^irqscope: unknown option --limit-inns; did you mean --limit-insns\?$' --limit-inns 5
refuse '^irqscope: -smp 2: this build runs one CPU$' -smp 2 "$guests/hello32.elf"
refuse '^irqscope: -m 1: a PC has between 2 MiB and 64 GiB of memory here$' -m 1 "$guests/hello32.elf"
refuse 'nonexistent\.elf.*No such file' "$work/nonexistent.elf"
printf 'not a kernel' >"$work/text"
refuse "$work/text" "$work/text"
head -c 100 "$guests/hello32.elf" >"$work/cut.elf"
refuse "$work/cut.elf" "$work/cut.elf"
refuse 'cannot write it' --record "$work/no/such/folder/f.irq" "$guests/hello32.elf"
refuse 'cannot write it' -serial "file:$work/no/such/folder/f" "$guests/hello32.elf"
refuse "^irqscope: $work/text: not a record stream$" show "$work/text"

# What is printed by a help option goes to the standard output, and is no error.
for help in -help --help "-cpu help" "-machine help" "-device ?" "-d help" -version; do
    # shellcheck disable=SC2086 # two words
    if ! "$IRQSCOPE" $help >"$work/out" 2>"$work/err" || [ ! -s "$work/out" ] || [ -s "$work/err" ]; then
        complain "irqscope $help: not a text and status 0"
    fi
done
"$IRQSCOPE" -nographic -help | grep -q '^-D ' || complain "-help has no line that begins with '-D '"

# A signal: the record stream is whole, and the process ends by the signal.
for signal in INT TERM; do
    "$IRQSCOPE" run --record "$work/s.irq" --limit-time 9s "$guests/level_storm.elf" >"$work/out" 2>"$work/err" &
    pid=$!
    for _ in $(seq 100); do
        [ -s "$work/s.irq" ] && break
        sleep 0.05
    done
    # A shell starts background jobs with SIGINT ignored: the command takes it all the same.
    kill -s "$signal" "$pid"
    rc=0
    wait "$pid" || rc=$?
    [ "$rc" -eq $((128 + $(kill -l "$signal"))) ] || complain "SIG$signal: status $rc"
    grep -q "trace hash" "$work/err" || complain "SIG$signal: no summary"
    "$IRQSCOPE" show "$work/s.irq" --flows=1 >"$work/out" 2>"$work/err" || complain "SIG$signal: the stream is not whole"
    rm -f "$work/s.irq"
done

# Ctrl-A x on mon:stdio ends the run.
rc=0
printf '\001x' | timeout 60 "$IRQSCOPE" run -nographic "$guests/fault_loop.elf" >"$work/out" 2>"$work/err" || rc=$?
if [ "$rc" -ne 0 ] || ! grep -q 'ended by Ctrl-A x' "$work/err"; then
    complain "Ctrl-A x: status $rc"
fi

exit $bad
