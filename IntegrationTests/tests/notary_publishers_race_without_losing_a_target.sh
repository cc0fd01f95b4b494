#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
gun=example.com/tools/raced
echo content >content
new_user alice
succeeds notary_of alice init --publish $gun
succeeds notary_of alice key rotate $gun snapshot --server-managed
publishers=4 targets=4

# publish_until_done NAME: a publisher with a copy of the owner's keys; one that was overtaken tries again.
publish_until_done() {
    local number attempt
    for ((number = 0; number < targets; number++)); do
        for ((attempt = 0; ; attempt++)); do
            ((attempt < 40)) || return 1
            notary_of "$1" add --publish $gun "$1-$number" content >>"$SCRATCH/logs/$1" 2>&1 && break
            notary_of "$1" reset --all $gun >/dev/null 2>&1
        done
    done
}

step "$publishers publishers at once, $targets targets each"
pids=()
for ((publisher = 0; publisher < publishers; publisher++)); do
    new_user "p$publisher"
    copy_keys alice "p$publisher"
    publish_until_done "p$publisher" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "a publisher gave up"; done

step "a fresh client sees every one"
new_user bob
succeeds notary_of bob list $gun
equal "$(grep -c ' targets$' <<<"$(sed 's/ *$//' <<<"$OUT")")" $((publishers * targets)) "number of targets"

step "and one that lost the race was told so, not that it won"
equal "$(cat "$SCRATCH"/logs/p? | grep -c 'Successfully published')" $((publishers * targets)) "successful publications"
equal "$(metadata $gun targets | jq .signed.version)" $((publishers * targets + 2)) "version of targets"
