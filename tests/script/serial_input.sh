#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bytes from the standard input reach the guest as received-data interrupts, in order and none lost, also more of them than
# the receiver holds; the end of the input is no more input.
set -uo pipefail

guest=$BUILD/guests/uart_echo.elf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect STATUS WANTED-TEXT: the input is this function's standard input.
expect() {
    local rc=0
    timeout 60 "$IRQSCOPE" run --quiet -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 "$guest" \
        >"$work/out" 2>"$work/err" || rc=$?
    if [ "$rc" -ne "$1" ] || [ "$(cat "$work/out")" != "uart_echo: ok
$2" ]; then
        echo "status $rc, not $1; output $(head -c 200 "$work/out"), not ...$2"
        sed 's/^/    /' "$work/err"
        exit 1
    fi
}

if [ ! -f "$guest" ]; then
    echo "$guest was not built"
    exit 1
fi
printf 'HAL8q' | expect 33 'IBM9r'
printf 'HAL' | expect 6 'IBM'
{ printf 'a%.0s' {1..500}; printf 'q'; } | expect 33 "$(printf 'b%.0s' {1..500})r"
