#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 600
#
# Every guest and lab runs four times: with the default settings, one
# instruction at a time, without the block cache, and with the default settings
# again. Status and text must be as the source says, and the four record
# streams must be equal byte for byte.
#
#     matrix.sh [NAME...]     only these guests
set -uo pipefail
# shellcheck source=tests/guest/guests.inc.sh
. "$SRC/tests/guest/guests.inc.sh"

work=${MATRIX_DIR:-$BUILD/matrix}

# run_guest ELF SOURCE: prints what is wrong with the guest; nothing if all is well.
run_guest() {
    local elf=$1 source=$2
    local name status expect variant rc options
    name=$(basename "$elf" .elf)
    if [ ! -f "$elf" ]; then
        echo "$name: $elf was not built"
        return
    fi
    status=$(marker status "$source")
    expect=$(marker expect "$source")
    read -ra options <<<"$(marker run "$source")"
    local -A settings=([default]="" [single]="--max-block 1" [uncached]="--no-block-cache" [again]="")
    for variant in default single uncached again; do
        local stem=$work/$name.$variant
        local extra
        read -ra extra <<<"${settings[$variant]}"
        timeout 60 "$IRQSCOPE" run "${extra[@]}" "${options[@]}" --record "$stem.irq" --quiet \
            -serial stdio -display none -no-reboot \
            -device isa-debug-exit,iobase=0xf4,iosize=4 "$elf" \
            </dev/null >"$stem.out" 2>"$stem.err"
        rc=$?
        if [ "$rc" -ne "${status:-0}" ]; then
            echo "$name ($variant): status $rc, not ${status:-0}: $(tail -n 1 "$stem.out") $(tail -n 1 "$stem.err")"
            return
        fi
        if ! grep -qxF "${expect:-$name: ok}" "$stem.out"; then
            echo "$name ($variant): does not print '${expect:-$name: ok}': $(tail -n 1 "$stem.out")"
            return
        fi
        if [ ! -s "$stem.irq" ]; then
            echo "$name ($variant): no records in $stem.irq"
            return
        fi
        if [ "$variant" != default ] && ! cmp -s "$work/$name.default.irq" "$stem.irq"; then
            echo "$name ($variant): records differ from the default run:" \
                "$(cmp "$work/$name.default.irq" "$stem.irq" 2>&1)"
            return
        fi
        [ "$variant" = default ] || rm -f "$stem.irq"
    done
    rm -f "$work/$name".*
}

if [ "${1:-}" = --one ]; then
    run_guest "$2" "$3"
    exit 0
fi

mkdir -p "$work"
selected=$(list_guests)
if [ $# -gt 0 ]; then
    pattern=$(printf '/%s\\.elf |' "$@")
    selected=$(grep -E "${pattern%|}" <<<"$selected")
fi
if [ -z "$selected" ]; then
    echo "matrix: no such guest"
    exit 1
fi
count=$(wc -l <<<"$selected")
# A pair of arguments at a time, two runs beside each other; all runs take part
# even if some fail.
if ! failures=$(xargs -P 2 -n 2 "$0" --one <<<"$selected"); then
    echo "matrix: a run could not be started"
    exit 1
fi
if [ -n "$failures" ]; then
    sort <<<"$failures"
    echo "matrix: $(wc -l <<<"$failures") of $count guests fail"
    exit 1
fi
echo "matrix: $count guests, four runs each, equal records"
