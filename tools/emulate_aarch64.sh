#!/usr/bin/env bash
# Builds and runs the kernels' and the index's tests for AArch64 on an emulated processor, so that what is written for NEON
# can be tested on a machine without it. For correctness only: nothing can be timed here.
#
#   tools/emulate_aarch64.sh                            all of them, with and without products of bytes (`dotprod`)
#   tools/emulate_aarch64.sh -p sbmoe-kernels agreement what `cargo test` is asked for, on each processor
#
# Debian's packages gcc-aarch64-linux-gnu and qemu-user-static are needed, and Rust's target (rustup target add
# aarch64-unknown-linux-gnu). What is built is in target/aarch64-unknown-linux-gnu.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=aarch64-unknown-linux-gnu
for needed in aarch64-linux-gnu-gcc qemu-aarch64-static; do
    if ! command -v "$needed" >/dev/null; then
        echo "$needed is missing: apt-get install gcc-aarch64-linux-gnu qemu-user-static" >&2
        exit 2
    fi
done
if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
    echo "Rust's target is missing: rustup target add $target" >&2
    exit 2
fi

[ $# -gt 0 ] || set -- -p sbmoe-kernels -p sbmoe-index
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# The first has every extension; the second, of the Raspberry Pi 4, has none.
for processor in max cortex-a72; do
    echo "== $processor"
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu $processor -L /usr/aarch64-linux-gnu" \
        cargo test --target "$target" "$@"
done
