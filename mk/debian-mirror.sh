# For scripts to source: where Debian's packages come from.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=sh

# Prints $DEBIAN_MIRROR, or the first of apt's sites that has this system's release, and is not its
# security archive. Prints nothing if apt knows none.
debian_mirror() {
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        echo "$DEBIAN_MIRROR"
        return
    fi
    # shellcheck disable=SC1091 # of the host
    # shellcheck disable=SC2016 # for apt to expand
    apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
        awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
            '$2 == release { print $1; exit }'
}
