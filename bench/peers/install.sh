#!/usr/bin/env bash
# Installs the peers into the directory that is named, and nothing anywhere else; needs no root. A peer that can't be had here
# is said on standard output, and makes the exit status 1; the benchmarks run without it and name it as missing in the table.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1" && target=$(cd "$1" && pwd) || exit 1

# nginx and its module come from the same place and fit each other; the system's own nginx is not touched.
install_nchan() {
    local debs
    debs=$(mktemp -d) || return 1
    (cd "$debs" && apt-get download nginx libnginx-mod-nchan) >"$target/nchan.log" 2>&1 &&
        for deb in "$debs"/*.deb; do dpkg -x "$deb" "$target/nchan" || return 1; done
    local status=$?
    rm -rf "$debs"
    return $status
}

install_better_sse() {
    mkdir -p "$target/node" && cp "$here/package.json" "$target/node/" &&
        npm install --prefix "$target/node" --no-audit --no-fund >"$target/node.log" 2>&1
}

all=0
install_nchan || { echo "nginx with nchan could not be installed (see $target/nchan.log)"; all=1; }
install_better_sse || { echo "better-sse could not be installed (see $target/node.log)"; all=1; }
exit $all
