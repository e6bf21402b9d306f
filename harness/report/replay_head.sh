#
# The same QEMUs, with the same guest, get the same QMP commands in the same order, each after the
# events that it followed. Queries are left out.
#
# Exit status 0: the migration completed, and what was compared is equal; 1: anything else.
# QEMU=PATH starts that binary instead. The files of a run that exits with 1 are not removed.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
run=$(mktemp -d "${TMPDIR:-/tmp}/replay-XXXXXX") || exit 1
cp -R "$here/work/." "$run" && cd "$run" && rm -f core* ./*.sock || exit 1
processes=
state=none
memory='not compared'

end() {
    status=$?
    if [ $status -ne 0 ]; then
        for file in *.pid; do
            lives "${file%.pid}" || echo "${file%.pid}: QEMU has ended: $(tail -n 1 "${file%.pid}.err")"
        done
    fi
    # shellcheck disable=SC2086 # several processes
    kill -KILL $processes 2>/dev/null
    wait
    if [ $status -eq 0 ]; then rm -rf "$run"; else echo "files: $run"; fi
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# start VM COMMAND...: with QMP on VM.in and VM.out
start() {
    vm=$1
    shift
    mkfifo "$vm.in"
    : >"$vm.out"
    echo 0 >"$vm.failures"
    # Holds both ends open, so that no writer waits for a QEMU that has ended.
    tail -f /dev/null <>"$vm.in" &
    processes="$processes $!"
    "$@" <"$vm.in" >"$vm.out" 2>"$vm.err" &
    echo $! >"$vm.pid"
    processes="$processes $!"
    echo "$vm: $*"
}

# lives VM: whether its process runs
lives() {
    case $(sed 's/.*) //; s/ .*//' "/proc/$(cat "$1.pid")/stat" 2>/dev/null) in
    '' | Z | X) return 1 ;;
    esac
}

# await VM WHAT COMMAND...: until the command succeeds
await() {
    vm=$1
    what=$2
    shift 2
    limit=$(($(date +%s) + 60))
    until "$@"; do
        lives "$vm" || exit 1
        if [ "$(date +%s)" -ge $limit ]; then
            echo "$vm: no $what within 60 s; its last line: $(tail -n 1 "$vm.out")" >&2
            exit 1
        fi
        sleep 0.01
    done
}

# has_come VM COUNT NAME STATUS: whether the event has come so often
has_come() {
    # A migration that has ended makes no more iterations.
    if [ "$3" = MIGRATION_PASS ] &&
        grep -q '"MIGRATION".*"\(completed\|failed\|cancelled\)"' "$1.out"; then
        return
    fi
    failures=$(grep -c '"MIGRATION".*"failed"' "$1.out")
    if [ "$3" = MIGRATION ] && [ "$4" != failed ] && [ "$failures" -gt "$(cat "$1.failures")" ]; then
        echo "$1: the migration failed; it was $4 in the run"
        exit 1
    fi
    count=$(grep -F "\"event\": \"$3\"" "$1.out" | grep -c -F -e "$4")
    [ "$count" -ge "$2" ]
}

# event VM COUNT NAME STATUS: until the event has come COUNT times with that status
event() {
    await "$1" "event $3 $4" has_come "$@"
    echo "$1: $3${4:+ $4}"
    if [ "$3" = MIGRATION ]; then state=$4; fi
    if [ "$4" = failed ]; then echo "$2" >"$1.failures"; fi
}

# answer VM ID: the answer to that command
answer() {
    grep -v '"event": ' "$1.out" | grep "\"id\": $2[,}]"
}

# send VM ID COMMAND: until its answer is there
send() {
    printf '%s\n' "$3" >"$1.in"
    echo "$1: $3"
    await "$1" "answer to that" answer "$1" "$2" >/dev/null
    answer "$1" "$2" | grep '"error"'
}

# console VM TEXT: until the guest has printed that
console() {
    await "$1" "$2 on its console" grep -q -s "$2" "$1.serial"
}

# signal VM NAME
signal() {
    kill -"$2" "$(cat "$1.pid")"
    echo "$1: SIG$2"
}

# compare VM VM START LENGTH: their guest memory, while both are stopped
compare() {
    if [ "$state" != completed ]; then return; fi
    for side in "$1" "$2"; do
        what="\"val\":$3,\"size\":$4,\"filename\":\"$side.ram\""
        send "$side" '"memory"' "{\"execute\":\"pmemsave\",\"arguments\":{$what},\"id\":\"memory\"}"
    done
    if cmp "$1.ram" "$2.ram"; then memory=equal; else memory=DIFFERENT; fi
    echo "memory of $1 and $2: $memory"
}

