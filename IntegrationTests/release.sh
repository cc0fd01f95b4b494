# SPDX-License-Identifier: Apache-2.0
#
# Gives back everything a test took. Sourced by the harness, which calls it when a test ends, and by the runner, which
# calls it again for a test that was killed.

# is_running PID: true for a process that exists and is not a zombie.
is_running() {
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) || return 1
    [[ -n $state && $state != Z* ]]
}

# await_exit PID SECONDS: waits until the process is gone; false when the time is up.
await_exit() {
    local -i deadline=$((SECONDS + $2))
    while is_running "$1"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# end_process_group PID: asks the leader to end, then ends all that is left of its group.
end_process_group() {
    if is_running "$1"; then
        kill -TERM "$1" 2>/dev/null || true
        kill -CONT "$1" 2>/dev/null || true
        await_exit "$1" 10 || true
    fi
    kill -KILL -- "-$1" 2>/dev/null || true
}

# release DIRECTORY: ends the processes whose ids are in DIRECTORY/processes, unmounts what is below, removes it.
release() {
    local directory=$1 file mount_point
    [[ -d $directory ]] || return 0
    for file in "$directory"/processes/*; do
        [[ -e $file ]] || continue
        end_process_group "$(<"$file")"
        rm -f "$file"
    done
    while read -r _ mount_point _; do
        printf '%b\n' "$mount_point"
    done </proc/mounts | sort -r | while read -r mount_point; do
        [[ $mount_point == "$directory"/* ]] || continue
        umount "$mount_point" 2>/dev/null || umount --lazy "$mount_point" 2>/dev/null || true
    done
    rm -rf --one-file-system "$directory"
}
