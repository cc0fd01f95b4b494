#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

need script
start_servers
new_user alice
new_user bob
layout source "some content" --layers 3 --layer-bytes 3000000
image=$REGISTRY/team/app:1.0

step "in a pipe there is none"
succeeds hallmark_of alice push source "$image"
never_says "KiB"
never_says "MiB"
[[ $ERR != *$'\r'* ]] || fail "a line was redrawn"
succeeds hallmark_of bob pull "$image" out
never_says "MiB"

step "on a terminal a line is redrawn, and gone in the end"
# `script` runs the command with $SHELL, and a shell that is not bash drops exported functions.
export -f hallmark_of as home
export SCRATCH TRUST_SERVER TRUST_CA REGISTRY
succeeds env SHELL="$(type -P bash)" script --quiet --return --command "hallmark_of bob pull $image again" terminal
grep --quiet --text ' of [0-9]* done, .*iB of .*iB (.* %)' terminal || fail "no progress: $(cat terminal)"
tr '\r' '\n' <terminal | grep --text --quiet "^Pulled $image@" || fail "the answer is not on a line of its own"

step "nor with JSON"
succeeds env SHELL="$(type -P bash)" script --quiet --return --command "hallmark_of bob pull --output json $image third" json-terminal
! grep --quiet --text '[KM]iB' json-terminal || fail "progress beside JSON"
