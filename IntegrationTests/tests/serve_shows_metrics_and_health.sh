#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary curl jq
need_hallmark
REGISTRY=127.0.0.1:1
gun=example.com/operated
signer_port=$(free_port)

metric() { # ADDRESS SAMPLE: the value of a sample
    curl --silent --fail "$1/metrics" | awk -v sample="$2 " 'index($0, sample) == 1 { print substr($0, length(sample) + 1) }'
}
at_least() { # VALUE ADDRESS SAMPLE
    local found
    found=$(metric "$2" "$3")
    [[ -n $found ]] && jq --null-input --exit-status "$found >= $1" >/dev/null
}
state() { curl --silent "$1/health" | jq --raw-output ".checks[\"$2\"].status"; }
signer_is() { [[ $(state "$server_page" signer) == "$1" ]]; }

start_signer() {
    start_service signer --only signer --data "$PWD/data" --signer-address "127.0.0.1:$signer_port" \
        --operations-address 127.0.0.1:0
    signer_page=$(ready_address signer operations)
}

step "a process without HTTP services has a page of its own"
start_signer
[[ $signer_page == http://127.0.0.1:* ]] || fail "no page: $(<"$SCRATCH/logs/signer.ready")"
succeeds curl --silent --show-error --fail "$signer_page/health/live"
equal "$(state "$signer_page" "signer database")" ok

step "what is published is counted where it happens"
start_service server --only server --data "$PWD/data" --server-address 127.0.0.1:0 \
    --signer "127.0.0.1:$signer_port" --operations-address 127.0.0.1:0 --log-level info
server_page=$(ready_address server operations)
TRUST_SERVER=$(ready_address server server) TRUST_CA=$PWD/data/ca.crt
eventually 20 signer_is ok || fail "not healthy"
publishes_with_notary $gun
at_least 1 "$server_page" 'hallmark_publishes_total{result="stored"}' || fail "no publish is counted"
at_least 1 "$server_page" 'hallmark_http_requests_total{service="server",operation="UpdateTUF",code="200"}' ||
    fail "no request is counted"
at_least 1 "$server_page" 'hallmark_signatures_total{role="timestamp",algorithm="ecdsa"}' || fail "no signature is counted"
at_least 1 "$signer_page" 'hallmark_signer_requests_total{method="Sign",status="ok"}' || fail "the signer counts no call"
at_least 1000000 "$signer_page" process_resident_memory_bytes || fail "no memory"
[[ -z $(metric "$signer_page" 'hallmark_publishes_total{result="stored"}') ]] || fail "the signer counts publishes"

step "a reply has the id that its line in the log has"
id=$(curl --silent --cacert "$TRUST_CA" --include "$TRUST_SERVER/v2/" | tr -d '\r' | sed -n 's/^[Xx]-[Rr]equest-[Ii]d: //p')
[[ -n $id ]] || fail "no id"
eventually 5 grep --quiet "request=$id" "$SCRATCH/logs/server" || fail "no line with $id"

step "health names what is not there, and notices when it is again"
stop signer
eventually 30 signer_is failing || fail "health says nothing of the signer"
equal "$(curl --silent --output /dev/null --write-out '%{http_code}' "$server_page/health")" 503
equal "$(curl --silent --output /dev/null --write-out '%{http_code}' "$server_page/health/live")" 200
equal "$(state "$server_page" "server database")" ok
start_signer
eventually 30 signer_is ok || fail "still not healthy"

step "a client that asks too often is told when to come again, one behind a proxy of ours by its own address"
stop server
start_service server --only server --data "$PWD/data" --server-address 127.0.0.1:0 \
    --signer "127.0.0.1:$signer_port" --operations-address 127.0.0.1:0 --limit-reads 1/3 --trusted-proxy 127.0.0.0/8
TRUST_SERVER=$(ready_address server server) server_page=$(ready_address server operations)
ask() { curl --silent --cacert "$TRUST_CA" --include --header "X-Forwarded-For: $1" "$TRUST_SERVER/v2/"; }
for _ in 1 2 3 4 5 6 7 8 9 10; do reply=$(ask 192.0.2.1); done
grep --quiet '^HTTP/1.1 429 ' <<<"$reply" || fail "not limited: $reply"
grep --quiet --ignore-case '^retry-after: 1' <<<"$reply" || fail "when is not said: $reply"
grep --quiet '"code":"TOOMANYREQUESTS"' <<<"$reply" || fail "not in the protocol's form: $reply"
ask 192.0.2.2 | grep --quiet '^HTTP/1.1 200 ' || fail "another client is limited too"
at_least 1 "$server_page" 'hallmark_http_refused_total{service="server",limit="reads"}' || fail "no refusal is counted"
