#!/bin/sh
# Compares QEMUs with each other, each with the next one, and writes the tables of docs/measured.md and
# the pictures beside it anew. Nothing else should run on the host meanwhile.
#
#   mk/measured.sh DOCUMENT BUDGET QEMU QEMU...
#
# SPDX-License-Identifier: MIT
set -eu
document=$1
budget=$2
shift 2
godwit=${GODWIT:-build/godwit}
pictures=${document%.md}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$pictures"

scenarios="precopy/tcp/plain multifd/tcp/uri/plain postcopy/plain"
# shellcheck disable=SC2086 # words
listed=$(printf -- '--scenarios %s ' $scenarios)

# Writes the picture with TITLE of PAGE to FILE, with the page's colours.
picture() {
    perl -0777 -ne '
        BEGIN { our ($title, $file) = splice @ARGV, 0, 2 }
        my ($style) = m{<style>\n?(.*?)</style>}s or die "no style\n";
        for my $figure (m{<figure>.*?</figure>}gs) {
            next unless $figure =~ m{<figcaption>[^<]*\Q$title\E}s && $figure =~ m{(<svg .*?</svg>)}s;
            my $svg = $1;
            $svg =~ s{<svg }{<svg xmlns="http://www.w3.org/2000/svg" };
            $svg =~ s{>}{><style>$style svg { background: var(--ground); }</style>};
            open my $out, ">", $file or die "$file: $!\n";
            print $out "$svg\n";
            exit 0;
        }
        die "the page has no picture \"$title\"\n"' "$2" "$3" "$1"
}

# Figures without their conditions cannot be compared with later ones.
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || commit="$commit with changes"
{
    printf '\nMade on %s at commit %s by Godwit %s' "$(date -u +%Y-%m-%d)" "$commit" \
        "$("$godwit" --version | sed 's/.* //')"
    separator=', with'
    for qemu; do
        path=$qemu
        [ ! -d "$qemu" ] || path=$qemu/bin/qemu-system-x86_64
        printf '%s QEMU %s (%s)' "$separator" "$("$path" --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')" "$qemu"
        separator=,
    done
    echo .
} >"$folder/tables"
number=0
while [ $# -gt 1 ]; do
    number=$((number + 1))
    echo "$1 and $2"
    status=0
    # shellcheck disable=SC2086 # words
    "$godwit" compare --arch x86_64 --accel tcg --a "$1" --b "$2" --budget "$budget" --seed 1 $listed \
        -f "text:$folder/text" -f "html:$folder/page.html" || status=$?
    [ "$status" -lt 2 ]
    {
        printf '\n    $ godwit compare --arch x86_64 --accel tcg --a %s --b %s \\\n' "$1" "$2"
        printf '          %s --budget %s --seed 1\n' "$listed" "$budget"
        sed "s|$PWD/||; s/^/    /; s/ *\$//" "$folder/text"
    } >>"$folder/tables"
    for scenario in $scenarios; do
        for title in 'ratios of B and A' 'distribution of the blackout'; do
            name=$number-$(echo "$scenario ${title%% *}" | tr '/ ' '--').svg
            picture "$folder/page.html" "$scenario: $title" "$pictures/$name"
            printf '\n![%s: %s](%s/%s)\n' "$scenario" "$title" "${pictures##*/}" "$name" >>"$folder/tables"
        done
    done
    shift
done
perl -0777 -i -pe '
    BEGIN { open my $f, "<", shift @ARGV or die; local $/; our $tables = <$f> }
    s{(<!-- tables -->\n).*}{$1$tables}s or die "no place for the tables\n"' "$folder/tables" "$document"
