#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The shell scripts pass shellcheck.
set -euo pipefail

if ! command -v shellcheck >/dev/null; then
    echo "shellcheck is not installed"
    exit 77
fi
cd "$SRC"
grep -rlIE --exclude-dir=.git --exclude-dir=build '^#!/bin/(ba)?sh' .ci tools tests firmware |
    xargs shellcheck -x
