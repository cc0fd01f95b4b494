# SPDX-License-Identifier: Apache-2.0
# For tests that kill what publications depend on, sourced after lib.sh: two publishers, and what the server acknowledged to them.

gun=example.com/crash/

# make_publishers: the collections "${gun}1" and "${gun}2", of the users p1 and p2.
make_publishers() {
    local publisher
    echo content >content
    journal=$SCRATCH/tmp/journal
    touch "$journal"
    for publisher in 1 2; do
        new_user "p$publisher"
        succeeds notary_of "p$publisher" init --publish "$gun$publisher"
        succeeds notary_of "p$publisher" key rotate "$gun$publisher" snapshot --server-managed
    done
}

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

# start_publishers, stop_publishers: both at work from here on; and until here.
start_publishers() {
    local publisher
    publishers=()
    for publisher in 1 2; do
        publish_for_ever $publisher &
        publishers+=($!)
        echo $! >"$SCRATCH/processes/publisher-$publisher"
    done
}
stop_publishers() {
    touch "$SCRATCH/tmp/stop"
    wait "${publishers[@]}"
}

# publications_go_on WHEN
publications_go_on() {
    local before
    before=$(wc -l <"$journal")
    more() { (($(wc -l <"$journal") > before + 2)); }
    eventually 20 more || fail "$1 publications do not go on"
}

# killed_while_they_publish ROUNDS COMMAND: COMMAND kills, and starts again.
killed_while_they_publish() {
    local round
    for ((round = 1; round <= $1; round++)); do
        publications_go_on "round $round:"
        sleep "0.$((RANDOM % 30 + 10))"
        "$2"
    done
    publications_go_on "after the last kill"
}

# acknowledged_is_there: for a reader who is new, and for the publisher.
acknowledged_is_there() {
    local publisher number user missing
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
}

# changefeed_is_whole: no gap and no repetition.
changefeed_is_whole() {
    local versions
    succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/${gun}1/_trust/changefeed?records=1000"
    versions=$(jq --raw-output '.records[].Version' <<<"$OUT")
    equal "$versions" "$(seq 1 "$(wc -l <<<"$versions")")" "timestamp versions in the changefeed"
}
