#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

step "a wrong file of rules or users is an error with its line"
set_password add alice alice-password
printf 'rules:\n  - users: [alice]\n    repositories: [team]\n    actions: [pul]\n' >wrong.yaml
options=(--data "$SCRATCH/wrong" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0)
exits 1 hallmark serve "${options[@]}" --users users --rules wrong.yaml
says 'wrong.yaml:4: "pul" is not an action; actions are pull, push, delete, *, catalog'
fails hallmark serve "${options[@]}" --rules wrong.yaml
says "--users"
fails hallmark serve "${options[@]}" --users nowhere
says "nowhere"
fails hallmark serve --only registry "${options[@]}" --users users
says "--registry-tls"
rm users

start_with_users --log-level info
echo 'old:$apr1$abcdefgh$0123456789012345678901' >>users

step "a user whose hash is of another kind is named, with file and line, and not let in"
eventually 10 grep --quiet "users:4: the password is not stored with bcrypt but its hash is Apache's MD5" \
    "$SCRATCH/logs/hallmark" || fail "it was not logged"
token hallmark-registry repository:public/app:pull old old-password
equal "$CODE" 401 "status"

step "both servers want a token, of their own service"
for url in "https://$REGISTRY/v2/" "$TRUST_SERVER/v2/"; do
    succeeds curl --silent --include --cacert "$TRUST_CA" "$url"
    says "401"
    says "Bearer realm=\"$TRUST_SERVER/auth/token\""
done
token hallmark-registry repository:team/app:pull alice
bearer=$(jq --raw-output .token <<<"$OUT")
succeeds curl --silent --cacert "$TRUST_CA" --header "Authorization: Bearer $bearer" "https://$REGISTRY/v2/team/app/tags/list"
says "NAME_UNKNOWN"
succeeds curl --silent --include --cacert "$TRUST_CA" --header "Authorization: Bearer $bearer" \
    "$TRUST_SERVER/v2/team/app/_trust/tuf/root.json"
says 'error="invalid_token"'

step "the realm has the name that the client knows, if it is one of ours"
succeeds curl --silent --include --cacert "$TRUST_CA" --header "Host: localhost:1" "https://$REGISTRY/v2/"
says "realm=\"https://localhost:${TRUST_SERVER##*:}/auth/token\""
succeeds curl --silent --include --cacert "$TRUST_CA" --header "Host: evil.example.com" "https://$REGISTRY/v2/"
says "realm=\"$TRUST_SERVER/auth/token\""

step "rules are taken up while it runs; wrong ones leave the old in force"
token hallmark-registry repository:team/app:pull,push alice
json .scope repository:team/app:pull,push
sed -i 's/actions: \[pull, push\]/actions: [pull]/' rules.yaml
eventually 10 grep --quiet 'rules read again' "$SCRATCH/logs/hallmark" || fail "they were not read"
token hallmark-registry repository:team/app:pull,push alice
json .scope repository:team/app:pull
echo 'rules: nonsense' >rules.yaml
eventually 10 grep --quiet 'rules.yaml:1: expected a list' "$SCRATCH/logs/hallmark" || fail "it was not logged"
token hallmark-registry repository:team/app:pull,push alice
json .scope repository:team/app:pull

step "who guesses must wait; who knows the password need not"
for guess in 1 2 3 4 5; do
    token hallmark-registry "" alice "guess-$guess"
    equal "$CODE" 401 "status of guess $guess"
done
token hallmark-registry "" alice guess-6
equal "$CODE" 429 "status of guess 6"
says "too many failed logins"
token hallmark-registry "" alice
equal "$CODE" 200 "status for who has logged in before"
grep --quiet 'a login failed.*user=alice' "$SCRATCH/logs/hallmark" || grep --quiet 'user=alice.*a login failed' "$SCRATCH/logs/hallmark" || fail "no line for it"
! grep --quiet -e guess- -e alice-password "$SCRATCH/logs/hallmark" || fail "a password is in the log"

step "keys are the owner's alone, and a restart keeps logins"
equal "$(stat -c %a "$SCRATCH/hallmark/token"/{ca.key,key.pem,refresh.key,certificates.pem} | tr '\n' ' ')" "600 600 600 644 " "modes"
succeeds curl --silent --cacert "$TRUST_CA" --user alice:alice-password \
    "$TRUST_SERVER/auth/token?service=hallmark-registry&offline_token=true"
refresh=$(jq --raw-output .refresh_token <<<"$OUT")
stop hallmark
equal "$CODE" 0 "exit code"
printf 'rules: []\n' >rules.yaml
start_service hallmark --data "$SCRATCH/hallmark" --registry-address "$REGISTRY" --server-address "${TRUST_SERVER#https://}" \
    --registry-tls --users users --rules rules.yaml
succeeds curl --silent --cacert "$TRUST_CA" --data "grant_type=refresh_token&service=hallmark-server&client_id=test" \
    --data-urlencode "refresh_token=$refresh" "$TRUST_SERVER/auth/token"
json .expires_in 300
