# Completion of godwit for bash. The program itself knows what can come: `godwit complete`.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

_godwit() {
    local line=${COMP_LINE:0:COMP_POINT} program word cut='' candidate
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    program=${words[0]/#\~\//$HOME/}
    word=${words[${#words[@]} - 1]}
    # bash replaces only what is behind the last of these, if it takes them for ends of words.
    if [[ $COMP_WORDBREAKS == *[=:]* && $word == *[=:]* ]]; then
        cut=${word%"${word##*[=:]}"}
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        if [[ $candidate == :files ]]; then
            compopt -o default 2>/dev/null
        else
            COMPREPLY+=("${candidate#"$cut"}")
        fi
    done < <("$program" complete "${words[@]:1}" 2>/dev/null)
}
complete -F _godwit godwit
