#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

grep --quiet ' lo$' /proc/net/if_inet6 2>/dev/null || skip "no IPv6 loopback"
step "both addresses in brackets, port 0, and a certificate that is for them"
: >ready
start six bash -c 'exec hallmark serve --data "$1" --registry-address "[::1]:0" --server-address "[::1]:0" \
    --hostname trust.example --hostname 192.0.2.7 >"$2"' serve "$PWD/data" "$PWD/ready"
eventually 20 grep --quiet '^ready ' ready || fail "not ready"
registry=$(sed -n 's|^ready registry=\([^ ]*\).*|\1|p' ready) server=$(sed -n 's|^ready .*server=||p' ready)
[[ $registry == 'http://[::1]:'* && $server == 'https://[::1]:'* ]] || fail "ready line: $(<ready)"
succeeds curl --silent --show-error --fail --globoff "$registry/v2/"
succeeds curl --silent --show-error --fail --globoff --cacert data/ca.crt "$server/v2/"

step "--hostname adds names and addresses to it"
port=${server##*:}
succeeds curl --silent --show-error --fail --cacert data/ca.crt --resolve "trust.example:$port:[::1]" \
    "https://trust.example:$port/v2/"
succeeds openssl x509 -in data/server.pem -noout -ext subjectAltName
says "192.0.2.7"
fails curl --silent --show-error --fail --cacert data/ca.crt --resolve "other.example:$port:[::1]" \
    "https://other.example:$port/v2/"

step "hallmark as its client"
layout source "six"
export HOME=$PWD/home DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=passphrase DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase
succeeds hallmark push --server "$server" --tlscacert data/ca.crt source "${registry#http://}/team/app:1"
succeeds hallmark pull --server "$server" --tlscacert data/ca.crt "${registry#http://}/team/app:1" out
layout_is_whole out || fail "not whole"
stop six
