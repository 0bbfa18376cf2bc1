#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The C sources are formatted as .clang-format says.
set -euo pipefail

if ! command -v clang-format >/dev/null; then
    echo "clang-format is not installed"
    exit 77
fi
cd "$SRC"
find bus cpu intc firmware tools tests -name '*.[ch]' -print0 |
    xargs -0r clang-format --dry-run -Werror
