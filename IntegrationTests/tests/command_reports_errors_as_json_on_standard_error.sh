#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

start_servers
new_user alice
new_user bob
layout source "some content"
image=$REGISTRY/team/app
succeeds hallmark_of alice push source "$image:1.0"

# error CODE NAME COMMAND...: its exit code, and the same in JSON with nothing on standard output.
error() {
    local code=$1 name=$2
    shift 2
    exits "$code" "$@"
    [[ -z $OUT ]] || fail "something is on standard output"
    equal "$(jq --raw-output --compact-output '[.error.code, .error.exitCode, (.error.message | length > 10)]' <<<"$ERR")" \
        "[\"$name\",$code,true]" "the error"
}

step "each kind of failure has its code and its name"
error 10 noTrustData hallmark_of bob inspect --output json "$REGISTRY/team/unknown"
error 11 notSigned hallmark_of bob pull --output json "$image:unsigned" out
error 11 notSigned hallmark_of bob inspect --output json "$image:unsigned"
error 1 failure hallmark_of alice push --output json /nonexistent "$image:1.0"
error 20 unreachable as bob hallmark inspect --server https://127.0.0.1:1 --trust-dir "$PWD/empty" --output=json "$image"

step "the advice says what to do next, for people too"
hint=$(jq --raw-output .error.advice <<<"$(hallmark_of bob pull --output json "$image:unsigned" out 2>&1 || true)")
exits 11 hallmark_of bob pull "$image:unsigned" out
says "hallmark: no valid trust data for unsigned in $image"
says "$hint"
[[ ! -e out ]] || fail "something was written"
