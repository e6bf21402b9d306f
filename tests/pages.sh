#!/bin/sh
# The pages that Godwit writes, in Chromium, in light and dark: axe finds nothing wrong with contrast,
# labels, headings and the keyboard, and no page writes to the console. axe comes from npm. Takes about
# two minutes.
#
#   tests/pages.sh FOLDER [QEMU]
#
# FOLDER keeps axe and the pages.
#
# SPDX-License-Identifier: MIT
set -eu
folder=$1
qemu=${2:-qemu-system-x86_64}
godwit=${GODWIT:-build/godwit}
mkdir -p "$folder"
[ -e "$folder/node_modules/axe-core/axe.min.js" ] ||
    npm install --silent --no-audit --no-fund --prefix "$folder" axe-core
on="--arch x86_64 --accel tcg"
small="--window 0x100000:0x300000"

# Writes a page. What it reports does not matter, but that it could be written: status 0 or 1.
page() {
    name=$1
    shift
    echo "writing $name.html"
    status=0
    # shellcheck disable=SC2086 # words
    "$godwit" "$@" $on -f "html:$folder/$name.html" >"$folder/log" 2>&1 || status=$?
    [ "$status" -lt 2 ] || {
        cat "$folder/log"
        exit 1
    }
}
page run run --quick --qemu "$qemu"
page migrate migrate --unthrottled --qemu "$qemu"
# shellcheck disable=SC2086 # words
page compare compare --a "$qemu" --set-b downtime-limit=200 --runs 6 $small
# shellcheck disable=SC2086 # words
page sweep sweep --qemu "$qemu" --runs 2 --over dirty-rate=2000,30000 --over max-bandwidth=8000000,64000000 $small
# Two paths are two QEMUs, and the second one has another clock: there is a finding to show.
cat >"$folder/other" <<END2
#!/bin/sh
case "\$*" in
*-incoming*) exec $qemu "\$@" -rtc base=2001-02-03,clock=host ;;
esac
exec $qemu "\$@"
END2
chmod +x "$folder/other"
page compat compat --devices 'usb-k*' --cpu-models none "$qemu" "$folder/other"

# Prints what axe finds in PAGE, a line each, by way of a copy of it with axe inside.
look() {
    perl -0777 -e '
        my ($page, $axe) = map { open my $f, "<", $_ or die "$_: $!\n"; <$f> } @ARGV;
        $axe =~ s{</script}{<\\/script}g;
        my $run = q{axe.run({resultTypes: ["violations"]}).then(found => {
            const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
            const lines = found.violations.map(v => dark + ": " + v.id + ", " + v.nodes.length + " times: " +
                v.help + ": " + v.nodes[0].html.slice(0, 100).replace(/\s+/g, " "));
            const out = document.createElement("pre");
            out.id = "axe-result";
            out.textContent = [dark + " looked at", ...lines].join("\n");
            document.body.appendChild(out);
        })};
        $page =~ s{</body>}{<script>$axe</script><script>$run</script></body>};
        print $page' "$1" "$folder/node_modules/axe-core/axe.min.js" >"$folder/with-axe.html"
    for scheme in 0 1; do
        chromium --headless --no-sandbox --disable-gpu --blink-settings=preferredColorScheme=$scheme \
            --virtual-time-budget=60000 --enable-logging=stderr --dump-dom "file://$folder/with-axe.html" \
            2>"$folder/console" |
            sed -n '/<pre id="axe-result">/,/<\/pre>/p' | sed 's/<[^>]*>//g'
        grep CONSOLE "$folder/console" || true
    done
}

bad=0
for name in run migrate compare sweep compat; do
    look "$folder/$name.html" >"$folder/found"
    sed "s/^/$name: /" "$folder/found"
    # Both schemes were looked at, and nothing else was said.
    printf 'dark looked at\nlight looked at\n' | cmp -s - "$folder/found" || bad=1
done
exit $bad
