# Completion of godwit for fish. The program itself knows what can come: `godwit complete`.
#
# SPDX-License-Identifier: MIT

function __godwit_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] complete $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            set -l option (string match -r '^--[^=]*=' -- $current)
            __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current) | string replace -r '^' "$option"
        else
            echo $line
        end
    end
end

complete -c godwit -f -a '(__godwit_complete)'
