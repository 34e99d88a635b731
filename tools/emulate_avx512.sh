#!/usr/bin/env bash
# Runs a Linux program on an emulated processor that has AVX-512 (F, BW, VL, DQ), AVX512_VNNI, AVX512_BF16 and
# AVX-VNNI, so that what is written for those can be tested on a machine without them. For correctness only: nothing can
# be timed here.
#
#   cargo test -p sbmoe-kernels --no-run          prints the paths of the test binaries
#   tools/emulate_avx512.sh target/debug/deps/it-… --test-threads=1 agreement
#
# Bochs plays the processor (QEMU's own emulation ends at AVX2); on it Debian's kernel boots into a RAM disk that holds
# busybox, the program and its shared libraries. What the program writes, errors too, comes on standard output, and its
# exit status is returned; 125 says that the emulation itself failed. Variables that begin with SBMOE_, RUST_ or
# PROPTEST_ are passed on. The program has one processor, no network, no standard input and no files but those that
# EMULATOR_FILES names (separated by spaces; folders too). EMULATOR_MEMORY is in MiB (1024).
#
# Needs Debian 12 or later on x86-64 with g++ and make, and at first the network: packages are unpacked and Bochs is
# built in target/emulator, which can be removed at any time. Nothing is installed, and root is not needed.
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: tools/emulate_avx512.sh PROGRAM [ARGUMENT…]" >&2
    exit 2
fi
cache=$(realpath -m "${CARGO_TARGET_DIR:-$(dirname "${BASH_SOURCE[0]}")/../target}/emulator")
system=$cache/system

prepare() {
    # Lists of our own, since Bochs comes from Debian 13: 2.7 of Debian 12 has no processor with AVX512_BF16.
    local release mirror line kernel libraries uri file sum keys=/usr/share/keyrings/debian-archive-keyring.gpg
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $release" | sed -n 1p)
    mkdir -p "$cache"/{lists/partial,archives/partial,packages,source}
    for line in "deb $release" "deb trixie" "deb-src trixie"; do
        echo "${line% *} [signed-by=$keys] $mirror ${line#* } main"
    done | sort -u >"$cache/sources.list"
    printf '%s "%s";\n' Dir::Etc::sourcelist "$cache/sources.list" Dir::Etc::sourceparts /dev/null Dir::Cache "$cache" \
        Dir::State::lists "$cache/lists" Dir::Etc::preferencesparts /dev/null APT::Default-Release "$release" \
        APT::Sandbox::User "$(id -un)" Debug::NoLocking true >"$cache/apt.conf"
    export APT_CONFIG=$cache/apt.conf
    apt-get -qq update

    cd "$cache/packages"
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && !seen++ { print $2 }')
    # The libraries of xorriso are named differently in each release: those that this machine lacks.
    libraries=$(apt-get -qq --simulate --no-install-recommends install xorriso | awk '$1 == "Inst" { print $2 }')
    # shellcheck disable=SC2086
    apt-get -qq download "$kernel" busybox-static isolinux syslinux-common vgabios bochsbios/trixie $libraries
    for file in *.deb; do
        dpkg-deb --extract "$file" "$system"
    done

    # Built here because Debian 13's binary wants a newer libc than Debian 12 has, and pays for its debugger with speed.
    read -r uri file _ sum < <(apt-get -qq source --print-uris bochs/trixie | grep -F .orig.tar)
    /usr/lib/apt/apt-helper -qq download-file "${uri//\'/}" "$file" "$sum"
    tar -xf "$file" -C ../source --strip-components=1
    cd ../source
    # Two mistakes of Bochs 3.0: vcvtne2ps2bf16 reads past the end of a register for the upper half of its result, and
    # gathers whose addresses are in zmm16 to zmm31 are taken for illegal instructions.
    sed -i 's/(op1\.vmm32u(n));/(op1.vmm32u(n - DWORD_ELEMENTS(len)));/' cpu/avx/avx512_bf16.cc
    sed -i 's/i->setSibIndex(i->sibIndex() | (vvv & 0x10));/& vvv \&= 0xf;/' cpu/decoder/fetchdecode32.cc
    echo "building Bochs: some minutes, the first time only" >&2
    {
        ./configure CFLAGS=-O2 CXXFLAGS=-O2 --with-nogui --disable-docbook --disable-large-ramfile --enable-x86-64 \
            --enable-avx --enable-evex --enable-cpu-level=6 --enable-long-phy-address --enable-all-optimizations &&
            nice make -j"$(nproc)" bochs
    } >"$cache/build.log" 2>&1 || { tail -n 20 "$cache/build.log" >&2; return 1; }
    mv bochs "$cache/bochs"
    rm -r "$cache/source"
}

