#!/bin/bash
# Mail servers that exclude Postfix in apt, and clients that would bring a whole server along,
# unpacked into .peers/PACKAGE instead of installed.
#
#   tests/interop/peers/unpack.sh              downloads and unpacks what is not there yet
#   tests/interop/peers/unpack.sh libraries    the packages of libraries that they need, one a line
#
# Any user may run it; it needs the package lists of apt (apt-get update).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../../.."

packages=(
    courier-authlib courier-pop exim4-daemon-light opensmtpd sendmail-bin sendmail-cf
    cyrus-clients cyrus-common
)
# Libraries of Cyrus's server, which the clients do without.
unneeded='^lib(clamav|ical|xapian|zephyr)[0-9.]*$'

if [ "${1:-}" = libraries ]; then
    apt-cache depends "${packages[@]}" |
        sed -n 's/^  Depends: \(lib[a-z0-9.+-]*\)$/\1/p' | grep -vE "$unneeded" | sort -u
    exit
fi

mkdir -p .peers
part=
trap 'rm -rf "$part"' EXIT
for package in "${packages[@]}"; do
    [ -d ".peers/$package" ] && continue
    part=$(mktemp -d ".peers/part.XXXXXX")
    (cd "$part" && apt-get download -q -o APT::Sandbox::User=root "$package" && dpkg -x ./*.deb root)
    # They run without the rights of an installed mail server.
    find "$part/root" -type f -perm /6000 -exec chmod ug-s {} +
    chmod 755 "$part/root"
    mv "$part/root" ".peers/$package"
    rm -r "$part"
done
