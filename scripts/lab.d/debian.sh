# Debian systems in folders, for scripts/lab and scripts/arm64 to source after env.sh. `again` is what to run as root.

SUITE=trixie
lab=${REFLEXD_LAB:-$HOME/.cache/reflexd-lab}

# named_by NAME FILE...: a name that changes with the files and the suite.
named_by() { printf '%s' "$1-"; cat "${@:2}" <(echo $SUITE) | sha256sum | cut -c1-12; }

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root; run:  sudo -E $again"; }

# What apt knows of its mirrors is gone in a fresh container.
fresh_lists() {
    [ -n "$(apt-cache search --names-only '^bash$')" ] || [ "$(id -u)" != 0 ] || flock /var/lib/apt apt-get update -qq >&2
}

# A Debian mirror as this machine's own apt is told, by the archive's origin.
mirror() {
    fresh_lists
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 2>/dev/null | awk '$1 == "Debian" && $2 !~ /security/ && !seen++ {print $2}'
}

# bootstrap FOLDER VARIANT ARCHITECTURE PACKAGES [AT-HAND]: a Debian root in FOLDER, with packages AT-HAND fetched and not
# installed, so that apt needs no network for them. Nothing is left of one that failed.
bootstrap() {
    local more=()
    [ "$2" != extract ] || more=(--skip=cleanup/apt)      # they are set up later, from what was fetched
    [ -z "${5:-}" ] || more=(--skip=cleanup/apt "--customize-hook=APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -q -y --download-only install $5")
    need_root "Building ${1##*/}"
    say "Building ${1##*/} (once, some minutes) ..."
    rm -rf "$1.new"
    mmdebstrap --quiet --variant="$2" --mode=root --architectures="$3" --include="$4" \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' "${more[@]}" $SUITE "$1.new" $(mirror) > "$1.log" 2>&1 \
        || { tail -n 5 "$1.log" >&2; die "Building ${1##*/} failed; see $1.log"; }
    mv "$1.new" "$1"
}
