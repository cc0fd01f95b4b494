#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary skopeo
need_hallmark "only hallmark has this command"

step "on ports of the system's choice the ready line tells which"
REGISTRY=127.0.0.1:0 TRUST_SERVER=https://127.0.0.1:0
start_hallmark
equal "$(grep -c '^ready ' "$SCRATCH/logs/hallmark.ready")" 1 "ready lines"
[[ $REGISTRY != *:0 && $TRUST_SERVER != *:0 ]] || fail "the ready line has port 0"
equal "$(hallmark_ready_line)" "ready registry=http://$REGISTRY server=$TRUST_SERVER" "the ready line"
ca=$(sha256sum <"$TRUST_CA")
new_user alice
gun=example.com/kept
echo content >content
layout image "kept"
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun v1 content
succeeds skopeo --insecure-policy copy --dest-tls-verify=false oci:image:latest "docker://$REGISTRY/kept/image:1.0"

step "private keys are nobody else's to read"
readable=$(find "$HALLMARK_DATA" \( -name '*.key' -o -name '*passphrase*' -o -path '*/signer/*' \) -type f -perm /077)
equal "$readable" "" "files of keys that others may read"

step "SIGTERM ends it with exit code 0, a request in flight included"
exec 3<>"/dev/tcp/${REGISTRY%:*}/${REGISTRY#*:}"
printf 'GET /v2/ HTTP/1.1\r\nHost: x\r\n' >&3
stop hallmark
equal "$CODE" 0 "exit code"
exec 3>&-

step "a second start has everything, under the same CA"
start_hallmark
equal "$(sha256sum <"$TRUST_CA")" "$ca" "the CA's certificate"
succeeds notary_of alice verify $gun v1 --input content
succeeds notary_of alice add --publish $gun v2 content
equal "$(registry_digest kept/image 1.0)" "$(layout_digest image)" "digest"

step "an address in use, a data directory that is none, and bad options are refused with a reason"
exits 1 timeout 20 hallmark serve --data "$SCRATCH/tmp/other" --registry-address "$REGISTRY" --server-address 127.0.0.1:0
says "$REGISTRY"
touch "$SCRATCH/tmp/file"
exits 1 timeout 20 hallmark serve --data "$SCRATCH/tmp/file" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0
exits 2 timeout 20 hallmark serve --no-such-option
exits 2 timeout 20 hallmark serve --data "$SCRATCH/tmp/other" --registry-address nonsense
still_answers

step "SIGINT ends it as well"
pid=$(process hallmark)
kill -INT "$pid"
await_exit "$pid" 10 || fail "did not end within 10 s of SIGINT"
rm "$SCRATCH/processes/hallmark"
