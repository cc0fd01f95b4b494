#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time limit: 300
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need notary openssl jq
need_hallmark
need_postgresql
LOAD=${HALLMARK%/*}/hallmark-load
[[ -x $LOAD ]] || { [[ ${CI:-} != true ]] || fail "no hallmark-load beside $HALLMARK"; skip "no hallmark-load beside $HALLMARK"; }
duration=${ENDURANCE_SECONDS:-60}

start_postgresql
sql postgres "CREATE DATABASE hallmark"
certificates=$SCRATCH/certificates
mkdir "$certificates"
make_certificates "$certificates"
certificate=$certificates/server.crt key=$certificates/server.key ca=$certificates/ca.crt
servers=() signers=()
for number in 1 2 3; do servers[number]=127.0.0.1:$(free_port); done
for number in 1 2; do signers[number]=127.0.0.1:$(free_port); done

# start_instance NAME OPTION...: one service, which need not be ready at once.
start_instance() {
    local name=$1
    shift
    start "$name" env "${SIGNER_ENVIRONMENT[@]}" HALLMARK_DATABASE="$(database_url hallmark)" \
        hallmark serve --data "$SCRATCH/$name" "$@"
}
start_signer() {
    start_instance "signer-$1" --only signer --signer-address "${signers[$1]}" --signer-certificate "$certificate" \
        --signer-key "$key" --signer-client-ca "$ca"
}
start_server() {
    start_instance "server-$1" --only server --server-address "${servers[$1]}" --tls-certificate "$certificate" \
        --tls-key "$key" --signer "${signers[1]}" --signer "${signers[2]}" --signer-ca "$ca" \
        --signer-client-certificate "$certificate" --signer-client-key "$key"
}
answers() { curl --silent --fail --max-time 2 --cacert "$ca" "https://$1/v2/"; }

step "three trust servers and two signers start on one database"
start_signer 1
eventually 20 grep -q '^ready' "$SCRATCH/logs/signer-1" || fail "the first signer was not ready within 20 s"
start_signer 2
for number in 1 2 3; do start_server $number; done
for number in 1 2 3; do eventually 20 answers "${servers[number]}" || fail "server $number was not ready within 20 s"; done

step "16 publishers publish to 64 collections, and readers read, through all of them"
gun=example.com/endurance/
"$LOAD" endure --url "https://${servers[1]}" --url "https://${servers[2]}" --url "https://${servers[3]}" --cacert "$ca" \
    --prefix "$gun" --seconds "$duration" >"$SCRATCH/tmp/report" 2>"$SCRATCH/logs/load" &
load=$!
echo $load >"$SCRATCH/processes/load"
eventually 60 grep -q '^publishing' "$SCRATCH/tmp/report" || fail "the collections were not made"

step "meanwhile, at random moments, a server or a signer is killed, or the database is restarted"
RANDOM=${ENDURANCE_SEED:-$RANDOM}
kills=() end=$((SECONDS + duration - 6))
while ((SECONDS < end)); do
    sleep "$((RANDOM % 2)).$((RANDOM % 90 + 10))"
    case $((RANDOM % 6)) in
    0 | 1 | 2)
        number=$((RANDOM % 3 + 1))
        crash "server-$number"
        sleep "0.$((RANDOM % 90 + 10))"
        start_server $number
        kills+=("server-$number")
        ;;
    3 | 4)
        number=$((RANDOM % 2 + 1))
        crash "signer-$number"
        sleep "0.$((RANDOM % 90 + 10))"
        start_signer $number
        kills+=("signer-$number")
        ;;
    5)
        if ((RANDOM % 2)); then crash_postgresql; else stop_postgresql; fi
        start_postgresql
        kills+=(postgresql)
        ;;
    esac
done
echo "    ${#kills[@]} kills: $(printf '%s\n' "${kills[@]}" | sort | uniq -c | tr -s ' \n' ' ')"

step "what was acknowledged is there at every server, no version had other bytes, no reader saw one go back"
CODE=0
wait $load || CODE=$?
rm "$SCRATCH/processes/load"
OUT=$(tail -n +2 "$SCRATCH/tmp/report") ERR=$(<"$SCRATCH/logs/load") COMMAND="hallmark-load endure"
((CODE == 0)) || fail "the promise was not kept"
echo "    $(jq --raw-output '"\(.acknowledged) publications acknowledged, \(.conflicts) lost a race, \(.unknown) without an answer, longest pause \(.longestPauseSeconds * 10 | floor / 10) s; \(.reads) reads, \(.unansweredReads) without an answer"' <<<"$OUT")"
(($(jq .acknowledged <<<"$OUT") >= duration)) || fail "hardly anything was published"
for name in server-{1,2,3} signer-{1,2}; do is_up "$name" || fail "$name has ended"; done

step "the stock client verifies every collection"
TRUST_SERVER=https://${servers[1]} TRUST_CA=$ca REGISTRY=unused
new_user reader
for ((number = 0; number < 64; number++)); do succeeds notary_of reader list "$gun$number"; done

step "the changefeed has every version of every collection once, in order"
for ((number = 0; number < 64; number += 16)); do
    succeeds curl --silent --fail --cacert "$ca" "https://${servers[2]}/v2/$gun$number/_trust/changefeed?records=10000"
    versions=$(jq --raw-output '.records[].Version' <<<"$OUT")
    equal "$versions" "$(seq 1 "$(wc -l <<<"$versions")")" "timestamp versions of $gun$number in the changefeed"
done
