#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tour's output and flows, byte for byte, with every setting of the engine. A difference is a matter for review: what the manuals
# say decides, not this file.
set -uo pipefail

bad=0
for settings in "" "--max-block 1" "--no-block-cache"; do
    read -ra options <<<"$settings"
    if ! diff -u "$SRC/tests/golden/tour.flows" \
        <("$IRQSCOPE" run --quiet --flows "${options[@]}" </dev/null 2>&1); then
        echo "tour: flows differ${settings:+ with $settings}"
        bad=1
    fi
done
exit $bad
