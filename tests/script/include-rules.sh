#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A wrong #include fails the build: each case adds one file to a copy of the build description
# (with otherwise empty folders) and builds one library. The cases that must compile show that
# the others fail for the right reason.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=$work/src
mkdir -p "$src"/{bus,cpu,intc,firmware,tools/scope,tools/irqscope,tests}
cp "$SRC/CMakeLists.txt" "$src/"
cp "$SRC/firmware/CMakeLists.txt" "$src/firmware/"
cp "$SRC/tests/CMakeLists.txt" "$src/tests/"
for header in bus/a cpu/a intc/lapic firmware/a tools/scope/a tools/irqscope/a; do
    echo "enum { probe_$(basename "$(dirname "$header")") };" >"$src/$header.h"
done
for folder in bus cpu intc firmware tools/scope tools/irqscope; do
    : >"$src/$folder/probe.c"
done
generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
cmake "${generator[@]}" -S "$src" -B "$work/build" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}

bad=0
# expect ok|error LIBRARY FOLDER INCLUDE
expect() {
    local want=$1 library=$2 file=$src/$3/probe.c result=ok
    printf '#include %s\n' "$4" >"$file"
    cmake --build "$work/build" --target "$library" >"$work/log" 2>&1 || result=error
    if [ $result = error ] && ! grep -qE 'No such file|may not include' "$work/log"; then
        result="error for another reason: $(tail -n 3 "$work/log")"
    fi
    : >"$file"
    if [ "$result" != "$want" ]; then
        echo "#include $4 in $3/: expected $want, got $result"
        bad=1
    fi
}

expect ok bus bus '"bus/a.h"'
expect error bus bus '"cpu/a.h"'
expect ok cpu cpu '"bus/a.h"'
expect ok cpu cpu '"cpu/a.h"'
expect ok cpu cpu '"a.h"'
expect error cpu cpu '"intc/lapic.h"'
expect error cpu cpu '"../intc/lapic.h"'
expect error cpu cpu '"firmware/a.h"'
expect error cpu cpu '<capstone/capstone.h>'
expect ok intc intc '"bus/a.h"'
expect error intc intc '"cpu/a.h"'
expect error intc intc '<libelf.h>'
expect ok firmware firmware '"intc/lapic.h"'
expect ok firmware firmware '"cpu/a.h"'
expect ok firmware firmware '<libelf.h>'
expect error firmware firmware '"scope/a.h"'
expect error firmware firmware '<elfutils/libdw.h>'
expect ok scope tools/scope '"cpu/a.h"'
expect ok scope tools/scope '<elfutils/libdw.h>'
expect error scope tools/scope '"irqscope/a.h"'
expect ok irqscope-cmd tools/irqscope '"scope/a.h"'
expect ok irqscope-cmd tools/irqscope '"irqscope/a.h"'
exit $bad
