#!/bin/sh
# Static checks: formatting, cppcheck, shellcheck, the man page, stray words.
set -u
number=0

# check NAME COMMAND...: one test point, the command's output when it fails.
check() {
    name=$1
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        echo "$output" | head -n 60 | sed 's/^/# /'
    fi
}

c_files() {
    git ls-files '*.c' '*.h' | grep -v '^gen/.*\.h$'
}

formatted() {
    c_files | xargs clang-format --dry-run -Werror
}

narrow() {
    # clang-format breaks code where it has to, and leaves comments as they are.
    ! c_files | xargs grep -nE '^.{101,}$'
}

analysed() {
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
        --suppress=missingInclude --suppress=unknownMacro --suppress=syntaxError \
        -D__GNUC__ -Iinclude -Iharness harness gen/mkheader.c
}

scripts() {
    git ls-files '*.sh' '*.t' '*.pl' .ci/run | while read -r file; do
        case $(head -n 1 "$file") in
        *perl*) perl -c "$file" ;;
        *sh*) shellcheck --external-sources "$file" ;;
        esac || exit 1
    done
}

# Passes if git grep finds nothing, and fails if it cannot look.
none() {
    git grep "$@"
    [ $? -eq 1 ]
}

manual() {
    command -v mandoc >/dev/null || { echo 'mandoc is missing: make setup installs it'; return 1; }
    # Pages that are not installed, and lines as long as those of the sources, are no fault.
    output=$(git ls-files docs/man | xargs mandoc -T lint |
        grep -v -e 'referenced manual not found' -e 'longer than 80 bytes')
    [ -z "$output" ] || { echo "$output"; return 1; }
}

no_stray_words() {
    # Not "# TO""DO", which is TAP's word for a failure that is known.
    words='TO''DO|FIX''ME|X''XX'
    none -nP "(?<!# )\\b($words)\\b" -- . ':!LICENSE'
}

escaped() {
    # What prints and packs text of foreign origin without making it tame first.
    none -nE '\<(g_printerr|json_dumpf|json_dump_file|g_utf8_make_valid) ?\(' -- harness \
        ':!harness/base/text.c'
}

licensed() {
    # Every source file says its licence near its top. The names have no blanks.
    git ls-files '*.c' '*.h' '*.S' '*.asm' '*.inc' '*.ld' | xargs awk '
        FNR == 1 { if (file && !said) print file; file = FILENAME; said = 0 }
        FNR <= 30 && /SPDX-License-Identifier: MIT/ { said = 1 }
        END { if (!said) print file }' | sed 's/$/: no SPDX line/' | { ! grep .; }
}

check 'C files are formatted' formatted
check 'no line of C has more than 100 columns' narrow
check 'cppcheck finds nothing' analysed
check 'shell and perl scripts are clean' scripts
check 'the man page is clean' manual
check 'nothing is left to be done later' no_stray_words
check 'every source file has its licence' licensed
check 'text of foreign origin is escaped in one place' escaped
echo "1..$number"
