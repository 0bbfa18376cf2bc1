#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The README opens with the tour's first interrupt: what stands there is what the command prints.
set -uo pipefail

shown=$(sed -n '/^tour: pit 1/,/^\.\.\. /p' "$SRC/README.md" | sed '$d')
printed=$("$IRQSCOPE" run --quiet --flows </dev/null 2>&1 | head -n "$(wc -l <<<"$shown")")
if [ "$(wc -l <<<"$shown")" -lt 10 ]; then
    echo "readme: the recording was not found in README.md"
    exit 1
fi
diff -u <(echo "$shown") <(echo "$printed") || {
    echo "readme: README.md does not show what the tour prints"
    exit 1
}

# The runs that follow, each up to the next prompt.
bad=0
while read -r guest; do
    shown=$(awk -v cmd="\$ irqscope run $guest" '$0 == cmd {on = 1; next} /^(\$ |```)/ {on = 0} on' "$SRC/README.md")
    printed=$("$IRQSCOPE" run "$BUILD/${guest#build/}" </dev/null 2>&1 | sed "s|$BUILD/|build/|")
    if ! diff -u <(echo "$shown") <(echo "$printed"); then
        echo "readme: README.md does not show what $guest prints"
        bad=1
    fi
done < <(sed -n 's/^\$ irqscope run \(build\/guests\/.*\)$/\1/p' "$SRC/README.md")
exit $bad