# Not `test || prepare`, which would have bash ignore what fails in it.
mkdir -p "$cache"
(flock 9; if [ ! -x "$cache/bochs" ]; then prepare; fi) 9>"$cache/lock"

run=$(mktemp -d "$cache/run.XXXXXX")
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true; rm -rf "$run"' EXIT
root=$run/root
program=$(realpath -- "$1")
shift
mkdir -p "$root"/{bin,dev,proc,sys,tmp} "$root$PWD" "$root$(dirname "$program")" "$run/disc"
cp "$system/bin/busybox" "$root/bin/"
# The line numbers of backtraces are most of a test binary, and an emulated disc is slow.
strip --strip-debug -o "$root$program" "$program"
{ ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true; } | xargs -r cp -L --parents -t "$root"
for file in ${EMULATOR_FILES:-}; do
    cp -rL --parents -t "$root" "$(realpath -s -- "$file")"
done
{
    printf '#!/bin/busybox sh\n/bin/busybox mount -t %s none /%s\n' devtmpfs dev
    printf '/bin/busybox mount -t %s none /%s\n' proc proc sysfs sys
    for name in $(compgen -e | grep -E '^(SBMOE|RUST|PROPTEST)_' || true); do
        printf 'export %s=%q\n' "$name" "${!name}"
    done
    printf 'export HOME=/tmp\n/bin/busybox stty -opost\ncd %q\necho emulated program begins\n' "$PWD"
    printf '%q ' "$program" "$@"
    # Where a signal ended it, the kernel may have said which address, as for an instruction that the emulator lacks.
    printf '</dev/null 2>&1\nstatus=$?\n[ $status -lt 128 ] || /bin/busybox dmesg | /bin/busybox grep ip:\n'
    printf 'echo emulated program ends $status\nexec /bin/busybox sleep 1000000\n'
} >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null) >"$run/disc/initrd"
cp "$system"/usr/lib/ISOLINUX/isolinux.bin "$system"/usr/lib/syslinux/modules/bios/ldlinux.c32 "$run/disc/"
cp "$system"/boot/vmlinuz-* "$run/disc/linux"
# The frequency is `ips` below: by the one that the processor's name promises, delays would take 40 times as long.
# With fsrm the kernel's memmove relies on erms, which it turns off because Bochs lacks the register that enables it.
cat >"$run/disc/isolinux.cfg" <<'END'
default linux
label linux
kernel linux
initrd initrd
append console=ttyS0,115200 quiet loglevel=1 mitigations=off clearcpuid=fsrm tsc_early_khz=50000 tsc=reliable
END
PATH=$PATH:$system/usr/bin LD_LIBRARY_PATH=$system/usr/lib/x86_64-linux-gnu xorriso -as mkisofs -quiet \
    -o "$run/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
    "$run/disc" 2>/dev/null
# Five-level page tables (la57) make Bochs panic.
cat >"$run/bochsrc" <<END
cpu: model=sapphire_rapids, exclude_features="la57", ips=50000000, reset_on_triple_fault=0
memory: guest=${EMULATOR_MEMORY:-1024}, host=${EMULATOR_MEMORY:-1024}
romimage: file=$system/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=$system/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=$run/disc.iso, status=inserted
boot: cdrom
display_library: nogui
clock: sync=none
com1: enabled=1, mode=file, dev=$run/serial
log: $run/log
panic: action=fatal
error: action=ignore
info: action=ignore
END
: >"$run/serial"
"$cache/bochs" -q -f "$run/bochsrc" >/dev/null 2>&1 </dev/null &
emulator=$!

{ tail -n +1 -s 0.1 -f --pid="$emulator" "$run/serial" || true; } | {
    begun=
    while IFS= read -r line; do
        case $line in
            "emulated program begins") begun=1 ;;
            *"emulated program ends "*) printf '%s' "${line%emulated program ends *}"; exit "${line##* }" ;;
            *"Kernel panic"*) echo "$line" >&2; exit 125 ;;
            *) [ -z "$begun" ] || printf '%s\n' "$line" ;;
        esac
    done
    echo "the emulator ended before the program did:" >&2
    tail -n 20 "$run/log" >&2
    exit 125
}
