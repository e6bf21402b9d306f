#compdef godwit
# Completion of godwit for zsh. The program itself knows what can come: `godwit complete`.
#
# SPDX-License-Identifier: MIT

_godwit() {
    local line candidate
    local -a candidates descriptions before
    # The program's words: those before the cursor, and what is before it in the last one.
    before=("${(@Q)words[2,CURRENT-1]}" "$PREFIX")
    for line in "${(@f)$(${(Q)~words[1]} complete "${before[@]}" 2>/dev/null)}"; do
        candidate=${line%%$'\t'*}
        if [[ $line == :files ]]; then
            compset -P '--*='
            _files
        elif [[ -n $candidate ]]; then
            candidates+=("$candidate")
            descriptions+=("$candidate  ${line#*$'\t'}")
        fi
    done
    (($#candidates)) && compadd -l -d descriptions -a candidates
}

_godwit "$@"
