# SPDX-License-Identifier: Apache-2.0
#
# For tests of what has expired: hallmark's server and client, whose clock is set back. Sourced after lib.sh. Programs written in Go
# do not look at the clock that libfaketime sets, so the stock clients are always of today.

# some_days_ago DAYS COMMAND...
some_days_ago() {
    local days=$1
    shift
    FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "-${days}d" "$@"
}

# hallmark_ago DAYS USER VERB ARGUMENT...: as hallmark_of; the verb may be two words.
hallmark_ago() {
    local days=$1 user=$2 verb=$3
    shift 3
    # shellcheck disable=SC2086
    as "$user" env FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "-${days}d" hallmark $verb --server "$TRUST_SERVER" \
        --tlscacert "$TRUST_CA" --trust-dir "$(home "$user")/.docker/trust" "$@"
}

# serve_ago DAYS: hallmark serve on the same data and addresses, that many days ago; 0 for today.
serve_ago() {
    local registry=${REGISTRY:-127.0.0.1:$(free_port)} server=${TRUST_SERVER:-https://127.0.0.1:$(free_port)} line user
    [[ ! -e $SCRATCH/processes/hallmark ]] || crash hallmark
    # Its own authority is of that day too.
    rm -f "$HALLMARK_DATA"/ca.*
    : >"$SCRATCH/logs/hallmark.ready"
    start hallmark bash -c 'exec env FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "-$5d" hallmark serve --data "$1" \
        --registry-address "$2" --server-address "$3" >"$4"' \
        serve "$HALLMARK_DATA" "$registry" "${server#https://}" "$SCRATCH/logs/hallmark.ready" "$1"
    eventually 60 grep --quiet '^ready' "$SCRATCH/logs/hallmark.ready" || fail "hallmark serve was not ready $1 days ago"
    line=$(hallmark_ready_line)
    REGISTRY=${line#*registry=http://} REGISTRY=${REGISTRY%% *}
    TRUST_SERVER=${line#*server=} TRUST_SERVER=${TRUST_SERVER%% *}
    TRUST_CA=$HALLMARK_DATA/ca.crt
    for user in "$SCRATCH"/users/*; do
        [[ ! -d $user ]] || cp "$TRUST_CA" "$user/.docker/tls/${TRUST_SERVER#https://}/ca.crt"
    done
}
