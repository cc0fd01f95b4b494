#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary openssl
start_servers
gun=example.com/tools/team
echo one >one
echo two >two
new_user alice
new_user bob
for name in jane john; do
    new_user $name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$name" \
        -keyout $name.key -out $name.crt 2>/dev/null
    openssl pkey -in $name.key -pubout -out $name.pub
    succeeds notary_of $name key import $name.key --role user
done

# delegations: as both clients list them, which must be the same.
delegations() {
    succeeds notary_of alice delegation list $gun
    local notary=$OUT
    succeeds hallmark_of alice "delegation list" $gun
    equal "$(grep -v '^$' <<<"$OUT" | sed 's/ *$//')" "$(grep -v '^$' <<<"$notary" | sed 's/ *$//')" \
        "the list of delegations, beside notary's"
}

# hallmark_of takes one word for the verb: this one takes two.
hallmark_of() {
    local user=$1 verb=$2
    shift 2
    # shellcheck disable=SC2086
    as "$user" hallmark $verb --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trust-dir "$(home "$user")/.docker/trust" "$@"
}

step "hallmark delegates with a certificate, notary's user publishes into it"
succeeds hallmark_of alice init --publish --server-managed-snapshot $gun
succeeds hallmark_of alice "delegation add" $gun targets/qa jane.crt --paths test/,qa/
says "staged for next publish"
succeeds notary_of alice status $gun
says "targets/qa"
succeeds notary_of alice publish $gun
delegations
says "qa/"
succeeds notary_of jane add --publish --roles targets/qa $gun qa/one one
succeeds hallmark_of bob verify $gun qa/one one
exits 1 hallmark_of jane add --publish --roles targets/qa $gun other/one one
says "may not hold other/one"
exits 1 hallmark_of jane add --publish $gun qa/two two
says "targets must be signed by 1 of the keys"
succeeds notary_of jane status $gun
says "No unpublished changes"

step "notary delegates, hallmark's user publishes into it; a bare public key is as good as a certificate"
succeeds notary_of alice delegation add $gun targets/team jane.crt --all-paths
succeeds hallmark_of alice "delegation add" --publish $gun targets/team john.pub
delegations
succeeds hallmark_of john add --publish --roles targets/team $gun v1 one
succeeds hallmark_of jane add --publish $gun team-and-qa two --roles targets/team
succeeds hallmark_of jane add --publish $gun qa/both two --roles targets/qa,targets/team
succeeds notary_of bob verify $gun v1 --input one
succeeds notary_of bob verify $gun team-and-qa --input two
succeeds hallmark_of jane "delegation add" --publish $gun targets/qa/nightly john.crt --paths qa/nightly/
succeeds notary_of john add --publish --roles targets/qa/nightly $gun qa/nightly/one one
succeeds hallmark_of bob verify $gun qa/nightly/one one
succeeds hallmark_of bob list $gun --roles targets/team
says "team-and-qa"
never_says "nightly"

step "keys and paths are taken away; what they signed is gone until somebody witnesses it"
id=$(hallmark_of alice "delegation list" $gun --output json |
    jq --raw-output '.delegations[] | select(.role == "targets/qa") | .keys[0]')
succeeds hallmark_of alice "delegation add" $gun targets/qa john.crt
succeeds hallmark_of alice "delegation remove" $gun targets/qa "$id" --paths test/
succeeds notary_of alice publish $gun
delegations
never_says "test/"
new_user carol
exits 11 hallmark_of carol lookup $gun qa/one
succeeds hallmark_of john witness --publish $gun targets/qa
succeeds hallmark_of carol lookup $gun qa/one
succeeds notary_of bob lookup $gun qa/one

step "purge, and removal"
succeeds hallmark_of alice "delegation purge" --publish $gun --key "$id"
succeeds hallmark_of alice "delegation list" $gun
never_says "$id"
exits 2 hallmark_of alice "delegation remove" $gun targets/team
says "--yes"
succeeds hallmark_of alice "delegation remove" --yes --publish $gun targets/team
delegations
never_says "targets/team"
succeeds notary_of alice delegation remove --yes $gun targets/qa
succeeds hallmark_of alice publish $gun
succeeds hallmark_of alice "delegation list" $gun
says "No delegations present in this repository."

step "every key is rotated by hallmark; both go on, and so do clients that saw none of it"
trust=$(home alice)/.docker/trust
# goes_on NAME: either client publishes, and old and new readers verify it.
goes_on() {
    succeeds notary_of alice add --publish $gun "notary-$1" one
    succeeds hallmark_of alice add --publish $gun "hallmark-$1" one
    new_user "new-$1"
    local user
    for user in bob "new-$1"; do
        succeeds notary_of "$user" verify $gun "hallmark-$1" --input one
        succeeds hallmark_of "$user" verify $gun "notary-$1" one
    done
}
succeeds hallmark_of alice add $gun waits one
succeeds hallmark_of alice "key rotate" $gun snapshot
succeeds hallmark_of alice status $gun
says "waits"
succeeds hallmark_of alice reset --all $gun
succeeds hallmark_of alice "key rotate" $gun targets
succeeds hallmark_of alice "key rotate" $gun timestamp --server-managed
goes_on local
succeeds hallmark_of alice "key rotate" $gun snapshot -r
[[ $(grep -l "role: snapshot" "$trust"/private/*.key | wc -l) == 0 ]] || fail "the old snapshot key is still here"
succeeds hallmark_of alice "key rotate" $gun root
goes_on root

step "to keys that were made elsewhere"
for role in root targets; do
    openssl ecparam -name prime256v1 -genkey -noout -out $role.pem
    succeeds hallmark_of alice "key rotate" $gun $role -k $role.pem --output json
    json '[.rotated.role, (.rotated.keys | length), .rotated.serverManaged]' "[\"$role\",1,false]"
    [[ -s $trust/private/$(jq --raw-output '.rotated.keys[0]' <<<"$OUT").key ]] || fail "the key is not here"
done
goes_on elsewhere

step "what cannot be rotated is refused, and leaves no key"
keys=$(ls "$trust/private")
exits 1 hallmark_of alice "key rotate" $gun targets --server-managed
exits 1 hallmark_of alice "key rotate" $gun timestamp
exits 1 hallmark_of alice "key rotate" $gun targets/qa
openssl ecparam -name prime256v1 -genkey -noout -out other.pem
exits 10 hallmark_of alice "key rotate" example.com/tools/nowhere targets -k other.pem
exits 1 hallmark_of john "key rotate" $gun targets -k other.pem
says "root must be signed"
equal "$(ls "$trust/private")" "$keys" "alice's keys"
equal "$(find "$(home john)/.docker/trust/private" -name '*.key' | wc -l)" 1 "john's keys"
[[ $SUT == debian ]] || equal "$(metadata $gun root | jq '[.signed.roles[].threshold] | unique')" "$(jq -n '[1]')" "thresholds"
