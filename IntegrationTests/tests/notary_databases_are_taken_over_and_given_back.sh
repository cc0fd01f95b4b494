#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need notary notary-server notary-signer openssl
need_hallmark
need_postgresql
start_postgresql
make_notary_databases
REGISTRY=127.0.0.1:$(free_port)

gun=example.com/taken/
for text in one two three four five six; do echo "content $text" >"$text"; done

# reads USER GUN NAME...: the stock client verifies these targets and no others.
reads() {
    local user=$1 collection=$2 names
    shift 2
    succeeds notary_of "$user" list "$collection"
    names=$(awk 'length($2) == 64 { print $1 }' <<<"$OUT" | sort | xargs)
    equal "$names" "$(printf '%s\n' "$@" | sort | xargs)" "what $user reads of $collection"
}

step "Notary's own server and signer, on PostgreSQL: a collection whose snapshot its publisher signs, one with a delegation"
start_notary_on_postgresql
new_user alice
new_user bob
succeeds notary_of alice init --publish "${gun}a"
succeeds notary_of alice add --publish "${gun}a" one one
succeeds notary_of alice init --publish "${gun}b"
succeeds notary_of alice key rotate "${gun}b" snapshot --server-managed
succeeds openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout bob.key -out bob.crt -days 30 \
    -subj "/CN=bob"
succeeds notary_of alice delegation add "${gun}b" targets/releases bob.crt --all-paths --publish
succeeds notary_of bob key import bob.key --role user
succeeds notary_of bob add --publish --roles targets/releases "${gun}b" one one
succeeds notary_of alice key rotate "${gun}b" timestamp --server-managed
succeeds notary_of alice init --publish "${gun}gone"
succeeds notary_of alice delete --remote "${gun}gone"
reads alice "${gun}a" one
reads alice "${gun}b" one
stop_notary
keys=$(sql notarysigner "SELECT count(*) FROM private_keys")
before=$(sql notaryserver "SELECT count(*), max(id) FROM changefeed")

step "hallmark on the same databases: those who know the collections and those who do not read them"
start_hallmark_on_postgresql
new_user carol
for user in alice bob carol; do
    reads $user "${gun}a" one
    reads $user "${gun}b" one
done
equal "$(sql notarysigner "SELECT count(*) FROM private_keys")" "$keys" "keys in the signer's database"
succeeds curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/_trust/changefeed?records=1000"
equal "$(jq --raw-output '"\(.count)|\(.records[-1].ID)"' <<<"$OUT")" "$before" "changes that Notary noted, and the last"
json '[.records[] | select(.Category == "deletion") | .GUN] | unique' "[\"${gun}gone\"]"
json '[.records[] | select(.CreatedAt | startswith("20") | not)] | length' 0

step "the collections are updated through hallmark, by every role, keys are rotated, and a new one is made"
succeeds notary_of alice add --publish "${gun}a" two two
succeeds notary_of bob add --publish --roles targets/releases "${gun}b" two two
succeeds notary_of alice add --publish "${gun}b" three three
succeeds notary_of alice key rotate "${gun}a" timestamp --server-managed
succeeds notary_of alice key rotate "${gun}a" snapshot --server-managed
succeeds notary_of alice init --publish "${gun}c"
succeeds notary_of alice add --publish "${gun}c" four four
new_user dave
for user in alice carol dave; do
    reads $user "${gun}a" one two
    reads $user "${gun}b" one two three
    reads $user "${gun}c" four
done

step "hallmark notes whose the keys are that Notary's signer made, so that no other collection is served with them"
timestamp_key() { metadata "$1" root | jq --raw-output '.signed.roles.timestamp.keyids[0]'; }
belongs_to() { [[ $(sql notaryserver "SELECT gun FROM hallmark_server_keys WHERE key_id = '$1'") == "$2" ]]; }
eventually 20 belongs_to "$(timestamp_key "${gun}b")" "${gun}b" || fail "the key of ${gun}b belongs to nobody"

step "it is restarted, killed, and goes on"
stop hallmark
equal "$CODE" 0 "the exit code of hallmark"
start_hallmark_on_postgresql
crash hallmark
# What it was about to do, others leave to it for two minutes: they have passed.
sql notaryserver "DELETE FROM hallmark_leases"
start_hallmark_on_postgresql
reads alice "${gun}b" one two three
stop hallmark

step "Notary is started on the databases again: it serves and updates what hallmark wrote"
start_notary_on_postgresql
new_user erin
for user in alice carol erin; do
    reads $user "${gun}a" one two
    reads $user "${gun}b" one two three
    reads $user "${gun}c" four
done
succeeds notary_of alice add --publish "${gun}a" five five
succeeds notary_of bob add --publish --roles targets/releases "${gun}b" five five
succeeds notary_of alice add --publish "${gun}c" five five
succeeds notary_of alice init --publish "${gun}d"
stop_notary

step "and hallmark once more"
start_hallmark_on_postgresql
succeeds notary_of alice add --publish "${gun}c" six six
succeeds notary_of alice add --publish "${gun}d" six six
new_user frank
for user in erin frank; do
    reads $user "${gun}a" one two five
    reads $user "${gun}b" one two three five
    reads $user "${gun}c" four five six
    reads $user "${gun}d" six
done
eventually 20 belongs_to "$(timestamp_key "${gun}d")" "${gun}d" || fail "the key of ${gun}d belongs to nobody"
stop hallmark
equal "$CODE" 0 "the exit code of hallmark"
