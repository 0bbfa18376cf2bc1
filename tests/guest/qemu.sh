#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 600
#
# The guests marked "qemu: same" print the same text and end with the same
# status under QEMU and under irqscope. QEMU does not run those marked "no";
# the reason stands behind the mark.
#
#     qemu.sh [NAME...]     only these guests
set -uo pipefail
# shellcheck source=tests/guest/guests.inc.sh
. "$SRC/tests/guest/guests.inc.sh"

work=${MATRIX_DIR:-$BUILD/qemu-guests}
machine=(-m 64 -serial stdio -display none -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=4")

run_guest() {
    local elf=$1 source=$2
    local name rc_ours rc_qemu options
    name=$(basename "$elf" .elf)
    if [ ! -f "$elf" ]; then
        echo "$name: $elf was not built"
        return
    fi
    read -ra options <<<"$(marker run "$source")"
    timeout 60 "$IRQSCOPE" run --quiet "${machine[@]}" "${options[@]}" -kernel "$elf" \
        </dev/null >"$work/$name.ours" 2>"$work/$name.err"
    rc_ours=$?
    timeout 60 qemu-system-x86_64 -M pc -accel tcg -cpu qemu64 -nodefaults \
        "${machine[@]}" "${options[@]}" -kernel "$elf" \
        </dev/null >"$work/$name.qemu" 2>"$work/$name.err"
    rc_qemu=$?
    if [ "$rc_ours" -ne "$rc_qemu" ]; then
        echo "$name: status $rc_ours, but $rc_qemu under QEMU"
    elif ! cmp -s "$work/$name.ours" "$work/$name.qemu"; then
        echo "$name: the text differs: $(diff "$work/$name.ours" "$work/$name.qemu" | sed -n 2p)"
    else
        rm -f "$work/$name".*
    fi
}

if [ "${1:-}" = --one ]; then
    run_guest "$2" "$3"
    exit 0
fi

if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "qemu-system-x86_64 is not installed (package qemu-system-x86)"
    exit 77
fi
mkdir -p "$work"
selected=""
while read -r elf source; do
    [ "$(marker qemu "$source")" = same ] || continue
    if [ $# -gt 0 ]; then
        name=$(basename "$elf" .elf)
        case " $* " in
            *" $name "*) ;;
            *) continue ;;
        esac
    fi
    selected+="$elf $source"$'\n'
done < <(list_guests)
if [ -z "$selected" ]; then
    echo "qemu: no such guest"
    exit 1
fi
selected=${selected%$'\n'}
count=$(wc -l <<<"$selected")
if ! failures=$(xargs -P 2 -n 2 "$0" --one <<<"$selected"); then
    echo "qemu: a run could not be started"
    exit 1
fi
if [ -n "$failures" ]; then
    sort <<<"$failures"
    echo "qemu: $(wc -l <<<"$failures") of $count guests differ"
    exit 1
fi
echo "qemu: $count guests print the same"
