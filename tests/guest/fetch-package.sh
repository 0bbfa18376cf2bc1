# SPDX-License-Identifier: MIT
#
# Real kernels from Debian packages, for the tests of this folder.
# shellcheck shell=bash
#
#     fetch_package NAME ARCH    the package, unpacked, is in $package afterwards
#     skip REASON                ends the test as skipped
#
# $BUILD/packages/NAME_ARCH holds what was fetched once; delete it to fetch again. Package lists of
# another architecture live in a private apt state, so that nothing of the system's is changed; the
# sources and keys are the system's.

skip() {
    echo "$*"
    exit 77
}

fetch_package() {
    local name=$1 arch=$2 folder=$BUILD/packages
    local state=$folder/apt-$arch log=$folder/$1_$2.log
    package=$folder/${name}_$arch
    [ -d "$package" ] && return
    command -v apt-get >/dev/null || skip "$name:$arch cannot be had: no apt-get here"
    mkdir -p "$folder"
    (
        flock 9 # tests run beside each other
        [ -d "$package" ] && exit 0
        rm -rf "$state" "$package.new"
        mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$package.new"
        apt=(timeout 90 apt-get -q -o "Dir::State=$state" -o Dir::State::status=/dev/null
            -o "Dir::Cache=$state/cache" -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
            -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=1
            -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
        # A source that fails, or has nothing for this architecture, does not stop the others.
        "${apt[@]}" update >"$log" 2>&1
        cd "$state" && "${apt[@]}" download "$name" >>"$log" 2>&1 &&
            dpkg-deb -x ./"$name"_*.deb "$package.new" >>"$log" 2>&1 &&
            mv "$package.new" "$package"
        status=$?
        rm -rf "$state" "$package.new"
        exit $status
    ) 9>"$folder/.lock" && return
    skip "$name:$arch cannot be had: $(grep -m 1 -E '^(E:|W: Failed)' "$log" || tail -n 1 "$log")"
}

# unpack_file FILE.gz TO: FILE as it is loaded. A package without it is a failure, not a skip.
unpack_file() {
    [ -f "$2" ] && return
    mkdir -p "$(dirname "$2")"
    if ! gunzip -c "$1" >"$2.new"; then
        echo "no $1 in the package"
        exit 1
    fi
    mv "$2.new" "$2"
}
