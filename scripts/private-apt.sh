# SPDX-License-Identifier: GPL-2.0-or-later
#
# A private apt configuration: other sources and lists than the machine's, the
# same mirror, proxies and keys. The machine's own set-up is only read.
# Sourced, after env.sh.

# Sets MIRROR, KEYRING and CODENAME from the machine's apt sources.
find_mirror() {
    local line
    line=$(/usr/bin/python3 "$HOST_CLOCK_ROOT/scripts/apt-mirror.py") ||
        die "no Debian mirror in this machine's apt sources." \
            "Add one to /etc/apt/sources.list.d, or set HOST_CLOCK_MIRROR=URI"
    IFS=$'\t' read -r MIRROR KEYRING CODENAME <<< "$line"
    MIRROR=${HOST_CLOCK_MIRROR:-$MIRROR}
    [ -r "$KEYRING" ] ||
        die "no keyring $KEYRING to verify Debian's signature with." \
            "Install debian-archive-keyring"
}

# private_apt DIR TYPE SUITE...: writes DIR/apt.conf for these suites.
private_apt() {
    local dir=$1 type=$2
    shift 2
    mkdir -p "$dir"/{sources,lists/partial,cache/archives/partial}
    : > "$dir/status"
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
        "$type" "$MIRROR" "$*" "$KEYRING" > "$dir/sources/debian.sources"
    # Given with -c, so read after the machine's apt.conf.d: its proxies hold,
    # its hooks do not run for us.
    cat > "$dir/apt.conf" <<END
#clear APT::Update;
#clear DPkg::Pre-Invoke;
APT::Update::Error-Mode "any";
APT::Sandbox::User "root";
Acquire::Retries "2";
Acquire::Languages "none";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/sources/";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
END
}
