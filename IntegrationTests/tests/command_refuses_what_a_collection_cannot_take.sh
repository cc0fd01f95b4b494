#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need openssl
start_servers
new_user alice
gun=example.com/tools/strict
trust=$(home alice)/.docker/trust
echo one >one
succeeds hallmark_of alice init --publish $gun
succeeds hallmark_of alice list $gun

# nothing_staged: the refusal before left nothing for the next publish.
nothing_staged() { [[ -z $(find "$trust/tuf" -name '*.change') ]] || fail "something is staged"; }

step "names"
exits 2 hallmark_of alice add a/../b name one
exits 2 hallmark_of alice add $gun name one --roles targets/
exits 1 hallmark_of alice add $gun "" one
says "must have a name"
for verb in "add" "init"; do
    arguments=(name one)
    [[ $verb == add ]] || arguments=()
    exits 2 hallmark_of alice $verb example.com/tools/strict:v1 "${arguments[@]}"
    says "the collection is example.com/tools/strict"
done
exits 10 hallmark_of alice lookup $gun:v1 name
says "the collection is $gun"
exits 1 hallmark_of alice init $gun
says "is known here already"
new_user bob
exits 1 hallmark_of bob init $gun
says "exists on the trust server already"
[[ ! -e $(home bob)/.docker/trust/private ]] || equal "$(ls "$(home bob)/.docker/trust/private")" "" "bob's keys"
exits 10 hallmark_of bob publish example.com/tools/unknown
says "hallmark init"
[[ ! -e $(home bob)/.docker/trust/tuf/example.com/tools/unknown ]] || fail "something of an unknown collection is kept"
nothing_staged

step "files"
exits 1 hallmark_of alice add $gun name no-such-file
says "no-such-file"
mkdir -p directory
exits 1 hallmark_of alice add $gun name directory
echo '{"half":' >custom
exits 1 hallmark_of alice add $gun name one --custom custom
says "custom"
echo '{"pi": 3.14}' >custom
exits 1 hallmark_of alice add $gun name one --custom custom
exits 1 hallmark_of alice add $gun name one --custom no-such-file
exits 1 hallmark_of alice addhash $gun name 9007199254740993 --sha256 "$(printf '%064d' 0)"
echo "no key" >key.pem
exits 1 as alice hallmark delegation add --trust-dir "$trust" $gun targets/qa key.pem --all-paths
nothing_staged

step "what the roles say: the change that was not published is taken back, what was staged before stays"
succeeds hallmark_of alice add $gun before one
exits 1 hallmark_of alice add --publish $gun name one --roles targets/nobody
says "targets/nobody is not delegated"
succeeds hallmark_of alice status $gun --output json
json '[.staged[].path]' '["before"]'
json '[.roles[] | [.role, .version]] | sort' '[["root",1],["snapshot",2],["targets",2],["timestamp",1]]'
succeeds hallmark_of alice reset --all $gun --output json
json '[.name, .dropped]' "[\"$gun\",1]"

step "passphrases and keys"
exits 1 env NOTARY_TARGETS_PASSPHRASE=wrong NOTARY_SNAPSHOT_PASSPHRASE=wrong hallmark add --publish $gun name one --server "$TRUST_SERVER" \
    --tlscacert "$TRUST_CA" --trust-dir "$trust"
says "password invalid"
exits 1 hallmark add --publish $gun name one --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" --trust-dir "$trust"
says "NOTARY_TARGETS_PASSPHRASE"
succeeds hallmark_of bob list $gun
exits 1 hallmark_of bob add --publish $gun name one
says "targets must be signed by"
exits 1 env --unset NOTARY_SNAPSHOT_PASSPHRASE hallmark init example.com/tools/fresh --server "$TRUST_SERVER" \
    --tlscacert "$TRUST_CA" --trust-dir "$SCRATCH/fresh"
equal "$(find "$SCRATCH/fresh" -type f)" "" "what a failed init has left"
nothing_staged

step "the server: none, or another's certificate; staging needs none"
keys=$(ls "$trust/private")
exits 20 as alice hallmark add --publish $gun name one --server https://127.0.0.1:1 --trust-dir "$trust"
nothing_staged
exits 20 as alice hallmark init example.com/tools/fresh --server https://127.0.0.1:1 --trust-dir "$trust"
exits 20 as alice hallmark key rotate $gun targets --server https://127.0.0.1:1 --trust-dir "$trust"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=other CA" -keyout other.key \
    -out other.crt 2>/dev/null
exits 20 as alice hallmark list $gun --server "$TRUST_SERVER" --tlscacert other.crt --trust-dir "$SCRATCH/fresh"
equal "$(ls "$trust/private")" "$keys" "the keys"
succeeds as alice hallmark add $gun name one --server https://127.0.0.1:1 --trust-dir "$trust"
succeeds as alice hallmark status $gun --server https://127.0.0.1:1 --trust-dir "$trust"
exits 20 as alice hallmark publish $gun --server https://127.0.0.1:1 --trust-dir "$trust"
succeeds hallmark_of alice publish $gun --output json
json '[.published[].role]' '["targets","snapshot"]'
json '[.name, .new, .staged]' "[\"$gun\",false,[]]"
succeeds hallmark_of bob verify $gun name one --output json
json '[.name, .target.name, .target.length, .target.role]' "[\"$gun\",\"name\",4,\"targets\"]"

step "a refusal asked for as JSON is JSON, and nothing else is written"
exits 15 hallmark_of bob verify $gun name /etc/hostname --output json
[[ -z $OUT ]] || fail "something is on standard output"
equal "$(jq --compact-output '[.error.code, .error.exitCode]' <<<"$ERR")" '["contentMismatch",15]' "error"

step "a staged change that nobody can read is named, and reset drops it"
echo "{}" >"$trust/tuf/$gun/changelist/00000000000000000000_x.change"
exits 1 hallmark_of alice publish $gun
says "00000000000000000000_x.change"
succeeds hallmark_of alice reset --all $gun
succeeds hallmark_of alice publish $gun
