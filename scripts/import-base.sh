#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Make build/stock/src: the pristine QEMU tree, as a git repository of one
# commit whose hash depends on the tree alone. HOST_CLOCK_QEMU_SRC names an
# unpacked tree or a git checkout, 'debian' the source package; without it an
# imported tree stays.

. "$(dirname "$0")/env.sh"
set -o pipefail

stock=$HOST_CLOCK_BUILD/stock
src=$stock/src
wanted=${HOST_CLOCK_QEMU_SRC:-}
[ -n "$wanted" ] || [ ! -f "$stock/base" ] || exit 0

new=$stock/src.new
rm -rf "$new"
mkdir -p "$stock"
trap 'rm -rf "$new"' EXIT

# The files of a git checkout as they are now, and the subprojects that QEMU's
# own scripts download beside them.
list_checkout() {
    git -c safe.directory='*' -C "$1" ls-files -z -co --exclude-standard |
        while IFS= read -r -d '' file; do
            [ ! -e "$1/$file" ] && [ ! -L "$1/$file" ] || printf '%s\0' "$file"
        done
    [ ! -d "$1/subprojects" ] ||
        (cd "$1" && find subprojects -name .git -prune -o ! -type d -print0)
}

copy_tree() {
    mkdir "$new"
    if [ -e "$1/.git" ]; then
        list_checkout "$1" | sort -zu | tar -C "$1" --null -T - -cf - | tar -C "$new" -xf -
    else
        tar -C "$1" --exclude=./.pc --exclude=./build --exclude=./.git -cf - . |
            tar -C "$new" -xf -
    fi || die "could not copy $1 to $new. Is the disk full?"
}

unpack_debian() {
    local dsc
    dsc=$("$HOST_CLOCK_ROOT/scripts/fetch-source.sh") || exit 1
    say "unpacking $(basename "$dsc")"
    # apt has verified the signature; dpkg-source checks the checksums once
    # more, which finds a damaged cache.
    dpkg-source -x "$dsc" "$new" > "$stock/unpack.log" 2>&1 ||
        die "could not unpack $dsc (see $stock/unpack.log)." \
            "If it is damaged, remove $(dirname "$dsc") and run the same command again"
    rm -rf "$new/.pc"
}

commit_base() {
    say "recording QEMU $(cat "$new/VERSION") as the base commit"
    export GIT_AUTHOR_NAME=host-clock GIT_AUTHOR_EMAIL=host-clock@localhost
    export GIT_AUTHOR_DATE='2025-01-01T00:00:00+0000'
    export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
    export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
    { plain_git -c init.defaultBranch=base init -q "$new" &&
          plain_git -C "$new" config core.looseCompression 1 &&
          plain_git -C "$new" config gc.auto 0 &&
          plain_git -C "$new" add -f -A &&
          plain_git -C "$new" commit -q -m "QEMU $(cat "$new/VERSION")"; } ||
        die "could not record the base tree in $new. Is the disk full?"
}

if [ -n "$wanted" ] && [ "$wanted" != debian ]; then
    say "copying $wanted"
    copy_tree "$wanted"
else
    unpack_debian
fi
"$HOST_CLOCK_ROOT/scripts/tree.py" supported "$new" || exit 1
commit_base
"$HOST_CLOCK_ROOT/scripts/tree.py" try "$new" || exit 1

if [ -d "$src/.git" ]; then
    # Move the existing tree: files that stay the same keep their times, and
    # ninja rebuilds only what differs.
    plain_git -C "$src" fetch -q "$new" base &&
        plain_git -C "$src" reset -q --hard FETCH_HEAD ||
        die "could not bring $src to the new base. Remove $stock and build again"
else
    mv "$new" "$src"
fi
echo "${wanted:-debian}" > "$stock/base"
