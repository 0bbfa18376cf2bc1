#!/bin/bash
# SPDX-License-Identifier: MIT
#
# firmware/machine.h, the library's public face, is a header that stands alone:
# it compiles by itself, strictly, as C17 and as C++17, and a C++ file links its
# functions as C.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The includes that a user of the library has: its folders by name.
mkdir "$work/inc"
for folder in bus firmware; do
    ln -s "$SRC/$folder" "$work/inc/$folder"
done
flags=(-I "$work/inc" -Wall -Wextra -Werror -pedantic -c)

if ! command -v g++ >/dev/null; then
    echo "g++ is not installed (package g++)"
    exit 77
fi

cat >"$work/use.h" <<'END'
#include "firmware/machine.h"
#include "firmware/machine.h" /* twice is once */
static inline int use(void)
{
    struct machine_config config = machine_config_default();
    struct machine *machine;
    struct error err;
    if (machine_create(&config, &machine, &err) != 0)
        return 1;
    struct machine_stop_info info;
    enum machine_stop_reason reason = machine_run(machine, &info);
    machine_destroy(machine);
    return reason == MACHINE_STOP_POWER_OFF && machine_api_version() == MACHINE_API_VERSION;
}
END
echo '#include "use.h"
int f(void); int f(void) { return use(); }' >"$work/use.c"
echo '#include "use.h"
int f(); int f() { return use(); }' >"$work/use.cc"

gcc -std=c17 "${flags[@]}" "$work/use.c" -o "$work/c.o"
g++ -std=c++17 "${flags[@]}" "$work/use.cc" -o "$work/cxx.o"

# Both must ask for the same, unmangled, names.
names() {
    nm --undefined-only "$1" | awk '$2 ~ /^machine_/ { print $2 }'
}
if [ -z "$(names "$work/c.o")" ] || [ "$(names "$work/c.o")" != "$(names "$work/cxx.o")" ]; then
    echo "header_cxx: C++ asks for other names than C:"
    diff <(names "$work/c.o") <(names "$work/cxx.o") || true
    exit 1
fi
echo "header_cxx: machine.h stands alone as C17 and C++17"
