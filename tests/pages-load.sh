#!/bin/sh
# How long Chromium takes to open a page of many results: a real run, repeated until there are COUNT
# results, as if by --repeat. Fails if the median of five loads takes LIMIT milliseconds or more. A load
# ends when the whole page has been laid out.
#
#   tests/pages-load.sh FOLDER [QEMU [COUNT [LIMIT]]]
#
# FOLDER keeps the page.
#
# SPDX-License-Identifier: MIT
set -eu
folder=$1
qemu=${2:-qemu-system-x86_64}
count=${3:-10000}
limit=${4:-2000}
godwit=${GODWIT:-build/godwit}
mkdir -p "$folder"

# Which of them fail does not matter, but that there are results.
status=0
"$godwit" run --quick --arch x86_64 --accel tcg --qemu "$qemu" -f "json:$folder/one.json" >"$folder/log" 2>&1 ||
    status=$?
[ "$status" -lt 2 ] || {
    cat "$folder/log"
    exit 1
}
perl -MJSON::PP -0777 -e '
    my ($count, $path) = @ARGV;
    open my $in, "<", $path or die "$path: $!\n";
    my $document = decode_json(<$in>);
    my @once = @{$document->{results}} or die "no results\n";
    my @all = map { {%{$once[$_ % @once]}, repetition => 1 + int($_ / @once)} } 0 .. $count - 1;
    $document->{results} = \@all;
    print encode_json($document)' "$count" "$folder/one.json" >"$folder/many.json"
"$godwit" report convert --format "html:$folder/many.html" "$folder/many.json"
rows=$(grep -c '^<tr id="w' "$folder/many.html")
[ "$rows" -eq "$count" ] || {
    echo "the page has $rows rows of $count"
    exit 1
}
perl -0777 -pe '
    s{</body>}{<script>addEventListener("load", () => {
        const height = document.body.offsetHeight, all = performance.now();
        const [page] = performance.getEntriesByType("navigation");
        const out = document.createElement("pre");
        out.id = "load-result";
        out.textContent = [height > 1000, Math.round(page.domContentLoadedEventEnd), Math.round(all)].join(" ");
        document.body.prepend(out);
    })</script></body>}' "$folder/many.html" >"$folder/timed.html"
for _ in 1 2 3 4 5; do
    chromium --headless --no-sandbox --disable-gpu --timeout=60000 --dump-dom "file://$folder/timed.html" 2>"$folder/log" |
        sed -n 's/.*<pre id="load-result">true \([0-9]*\) \([0-9]*\)<.*/\1 \2/p'
done >"$folder/times"
[ "$(wc -l <"$folder/times")" -eq 5 ] || {
    echo "Chromium did not open the page five times"
    cat "$folder/log"
    exit 1
}
middle() { cut -d ' ' -f "$1" "$folder/times" | sort -n | sed -n 3p; }
echo "$count results, $(($(wc -c <"$folder/many.html") / 1000)) kB: DOMContentLoaded after $(middle 1) ms, load and" \
    "layout after $(middle 2) ms, medians of 5, $(chromium --version | cut -d . -f 1)"
[ "$(middle 2)" -lt "$limit" ]
