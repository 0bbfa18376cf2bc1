#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 600
#
# GNU Mach (Debian's i386 package, an unmodified multiboot kernel) boots as far as it can without a
# bootstrap program. Its text is QEMU's but for the lines that gnumach_differences.txt explains. The record
# stream of its first 60 million instructions is the same byte for byte with every setting of the engine.
#
#     gnumach.sh [all]    all: the whole boot with every setting; this takes minutes, since the kernel spends
#                         thousands of millions of instructions in delay loops
set -uo pipefail
# shellcheck source=tests/guest/fetch-package.sh
. "$SRC/tests/guest/fetch-package.sh"

until="No bootstrap code"
work=$BUILD/gnumach${1:+-$1}
kernel=$work/gnumach-i386
machine=(-m 64 -append "console=com0" -serial stdio -display none -no-reboot)

fail() {
    echo "gnumach: $*"
    exit 1
}

# run_ours VARIANT OPTIONS...
run_ours() {
    local stem=$work/$1 rc
    shift
    timeout 610 "$IRQSCOPE" run "$@" --record "$stem.irq" --quiet "${machine[@]}" \
        --until "$until" --timeout 600 "$kernel" </dev/null >"$stem.out" 2>"$stem.err"
    rc=$?
    if [ "$rc" -ne 0 ]; then
        tail -n 5 "$stem.out" "$stem.err"
        fail "$(basename "$stem") ends with status $rc"
    fi
    grep -q "panic .*$until" "$stem.out" || fail "$(basename "$stem") ends without the panic: $(tail -n 1 "$stem.out")"
    [ -s "$stem.irq" ] || fail "no records in $stem.irq"
}

# run_start VARIANT OPTIONS...: the first instructions only.
run_start() {
    local stem=$work/start-$1 rc
    shift
    timeout 120 "$IRQSCOPE" run "$@" --record "$stem.irq" --quiet "${machine[@]}" --limit-insns 60000000 \
        "$kernel" </dev/null >"$stem.out" 2>"$stem.err"
    rc=$?
    [ "$rc" -eq 8 ] || fail "$(basename "$stem") ends with status $rc: $(tail -n 1 "$stem.err")"
}

# same_records STEM OTHER...
same_records() {
    local first=$1 other
    shift
    for other in "$@"; do
        cmp "$work/$first.irq" "$work/$other.irq" || fail "the records of $other differ from those of $first"
    done
}

# The kernel waits and resets after its panic: it is ended as soon as the text is there.
run_qemu() {
    local pid
    : >"$work/qemu.out"
    timeout 120 qemu-system-x86_64 -M pc -accel tcg -cpu pentium3 -vga std -nodefaults \
        -rtc base=2024-01-01T00:00:00 "${machine[@]}" -kernel "$kernel" \
        </dev/null >"$work/qemu.out" 2>"$work/qemu.err" &
    pid=$!
    while kill -0 "$pid" 2>/dev/null && ! grep -q "$until.*!" "$work/qemu.out"; do
        sleep 0.1
    done
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    grep -q "$until" "$work/qemu.out" || fail "QEMU does not come to the panic: $(tail -n 1 "$work/qemu.err")"
}

fetch_package gnumach-image-1.8-486 i386
mkdir -p "$work"
unpack_file "$package/boot/gnumach-1.8-486.gz" "$kernel"

run_ours default
run_start default
run_start single --max-block 1
run_start uncached --no-block-cache
same_records start-default start-single start-uncached
if [ "${1:-}" = all ]; then
    run_ours single --max-block 1
    run_ours uncached --no-block-cache
    run_ours again
    same_records default single uncached again
fi

if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "gnumach: boots to its panic, equal records; no QEMU to compare the text with"
    exit 0
fi
run_qemu
python3 - "$work/default.out" "$work/qemu.out" "$SRC/tests/guest/gnumach_differences.txt" "$until" <<'END' || exit 1
import difflib
import re
import sys


def lines(path):
    """What one saw on a terminal, up to the text that ends our run: a carriage return starts a
    line, too, and so does "erase to the end of the line"."""
    text = open(path, encoding="ascii", errors="replace", newline="").read().replace("\x1b[K", "\r")
    text, end, _ = text.partition(sys.argv[4])
    text += end
    return [line.strip() for line in re.split("[\r\n]+", text) if line.strip()]


ours, qemu = lines(sys.argv[1]), lines(sys.argv[2])
bad = 0
reason = False
kept = {"ours": ours, "qemu": qemu}
for number, line in enumerate(open(sys.argv[3], encoding="ascii"), 1):
    line = line.rstrip("\n")
    if line.startswith("#") or not line:
        reason = line.startswith("#") and len(line) > 2
        continue
    side, _, pattern = line.partition(": ")
    where = f"gnumach_differences.txt:{number}"
    if side not in ("ours", "qemu", "both") or not reason:
        sys.exit(f"{where}: 'ours|qemu|both: REGEX' under a comment with the reason")
    for name in ("ours", "qemu") if side == "both" else (side,):
        rest = [text for text in kept[name] if not re.fullmatch(pattern, text, re.ASCII)]
        if rest == kept[name]:
            print(f"{where}: no line of {name} matches {pattern!r} any more")
            bad += 1
        kept[name] = rest
for line in difflib.unified_diff(kept["qemu"], kept["ours"], "QEMU", "irqscope", n=0, lineterm=""):
    print(line)
    bad += 1
if bad:
    sys.exit("gnumach: the text is not QEMU's")
print(f"gnumach: boots to its panic; {len(kept['ours'])} of {len(ours)} lines are QEMU's ({len(qemu)} lines), equal records")
END
