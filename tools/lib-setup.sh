# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets the variables named below
# SPDX-License-Identifier: MIT
#
# What tools/run and tools/test share: seeing to the packages, configuring, building.
# The caller sets: me (its name in messages), root (the source folder), build (the build folder),
# assume_yes (1: install without asking).

say() {
    echo "$me: $*" >&2
}

die() {
    say "$*"
    exit 2
}

# Packages that the product needs. a|b: either will do, a is installed.
product_packages() {
    echo gcc libc6-dev cmake "ninja-build|make" "pkgconf|pkg-config" \
        libelf-dev libdw-dev libcapstone-dev
    if [ "$(uname -m)" = x86_64 ]; then
        echo "lib32gcc-$(gcc_major)-dev" # libgcc for the 32-bit guests
    else
        echo clang lld # guests are x86 whatever the host is
    fi
}

# Packages that only the tests need.
test_packages() {
    echo libcriterion-dev clang "$(clang_runtime)" clang-format python3
}

# Tests that need one of these are skipped where it is absent.
optional_packages() {
    echo qemu-system-x86 shellcheck
}

gcc_major() {
    gcc -dumpversion 2>/dev/null | cut -d. -f1 | grep . && return
    apt-cache depends gcc 2>/dev/null | sed -n 's/.*Depends: gcc-\([0-9]*\).*/\1/p' | grep -m1 . ||
        echo 12
}

# The sanitizer and libFuzzer runtimes of clang: a package of their own since LLVM 14 in Debian.
clang_runtime() {
    local major
    major=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
    echo "libclang-rt-${major:-14}-dev|libclang-common-${major:-14}-dev"
}

# Prints those of the packages $@ that are not installed.
missing_packages() {
    local have item name alternatives
    have=" $(dpkg-query -W -f='${db:Status-Status}/${Package} ' 2>/dev/null) "
    for item in "$@"; do
        IFS='|' read -ra alternatives <<<"$item"
        case $item in
        libclang-rt-*) # the second is the first's dependency where both exist
            if ! apt-cache show "${alternatives[0]}" >/dev/null 2>&1; then
                alternatives=("${alternatives[1]}")
            else
                alternatives=("${alternatives[0]}")
            fi
            ;;
        esac
        for name in "${alternatives[@]}"; do
            case $have in *" installed/$name "*) continue 2 ;; esac
        done
        echo "${alternatives[0]}"
    done
}

apt_install() {
    local log=$build/apt.log
    local -a sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    local -a apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    # Old or absent package lists are the usual reason for a failure: fetch them once, try again.
    "${apt[@]}" install --no-install-recommends "$@" >"$log" 2>&1 </dev/null && return
    say "apt-get update"
    "${apt[@]}" update >>"$log" 2>&1 </dev/null || true
    "${apt[@]}" install --no-install-recommends "$@" >>"$log" 2>&1 </dev/null
}

# ensure_packages NAME NEEDED... [-- OPTIONAL...]: the packages are there afterwards, or exit 2.
# While dpkg's database has not changed since the last success nothing is looked up.
ensure_packages() {
    local stamp=$build/.packages-$1 answer line
    local -a needed=() optional=() missing=() missing_optional=()
    shift
    mkdir -p "$build"
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        needed+=("$1")
        shift
    done
    [ $# -eq 0 ] || optional=("${@:2}")
    if [ "$stamp" -nt /var/lib/dpkg/status ] &&
        [ "$(cat "$stamp")" = "${needed[*]} ${optional[*]}" ]; then
        return 0
    fi
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian system; needed: ${needed[*]}"
        return 0
    fi
    read -rd '' -a missing < <(missing_packages "${needed[@]}") || true
    if [ ${#optional[@]} -gt 0 ]; then
        read -rd '' -a missing_optional < <(missing_packages "${optional[@]}") || true
    fi
    if [ ${#missing[@]} -gt 0 ] || [ ${#missing_optional[@]} -gt 0 ]; then
        line=${missing[*]}${missing_optional[*]:+ ${missing_optional[*]}}
        line=${line# }
        say "missing: $line"
        line="apt-get install --no-install-recommends $line"
        [ "$(id -u)" = 0 ] || line="sudo $line"
        say "$line"
        if may_install; then
            if [ ${#missing[@]} -gt 0 ]; then
                apt_install "${missing[@]}" || {
                    tail -n 20 "$build/apt.log" >&2
                    die "the packages could not be installed (log: $build/apt.log)"
                }
            fi
            for answer in "${missing_optional[@]}"; do
                apt_install "$answer" || say "optional package $answer cannot be had; its tests are skipped"
            done
        elif [ ${#missing[@]} -gt 0 ]; then
            exit 2
        else
            say "all of these are optional; their tests are skipped"
            return 0
        fi
    fi
    echo "${needed[*]} ${optional[*]}" >"$stamp"
}

# As root, or with sudo: yes, but on a terminal the user is asked first.
may_install() {
    local answer
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || return 1
        [ -t 0 ] || sudo -n true 2>/dev/null || return 1
    fi
    if [ -t 0 ] && [ -z "${CI:-}" ] && [ "$assume_yes" = 0 ]; then
        read -rp "$me: install them now? [Y/n] " answer || return 1
        case $answer in '' | [yY]*) ;; *) return 1 ;; esac
    fi
}

# One builder at a time for each build folder; unlock before running anything that lasts.
lock_build() {
    exec 9>"$build/.lock"
    flock 9
}

unlock_build() {
    exec 9>&-
}

# configure TREE CMAKE-ARGUMENTS...: does nothing where TREE is configured that way already.
configure() {
    local tree=$1 want generator=()
    shift
    want="$root $tree $*"
    if [ -f "$tree/CMakeCache.txt" ] && [ "$(cat "$tree/.configured" 2>/dev/null)" = "$want" ]; then
        # cmake runs again by itself when its input changes, unless what it made last is broken.
        [ "$root/CMakeLists.txt" -nt "$tree/.configured" ] || return 0
    else
        rm -rf "$tree/CMakeCache.txt" "$tree/CMakeFiles" "$tree/inc" "$tree/.configured"
        mkdir -p "$tree"
        if command -v ninja >/dev/null; then generator=(-G Ninja); fi
    fi
    if ! cmake -S "$root" -B "$tree" "${generator[@]}" "$@" >"$tree/configure.log" 2>&1 9>&-; then
        cat "$tree/configure.log" >&2
        return 1
    fi
    echo "$want" >"$tree/.configured"
}

# build_tree TREE TARGET...: builds as much as can be built; the log is shown when it fails.
build_tree() {
    local tree=$1 jobs=() keep_going=-k
    shift
    if [ -f "$tree/build.ninja" ]; then keep_going=-k0; else jobs=("-j$(nproc)"); fi
    if ! cmake --build "$tree" "${jobs[@]}" --target "$@" -- "$keep_going" \
        >"$tree/build.log" 2>&1 9>&-; then
        # What follows a failure is its text; the lines of what went well only hide it.
        grep -vE '^(\[[0-9]+/[0-9]+\] (Building|Linking|Generating|Guest|Checking|Re-checking|Re-running)|\[ *[0-9]+%\])' \
            "$tree/build.log" >&2 || true
        return 1
    fi
}
