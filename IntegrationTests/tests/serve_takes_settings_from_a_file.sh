#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need openssl curl jq
need_hallmark "only hallmark has this command"
make_certificates "$PWD"
registry=127.0.0.1:$(free_port) server=127.0.0.1:$(free_port)
REGISTRY=$registry

step "every kind of setting in a file, with paths that begin at it"
mkdir etc
mv server.crt server.key ca.crt etc/
cat >etc/hallmark.yml <<YAML
data: data
hostname: trust.example.com
registry: {address: "$registry", tls: true}
server:
  address: $server
  client-ca: ca.crt
  gun-prefixes: [example.com/team/]
  current-max-age: 7
tls:
  certificate: ./server.crt
  key: ./server.key
log: {level: info, format: json}
YAML
succeeds hallmark config check -c etc/hallmark.yml
start_service hallmark -c etc/hallmark.yml
equal "$(ready_address hallmark registry)" "https://$registry" "the registry's URL"
[[ -e etc/data/trust.sqlite ]] || fail "the directory is not beside the file"
request() { curl --silent --show-error --cacert etc/ca.crt --write-out '\n%{http_code}' "$@"; }
mutual=(--cert etc/server.crt --key etc/server.key)

step "the trust server asks for a certificate of that CA, the registry does not"
fails request "https://$server/v2/"
succeeds request "${mutual[@]}" "https://$server/v2/"
says 200
succeeds request "https://$registry/v2/"
says 200
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.crt -days 30 \
    -subj "/CN=other" 2>/dev/null
fails request --cert other.crt --key other.key "https://$server/v2/"

step "only the collections of the file's prefix can be published"
succeeds request "${mutual[@]}" --form files=@etc/hallmark.yml "https://$server/v2/example.com/other/a/_trust/tuf/"
says INVALID_GUN
succeeds request "${mutual[@]}" --form files=@etc/hallmark.yml "https://$server/v2/example.com/team/a/_trust/tuf/"
never_says INVALID_GUN
succeeds request "${mutual[@]}" --request POST "https://$server/v2/example.com/team/a/_trust/tuf/timestamp.key"
says 200

step "each request is a line of JSON with an id, even one that is hard to write down"
request --path-as-is "https://$registry/v2/%22%0a\"\\{}/" --globoff >/dev/null 2>&1 || true
eventually 10 jq --exit-status --slurp 'map(select(.message == "request" and .metadata.status == "200")) | length >= 3' \
    "$SCRATCH/logs/hallmark" || fail "no lines of requests in JSON"
jq --exit-status --slurp 'map(select(.message == "request")) | (map(.metadata.request) | unique | length) == length' \
    "$SCRATCH/logs/hallmark" >/dev/null || fail "two requests have the same id"
stop hallmark

step "variables go before the file, options before both"
HALLMARK_REGISTRY_ADDRESS=127.0.0.1:0 HALLMARK_LOG_FORMAT=text HALLMARK_CONFIG=etc/hallmark.yml \
    start_service hallmark --only registry
[[ $(ready_address hallmark registry) != "https://$registry" ]] || fail "the variable was not asked"
equal "$(ready_address hallmark server)" "" "the trust server that was not wanted"
stop hallmark
HALLMARK_REGISTRY_ADDRESS=127.0.0.1:1 start_service hallmark -c etc/hallmark.yml --only registry --registry-address "$registry"
equal "$(ready_address hallmark registry)" "https://$registry" "the registry's URL"
stop hallmark

step "a trust server without TLS, behind a proxy, with a warning where others can listen in"
start_service hallmark --only server --only signer --data plain --server-plain-http --server-address 127.0.0.1:0
[[ $(ready_address hallmark server) == http://127.0.0.1:* ]] || fail "no URL of plain HTTP"
succeeds curl --silent --show-error --fail "$(ready_address hallmark server)/v2/"
! grep --quiet 'plain HTTP' "$SCRATCH/logs/hallmark" || fail "a warning on loopback"
[[ ! -e plain/ca.crt ]] || fail "a CA that nobody needs"
stop hallmark
start_service hallmark --only server --only signer --data plain --server-plain-http --server-address :0
grep --quiet 'plain HTTP beyond this machine' "$SCRATCH/logs/hallmark" || fail "no warning"
port=$(ready_address hallmark server)
succeeds curl --silent --show-error --fail "http://127.0.0.1:${port##*:}/v2/"
stop hallmark
