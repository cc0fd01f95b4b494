#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need notary notary-server notary-signer openssl jq
need_hallmark
need_postgresql
start_postgresql
make_notary_databases
REGISTRY=127.0.0.1:1

gun=example.com/configured/a
for text in one two three four five; do echo "content $text" >"$text"; done
files=("$SCRATCH/notary/server.json" "$SCRATCH/notary/signer.json")

# publishes_and_reads NAME...: alice publishes the first, and a new user and she see all of them.
publishes_and_reads() {
    local user
    succeeds notary_of alice add --publish "$gun" "$1" "$1"
    new_user "reader-$1"
    for user in alice "reader-$1"; do
        succeeds notary_of $user list "$gun"
        equal "$(awk 'length($2) == 64 { print $1 }' <<<"$OUT" | sort | xargs)" "$(printf '%s\n' "$@" | sort | xargs)" \
            "what $user reads"
    done
}

# logs_json NAME: every line of its log is an object with a time, a level and a message.
logs_json() {
    jq --exit-status --slurp 'length > 0 and all((.time | test("^20.*Z$")) and .level != null and .message != null)' \
        <"$SCRATCH/logs/$1" >/dev/null || fail "the log of $1 is not JSON"
}

step "Debian's notary-server and notary-signer start with these files, on PostgreSQL, and somebody publishes"
start_notary_on_postgresql
new_user alice
succeeds notary_of alice init --publish "$gun"
succeeds notary_of alice key rotate "$gun" snapshot --server-managed
publishes_and_reads one
stop_notary
before=$(sha256sum "${files[@]}")

step "ours start with the same files, each in a process of its own, at the same addresses, and clients go on"
export HOME=$SCRATCH/nowhere "${SIGNER_ENVIRONMENT[@]}"
start_service signer -config "$SCRATCH/notary/signer.json"
start_service server -config "$SCRATCH/notary/server.json"
equal "$(ready_address server server)" "$TRUST_SERVER" "the server's address"
equal "$(ready_address server registry)" "" "the registry, which Notary has none of"
publishes_and_reads two one
succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/_notary_server/health"
[[ ! -e $HOME ]] || fail "with everything elsewhere there is no need of a directory, but one was made"
logs_json server
logs_json signer
grep --quiet '"message":"request"' "$SCRATCH/logs/server" || fail "no line a request at Notary's level info"

step "a signal makes the log tell less, another more"
kill -USR2 "$(process server)"
eventually 10 grep --quiet '"message":"the log level was changed","metadata":{"level":"notice"}' "$SCRATCH/logs/server" ||
    fail "SIGUSR2 changed nothing"
lines=$(grep --count '"message":"request"' "$SCRATCH/logs/server")
succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/"
kill -USR1 "$(process server)"
eventually 10 grep --quiet '"metadata":{"level":"info"}' "$SCRATCH/logs/server" || fail "SIGUSR1 changed nothing"
equal "$(grep --count '"message":"request"' "$SCRATCH/logs/server")" "$lines" "lines of requests at level notice"
succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/"
eventually 10 bash -c "(( \$(grep --count '\"message\":\"request\"' '$SCRATCH/logs/server') > $lines ))" ||
    fail "no lines of requests again"
logs_json server
stop server
stop signer

step "both files make one process of both"
start_service both -c "$SCRATCH/notary/server.json" -c "$SCRATCH/notary/signer.json"
publishes_and_reads three two one
stop both

step "Notary's variables override the files, ours both"
other=127.0.0.1:$(free_port)
start_service signer -config "$SCRATCH/notary/signer.json"
NOTARY_SERVER_SERVER_HTTP_ADDR=$other start_service server -c "$SCRATCH/notary/server.json"
equal "$(ready_address server server)" "https://$other" "the address of NOTARY_SERVER_SERVER_HTTP_ADDR"
stop server
NOTARY_SERVER_SERVER_HTTP_ADDR=127.0.0.1:1 HALLMARK_SERVER_ADDRESS=$other start_service server -c "$SCRATCH/notary/server.json"
equal "$(ready_address server server)" "https://$other" "the address of HALLMARK_SERVER_ADDRESS"
stop server
exits 1 env NOTARY_SERVER_STORAGE_DB_URL="postgres://u:secret-word@127.0.0.1:1/d" timeout 30 hallmark serve \
    -c "$SCRATCH/notary/server.json"
says NOTARY_SERVER_STORAGE_DB_URL
never_says secret-word
exits 1 env NOTARY_SERVER_STORAGE_BACKEND=mysql hallmark serve -c "$SCRATCH/notary/server.json"
says "NOTARY_SERVER_STORAGE_BACKEND: found \`mysql\`, expected postgres"

step "what is shown of the files is a file of our own, with which it starts as well"
succeeds hallmark config check -c "$SCRATCH/notary/server.json" --connect
says "The settings are right"
succeeds hallmark config show -c "$SCRATCH/notary/server.json" --origin
says "database: \"postgres://hallmark:***@127.0.0.1:$POSTGRESQL_PORT/notaryserver?sslmode=disable\""
says "server.json:1 server.http_addr"
never_says "hallmark:secret@"
succeeds hallmark config show -c "$SCRATCH/notary/server.json" --show-secrets
echo "$OUT" >own.yml
start_service server -c own.yml
equal "$(ready_address server server)" "$TRUST_SERVER" "the server's address"
publishes_and_reads four three two one
stop server
stop signer
exits 1 hallmark config check -c "$SCRATCH/notary/server.json" --connect --output json
json .valid false
json '[.problems[] | select(.severity == "error") | .setting]' '["signer.remote"]'

step "the files are as they were, and Notary goes on with them"
equal "$(sha256sum "${files[@]}")" "$before" "the files"
start_notary_on_postgresql
publishes_and_reads five four three two one
stop_notary
