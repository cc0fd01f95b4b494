#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need notary openssl
need_hallmark
need_postgresql
start_postgresql
sql postgres "CREATE DATABASE hallmark"
start_hallmark_on_postgresql "$(database_url hallmark)"
gun=example.com/crash/
echo content >content
journal=$SCRATCH/tmp/journal
touch "$journal"
for publisher in 1 2; do
    new_user "p$publisher"
    succeeds notary_of "p$publisher" init --publish "$gun$publisher"
    succeeds notary_of "p$publisher" key rotate "$gun$publisher" snapshot --server-managed
done

# publish_for_ever PUBLISHER: notes what was acknowledged; what was not is published again under the same name.
publish_for_ever() {
    local number
    for ((number = 0; ; number++)); do
        until notary_of "p$1" add --publish "$gun$1" "t$number" content >>"$SCRATCH/logs/p$1" 2>&1; do
            notary_of "p$1" reset --all "$gun$1" >/dev/null 2>&1
            [[ ! -e $SCRATCH/tmp/stop ]] || return 0
            sleep 0.05
        done
        echo "$1 $number" >>"$journal"
        [[ ! -e $SCRATCH/tmp/stop ]] || return 0
    done
}

step "two publishers publish while the database is killed again and again"
pids=()
for publisher in 1 2; do
    publish_for_ever $publisher &
    pids+=($!)
    echo $! >"$SCRATCH/processes/publisher-$publisher"
done
for round in 1 2 3 4; do
    before=$(wc -l <"$journal")
    more() { (($(wc -l <"$journal") > before + 2)); }
    eventually 20 more || fail "round $round: publications do not go on"
    sleep "0.$((RANDOM % 30 + 10))"
    crash_postgresql
    start_postgresql
done
before=$(wc -l <"$journal")
eventually 20 more || fail "after the last kill publications do not go on"

step "those who read meanwhile are answered again as soon as it is back"
crash_postgresql
start_postgresql
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/${gun}1/_trust/tuf/timestamp.json"
touch "$SCRATCH/tmp/stop"
wait "${pids[@]}"
is_up hallmark || fail "hallmark serve has ended"

step "a fresh client verifies everything that was acknowledged, and so does the publisher"
new_user reader
while read -r publisher number; do
    echo "t$number" >>"acknowledged-$publisher"
done <"$journal"
for publisher in 1 2; do
    for user in reader "p$publisher"; do
        succeeds notary_of $user list "$gun$publisher"
        missing=$(comm -23 <(sort "acknowledged-$publisher") <(awk '{ print $1 }' <<<"$OUT" | sort))
        equal "$missing" "" "acknowledged by $publisher, and not there for $user"
    done
done
echo "    $(wc -l <"$journal") publications acknowledged"

step "the changefeed tells each version once"
succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/${gun}1/_trust/changefeed?records=1000"
versions=$(jq --raw-output '.records[].Version' <<<"$OUT")
equal "$versions" "$(seq 1 "$(wc -l <<<"$versions")")" "timestamp versions in the changefeed"

step "everything is in the database, in a schema for each service"
equal "$(sql hallmark "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'hallmark%'")" \
    "hallmark_registry hallmark_server hallmark_signer" "the schemas"
[[ ! -e $HALLMARK_DATA/trust.sqlite ]] || fail "there is an SQLite file"
