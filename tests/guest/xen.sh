#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 400
#
# Xen (Debian's package, unmodified) boots to the message that no dom0 kernel was given. The lines
# up to there that do not describe the loader are QEMU's.
set -uo pipefail
# shellcheck source=tests/guest/fetch-package.sh
. "$SRC/tests/guest/fetch-package.sh"

work=$BUILD/xen
kernel=$work/xen-4.17-amd64

fetch_package xen-hypervisor-4.17-amd64 amd64
unpack_file "$package/boot/xen-4.17-amd64.gz" "$kernel"
for variant in default "--max-block 1" --no-block-cache; do
    stem="$work/${variant// /}"
    read -ra options <<<"${variant#default}"
    timeout 130 "$IRQSCOPE" run "${options[@]}" --record "$stem.irq" --quiet -m 64 \
        -append 'com1=115200,8n1 console=com1 noreboot' -serial stdio -display none -no-reboot \
        --until "dom0 kernel not specified" --timeout 60 "$kernel" </dev/null >"$stem.out" 2>"$stem.err"
    rc=$?
    if [ "$rc" -ne 0 ]; then
        tail -n 5 "$stem.err"
        echo "xen: status $rc ($variant); the last line is '$(tail -n 1 "$stem.out")'"
        exit 1
    fi
    for text in "(XEN) Xen version 4.17" "(XEN) Command line: com1=115200,8n1 console=com1 noreboot" \
        "(XEN) Panic on CPU 0:" "(XEN) dom0 kernel not specified"; do
        if ! grep -qF "$text" "$stem.out"; then
            echo "xen: no '$text' ($variant)"
            exit 1
        fi
    done
    cmp "$work/default.irq" "$stem.irq" || {
        echo "xen: the records of $variant differ from the default run's"
        exit 1
    }
done
echo "xen: boots to its panic in three ways, equal records"
