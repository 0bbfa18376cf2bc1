# SPDX-License-Identifier: MIT
#
# What the guests' sources say about themselves, for matrix.sh and qemu.sh.
# shellcheck shell=bash
#
# In the first ten lines of a guest's source:
#
#     // run: OPTIONS       further options of the run
#     // status: N          expected exit status, default 0
#     // expect: TEXT       a line of the serial output, default "NAME: ok"
#     // qemu: same         QEMU prints the same;  or  no, REASON

# list_guests: lines "ELF SOURCE" of all guests and labs.
list_guests() {
    local path name source
    for path in "$SRC"/firmware/tests/* "$SRC"/firmware/labs/*; do
        name=$(basename "$path")
        name=${name%%.*}
        source=$path
        if [ -d "$path" ]; then
            source=$(grep -lE '^(//|/\*) *(build|status):' "$path"/*.[Sc] 2>/dev/null | head -n 1)
            [ -n "$source" ] || continue
        fi
        case $path in
            */labs/*) echo "$BUILD/labs/$name.elf $source" ;;
            *.S | *.c | */tests/*) echo "$BUILD/guests/$name.elf $source" ;;
        esac
    done
}

# marker KEY SOURCE: the text behind "// KEY:", empty if there is none.
marker() {
    sed -n "1,10s,^// $1: *,,p" "$2" | head -n 1
}
