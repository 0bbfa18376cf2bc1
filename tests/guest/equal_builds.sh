#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 600
#
# The compiler does not show: the record streams and the output of the tour and
# of guests in assembly are equal byte for byte between the gcc build, the clang
# build and the sanitized build, whose instruction handlers return to a loop and
# whose expensive invariants are on. Every guest that is quick runs in the
# sanitized build too, and ends as its source says.
#
# Needs $BUILD/clang or $BUILD/test; without both it is skipped. ELFs come from
# $BUILD alone, so that all builds run the same bytes.
set -uo pipefail
# shellcheck source=tests/guest/guests.inc.sh
. "$SRC/tests/guest/guests.inc.sh"

work=${EQUAL_BUILDS_DIR:-$BUILD/equal_builds}
golden=(tour smc32 exceptions32 exceptions64 int_gates64 pic_nested ioapic_level lapic_timer
    paging_pae string_ops timer_sweep nmi uart_irq sti_shadow pit_modes rtc_irq8)
QUICK=2 # seconds in the sanitized build

failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

# run COMMAND STEM SOURCE ELF SECONDS: status of the run; STEM.out, STEM.err, STEM.irq.
run() {
    local command=$1 stem=$2 options
    read -ra options <<<"$(marker run "$3")"
    timeout "$5" "$command" run "${options[@]}" --record "$stem.irq" --quiet -serial stdio \
        -display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 "$4" \
        </dev/null >"$stem.out" 2>"$stem.err"
}

builds=()
for name in clang test; do
    if [ -x "$BUILD/$name/irqscope" ]; then
        builds+=("$name")
    fi
done
if [ ${#builds[@]} = 0 ]; then
    echo "neither $BUILD/clang nor $BUILD/test has an irqscope"
    exit 77
fi
rm -rf "$work"
mkdir -p "$work"
declare -A source_of elf_of
while read -r elf source; do
    name=$(basename "$elf" .elf)
    source_of[$name]=$source
    elf_of[$name]=$elf
done < <(list_guests)

# Equal streams.
compared=0
for name in "${golden[@]}"; do
    source=${source_of[$name]:-}
    if [ -z "$source" ] || [ ! -f "${elf_of[$name]}" ]; then
        fail "$name: no such guest"
        continue
    fi
    wanted=$(marker status "$source")
    stem=$work/$name
    run "$IRQSCOPE" "$stem.gcc" "$source" "${elf_of[$name]}" 60
    status=$?
    [ "$status" -eq "${wanted:-0}" ] || fail "$name (gcc): status $status, not ${wanted:-0}"
    [ -s "$stem.gcc.irq" ] || fail "$name (gcc): no records"
    for build in "${builds[@]}"; do
        run "$BUILD/$build/irqscope" "$stem.$build" "$source" "${elf_of[$name]}" 60
        status=$?
        if [ "$status" -ne "${wanted:-0}" ]; then
            fail "$name ($build): status $status, not ${wanted:-0}: $(tail -n 1 "$stem.$build.err")"
        elif ! cmp -s "$stem.gcc.out" "$stem.$build.out"; then
            fail "$name: text differs between gcc and $build: $(cmp "$stem.gcc.out" "$stem.$build.out" 2>&1)"
        elif ! cmp -s "$stem.gcc.irq" "$stem.$build.irq"; then
            fail "$name: records differ between gcc and $build: $(cmp "$stem.gcc.irq" "$stem.$build.irq" 2>&1)"
        else
            compared=$((compared + 1))
        fi
        rm -f "$stem.$build".*
    done
    rm -f "$stem.gcc".*
done

# All others under the sanitizers, as far as they are quick.
ran=0
slow=()
if [ -x "$BUILD/test/irqscope" ]; then
    for name in "${!source_of[@]}"; do
        case " ${golden[*]} " in *" $name "*) continue ;; esac
        [ -f "${elf_of[$name]}" ] || continue
        wanted=$(marker status "${source_of[$name]}")
        stem=$work/$name.test
        run "$BUILD/test/irqscope" "$stem" "${source_of[$name]}" "${elf_of[$name]}" "$QUICK"
        status=$?
        if [ "$status" = 124 ]; then
            slow+=("$name")
        elif [ "$status" -ne "${wanted:-0}" ]; then
            fail "$name (test): status $status, not ${wanted:-0}: $(tail -n 1 "$stem.err")"
        else
            ran=$((ran + 1))
        fi
        rm -f "$stem".*
    done
fi
[ "$failures" = 0 ] || exit 1
echo "equal_builds: gcc against ${builds[*]}: $compared equal streams;" \
    "$ran more guests sanitized, ${#slow[@]} too slow${slow[*]:+ (${slow[*]})}"
