#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 300
#
# Guests that make no progress - a fault that returns to itself, an IDT that
# faults, REP of 2^63, a level line that is never lowered, a jump to itself -
# end by each limit, by the timeout and by Ctrl-C. The records taken up to then
# are complete.
set -uo pipefail

work=${NO_PROGRESS_DIR:-$BUILD/no_progress}
guests=(fault_loop idt_loop rep_forever level_storm jmp_self)
HOST_SECONDS=10 # from Ctrl-C to the end; some tens of ms on an idle machine

kernel_of() {
    if [ "$1" = jmp_self ]; then
        echo "$work/jmp_self.elf"
    else
        echo "$BUILD/guests/$1.elf"
    fi
}

failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# check_end GUEST HOW STATUS WANTED TEXT: the status, the sentence on stderr, and the records if
# there are any. Streams are large: two or three records a nanosecond.
check_end() {
    local guest=$1 how=$2 status=$3 wanted=$4 text=$5 stem=$work/$1.$2
    if [ "$status" -ne "$wanted" ]; then
        fail "$guest, $how: status $status, not $wanted: $(tail -n 1 "$stem.err")"
    elif ! grep -qE "^irqscope: $text" "$stem.err"; then
        fail "$guest, $how: no '$text' on stderr: $(tail -n 1 "$stem.err")"
    elif ! grep -qE "^irqscope: [0-9]+ instructions, .* of virtual time" "$stem.err"; then
        fail "$guest, $how: no summary on stderr: $(tail -n 1 "$stem.err")"
    elif [ -f "$stem.irq" ]; then
        check_records "$guest" "$how"
    fi
    rm -f "$stem".*
}

# The stream is whole: it can be read to its end, and has the hash that the run told.
check_records() {
    local guest=$1 how=$2 stem=$work/$1.$2 told shown
    if ! "$IRQSCOPE" show "$stem.irq" --flows=1 >"$stem.shown" 2>"$stem.show_err"; then
        fail "$guest, $how: its records cannot be shown: $(tail -n 1 "$stem.show_err")"
        return
    fi
    told=$(grep -oE "trace hash 0x[0-9a-f]+" "$stem.err")
    shown=$(grep -oE "trace hash 0x[0-9a-f]+" "$stem.show_err")
    if [ "$told" != "$shown" ]; then
        fail "$guest, $how: the run told '$told', its stream '$shown'"
    elif ! grep -qE "^irqscope: [1-9][0-9]* records, ended by " "$stem.show_err"; then
        fail "$guest, $how: no records, or no end: $(tail -n 1 "$stem.show_err")"
    fi
}

# run GUEST HOW OPTIONS...: status of the run.
run() {
    local guest=$1 stem=$work/$1.$2
    shift 2
    timeout 60 "$IRQSCOPE" run "$@" -serial "file:$stem.out" \
        -display none -no-reboot "$(kernel_of "$guest")" </dev/null >"$stem.stdout" 2>"$stem.err"
}

interrupt() {
    local guest=$1 stem=$work/$1.sigint
    local pid status started now
    "$IRQSCOPE" run --record "$stem.irq" \
        -serial "file:$stem.out" -display none -no-reboot "$(kernel_of "$guest")" \
        </dev/null >"$stem.stdout" 2>"$stem.err" &
    pid=$!
    # Until it runs: the guest has printed.
    for _ in $(seq 200); do
        [ ! -s "$stem.out" ] || break
        sleep 0.05
    done
    started=$(date +%s%N)
    kill -INT "$pid" 2>/dev/null || fail "$guest, sigint: it had ended: $(tail -n 1 "$stem.err")"
    (
        sleep 20
        kill -KILL "$pid"
    ) >/dev/null 2>&1 & # not on our output: who waits for that would wait for the sleep
    local watchdog=$!
    wait "$pid" 2>/dev/null
    status=$?
    now=$(date +%s%N)
    kill "$watchdog" 2>/dev/null
    if [ $((now - started)) -gt $((HOST_SECONDS * 1000000000)) ]; then
        fail "$guest, sigint: took $(((now - started) / 1000000)) ms to end"
    fi
    # Killed by SIGINT, after it was told.
    check_end "$guest" sigint "$status" 130 "ended by signal 2 at "
}

rm -rf "$work"
mkdir -p "$work"
cat >"$work/jmp_self.s" <<'END'
    .globl _start
_start:
    mov $33, %al
    mov $0x3f8, %dx
    out %al, %dx
1:  jmp 1b
END
gcc -m32 -nostdlib -static -Wl,-N,--no-warn-rwx-segments,-Ttext=0x100000,--build-id=none "$work/jmp_self.s" \
    -o "$work/jmp_self.elf" || fail "jmp_self: gcc -m32 does not assemble and link it"
for guest in "${guests[@]}"; do
    if [ ! -f "$(kernel_of "$guest")" ]; then
        fail "$guest was not built"
        continue
    fi
    run "$guest" insns --limit-insns=200000 --record "$work/$guest.insns.irq"
    check_end "$guest" insns $? 8 "limit: 200000 instructions; at "
    run "$guest" time --limit-time=300us --record "$work/$guest.time.irq"
    check_end "$guest" time $? 8 "limit: 300 us virtual time; at "
    run "$guest" timeout --timeout=1
    check_end "$guest" timeout $? 124 "timeout: 1 s of host time, "
    interrupt "$guest"
done
[ "$failures" = 0 ] || exit 1
echo "no_progress: ${#guests[@]} guests end by every limit, by timeout and by SIGINT"
