#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-qemu.sh stock|host-clock|DIR [TARGET...]: configure (when its answer would
# change) and build one of the two trees, or the one in DIR/src below the build
# folder, or only these targets of it.
#
# build-qemu.sh machines [NAME...]: the emulators of other machines than the PC,
# aarch64 and riscv64, or those that were built last, in a folder of their own.

. "$(dirname "$0")/env.sh"

kind=$1
shift
src=$HOST_CLOCK_BUILD/$kind/src
obj=$HOST_CLOCK_BUILD/$kind/obj
machines=(x86_64)
if [ "$kind" = machines ]; then
    src=$HOST_CLOCK_BUILD/host-clock/src
    obj=$HOST_CLOCK_BUILD/host-clock/machines
    [ $# != 0 ] || read -ra built 2> /dev/null < "$obj/built" ||
        die "only the PC's emulator was built. Run ./run build --targets aarch64,riscv64"
    machines=("${@:-${built[@]}}")
    set --
fi

configure_args=(
    --target-list="$(printf ',%s-softmmu' "${machines[@]}" | cut -c2-)" --without-default-features
    --enable-tcg --enable-kvm --enable-modules --enable-seccomp --enable-tools
    --disable-install-blobs --disable-download --disable-debug-info
    --python=/usr/bin/python3 "--cc=ccache gcc"
    --firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu
)
# These describe themselves to the guest with a device tree.
[ "$kind" != machines ] || configure_args+=(--enable-fdt=system)

# Meson's own regeneration sees to edits of the tree; this sees to the rest.
stamp() {
    printf '%s\n' "${configure_args[@]}" "$src" "$(gcc -dumpfullversion)" \
        "$(/usr/bin/python3 -V)" "$(dpkg-query -W -f='${Version}' meson)"
}

configure() {
    say "configuring $kind"
    rm -f "$obj/configured"
    (cd "$obj" && ../src/configure "${configure_args[@]}" > configure.log 2>&1) || {
        tail -20 "$obj/configure.log"
        die "QEMU's configure failed for $src (all of its words: $obj/configure.log)." \
            "If a package is missing, add it to scripts/packages"
    }
    stamp > "$obj/configured"
}

# A series that is verified runs the one that is about our devices.
upstream=(rtc-test)
[ "$kind" != host-clock ] ||
    upstream+=(qom-test device-introspect-test migration-test)

# The tests and benchmarks that we run, of those that this tree's meson knows.
test_targets() {
    if [ "$kind" = machines ]; then
        "$HOST_CLOCK_ROOT/scripts/tree.py" tests | sed -n 's,^machines ,tests/qtest/,p'
        return
    fi
    {
        printf 'tests/qtest/%s\n' "${upstream[@]}"
        printf 'tests/bench/%s\n' host-clock-bench host-clock-accuracy
        "$HOST_CLOCK_ROOT/scripts/tree.py" tests | sed -n 's,^\(unit\|qtest\) ,tests/\1/,p'
    } | grep -Fxf <(ninja -C "$obj" -t targets all | sed 's/: .*//')
}

# ninja does not notice another ninja in the same folder, and both would write
# the same files. Hand-run builds can take the same lock: flock obj/.lock ninja.
mkdir -p "$obj"
exec 8> "$obj/.lock"
flock -n 8 || { say "another build runs in $obj; waiting for it"; flock 8; }

[ "$(cat "$obj/configured" 2>/dev/null)" = "$(stamp)" ] && [ -f "$obj/build.ninja" ] || configure
targets=("${machines[@]/#/qemu-system-}" modules)
if [ "$kind" != stock ]; then
    # First, so that the list of tests is the one of today's meson.build.
    ninja -C "$obj" build.ninja > "$obj/regenerate.log" 2>&1 || {
        tail -20 "$obj/regenerate.log"
        die "meson failed for $src: see above"
    }
    mapfile -t tests < <(test_targets)
    targets+=(qemu-img "${tests[@]}")
fi
[ $# = 0 ] || targets=("$@")
say "building $kind"
ninja -C "$obj" "${targets[@]}" ||
    die "QEMU did not build: see the compiler's message above." \
        "Files in build/$kind/src that are links are this project's own"
# Run in place, QEMU looks for absolute firmware paths below qemu-bundle.
bundle=$obj/qemu-bundle
mkdir -p "$bundle/usr/share" "$bundle/usr/lib/ipxe"
for dir in usr/share/qemu usr/share/seabios usr/lib/ipxe/qemu; do
    [ -e "$bundle/$dir" ] || ln -sfn "/$dir" "$bundle/$dir"
done
mkdir -p "$HOST_CLOCK_BUILD/bin"
suffix=
case $kind in
host-clock) ;;
machines) echo "${machines[@]}" > "$obj/built" ;;
stock) suffix=-stock ;;
*) exit 0 ;;
esac
for machine in "${machines[@]}"; do
    ln -sfn "../${obj#"$HOST_CLOCK_BUILD/"}/qemu-system-$machine" \
        "$HOST_CLOCK_BUILD/bin/qemu-system-$machine$suffix"
done
