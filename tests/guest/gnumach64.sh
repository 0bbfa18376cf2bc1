#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 400
#
# GNU Mach of Debian's amd64 package: a 64-bit ELF with a multiboot header, which QEMU refuses to
# load. It comes to the same panic as the 32-bit kernel; booted by GRUB under QEMU it prints that too.
set -uo pipefail
# shellcheck source=tests/guest/fetch-package.sh
. "$SRC/tests/guest/fetch-package.sh"

work=$BUILD/gnumach64
kernel=$work/gnumach-amd64

fetch_package gnumach-image-1.8-486 amd64
unpack_file "$package/boot/gnumach-1.8-486.gz" "$kernel"
timeout 130 "$IRQSCOPE" run --quiet -m 64 -append "console=com0" -serial stdio -display none -no-reboot \
    --until "No bootstrap code" --timeout 120 "$kernel" </dev/null >"$work/out" 2>"$work/err"
rc=$?
last=$(tr '\r' '\n' <"$work/out" | grep . | tail -n 1)
# In the order in which they must come.
for text in "GNU Mach 1.8" "biosmem: physical memory map" "vm_page: DMA32: pages" "com 2 out of range" \
    "RTC time is" "bootstrap_create: No bootstrap code"; do
    if ! grep -qF "$text" "$work/out"; then
        tail -n 1 "$work/err"
        echo "gnumach64: status $rc without '$text'; the last line is '$last'"
        exit 1
    fi
done
if [ "$rc" -ne 0 ]; then
    echo "gnumach64: status $rc: $(tail -n 1 "$work/err")"
    exit 1
fi
echo "gnumach64: boots to '$last'"
