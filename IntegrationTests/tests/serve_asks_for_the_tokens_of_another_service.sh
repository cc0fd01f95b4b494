#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need python3 openssl curl jq skopeo notary
need_hallmark

# new_key: the token service's key and certificate, in place of those it had.
new_key() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.new -out bundle.new -days 30 -subj "/CN=tokens" 2>/dev/null
    mv bundle.new bundle.pem
    mv key.new key.pem
}

# serve ARGUMENT...: the registry and the trust server.
serve() {
    start_service hallmark --data "$PWD/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 \
        --log-level info "$@"
    REGISTRY=$(ready_address hallmark registry) REGISTRY=${REGISTRY#http://}
    TRUST_SERVER=$(ready_address hallmark server)
    TRUST_CA=$PWD/data/ca.crt
}

new_key
port=$(free_port)
realm=http://127.0.0.1:$port/token
start token-server python3 "$HERE/token_server.py" "$port" "$PWD/key.pem"
eventually 10 curl --silent --fail "$realm?service=x" || fail "the token server did not start"
serve --auth-realm "$realm" --auth-service "our images" --auth-issuer python --auth-certificates bundle.pem

step "whoever has no token is told where to get one, by both servers"
succeeds curl --silent --show-error --include "http://$REGISTRY/v2/team/app/tags/list"
says "HTTP/1.1 401"
says "Bearer realm=\"$realm\",service=\"our images\",scope=\"repository:team/app:pull\""
says '"code":"UNAUTHORIZED"'
succeeds curl --silent --show-error --include --cacert "$TRUST_CA" \
    "$TRUST_SERVER/v2/example.com/app/_trust/tuf/root.json"
says "HTTP/1.1 401"
says "Bearer realm=\"$realm\",service=\"our images\",scope=\"repository:example.com/app:pull\""
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/_notary_server/health"

step "skopeo pushes and pulls with a password, and not without"
copy() { skopeo --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false "$@"; }
layout image "some text"
fails copy --dest-no-creds oci:image:latest "docker://$REGISTRY/team/app:1"
succeeds copy --dest-creds alice:secret oci:image:latest "docker://$REGISTRY/team/app:1"
succeeds copy --src-creds alice:secret "docker://$REGISTRY/team/app:1" oci:back:1
equal "$(layout_digest back)" "$(layout_digest image)" "digest"
fails copy --src-creds alice:wrong "docker://$REGISTRY/team/app:1" oci:none:1
succeeds copy --src-creds alice:secret --dest-creds alice:secret \
    "docker://$REGISTRY/team/app:1" "docker://$REGISTRY/team/copy:1"

step "notary publishes and verifies with it, and not without"
export NOTARY_AUTH
NOTARY_AUTH=$(printf alice:secret | base64)
publishes_with_notary example.com/app
new_user reader
NOTARY_AUTH=$(printf alice:wrong | base64) fails notary_of reader list example.com/app

step "the access log has names, and no tokens"
grep --quiet 'user=alice' "$SCRATCH/logs/hallmark" || fail "no line names alice"
grep --quiet 'refused=no_token' "$SCRATCH/logs/hallmark" || fail "no line says why"
! grep --quiet -e 'eyJ' -e 'secret' "$SCRATCH/logs/hallmark" || fail "it logs what it should keep to itself"

# token SCOPE
token() { curl --silent --fail --user alice:secret --get --data-urlencode "service=our images" \
    --data-urlencode "scope=$1" "$realm" | jq --raw-output .token; }

# tags TOKEN: the status of a request with it.
tags() { curl --silent --output /dev/null --write-out '%{http_code}' --header "Authorization: Bearer $1" \
    "http://$REGISTRY/v2/team/app/tags/list"; }

step "a new key of the token service counts at once, and the old one no longer"
old=$(token repository:team/app:pull)
equal "$(tags "$old")" 200 "status with a token"
new_key
new=$(token repository:team/app:pull)
opens() { [[ $(tags "$new") == 200 ]]; }
eventually 10 opens || fail "the token of the new key does not count"
equal "$(tags "$old")" 401 "status with a token of the old key"

step "it does not start without what it needs"
stop hallmark
exits 1 hallmark serve --data "$PWD/data" --auth-realm "$realm" --auth-service x --auth-issuer y --auth-certificates absent.pem
says absent.pem
echo nothing >absent.pem
exits 1 hallmark serve --data "$PWD/data" --auth-realm "$realm" --auth-service x --auth-issuer y --auth-certificates absent.pem
says "no PEM certificate"
for missing in auth-service auth-issuer auth-certificates; do
    arguments=(--auth-realm "$realm")
    for option in auth-service auth-issuer auth-certificates; do
        [[ $option == "$missing" ]] || arguments+=("--$option" key.pem)
    done
    exits 2 hallmark serve --data "$PWD/data" "${arguments[@]}"
    says "--$missing"
done
