#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/past.sh"

need_hallmark
need notary faketime openssl "$DOCKER_CLIENT"
echo content >content
gun=example.com/rescued

# read_by USER GUN: both stock clients find v1 there.
read_by() {
    succeeds notary_of "$1" lookup "$2" v1
    succeeds as "$1" docker trust inspect "$2"
    json '.[0].SignedTags[0].SignedTag' v1
}

# refused GUN REASON: by who has read it before, and by who has not.
refused() {
    local user
    rm -rf "$(home fresh)/.docker/trust"
    for user in old fresh; do
        fails notary_of $user lookup "$1" v1
        says "$2"
        fails as $user docker trust inspect "$1"
    done
}

step "ten years ago, collections are made and read, one of them under a root certificate of twenty years"
serve_ago 3660
new_user alice
new_user old
new_user fresh
printf '[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nbasicConstraints=critical,CA:FALSE\n' >root.cnf
openssl ecparam -name prime256v1 -genkey -noout -out root.key
some_days_ago 3660 openssl req -x509 -key root.key -days 7300 -subj "/CN=example.com\/rescued\/root" -config root.cnf -out root.crt
succeeds hallmark_ago 3660 alice init --rootkey root.key --rootcert root.crt --publish $gun/root
succeeds hallmark_ago 3660 alice init --publish $gun/certificate
for name in root certificate; do
    succeeds hallmark_ago 3660 alice add --publish $gun/$name v1 content
    succeeds hallmark_ago 3660 old lookup $gun/$name v1
done

step "another root certificate is renewed while it is in force, and so is the root, by stock clients' leave"
serve_ago 3600
succeeds hallmark_ago 3600 alice init --publish $gun/ahead
succeeds hallmark_ago 3600 alice add --publish $gun/ahead v1 content
succeeds hallmark_ago 3600 old lookup $gun/ahead v1

step "three years ago, others are made and read"
serve_ago 1100
succeeds hallmark_ago 1100 alice init --publish --server-managed-snapshot $gun/targets
succeeds hallmark_ago 1100 alice init --publish $gun/snapshot
for name in targets snapshot; do
    succeeds hallmark_ago 1100 alice add --publish $gun/$name v1 content
    succeeds hallmark_ago 1100 old lookup $gun/$name v1
done
some_days_ago 1100 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=jane \
    -keyout jane.key -out jane.crt 2>/dev/null
new_user jane
succeeds notary_of jane key import jane.key --role user
succeeds hallmark_ago 1100 alice init --publish --server-managed-snapshot $gun/delegation
succeeds hallmark_ago 1100 alice "delegation add" --publish $gun/delegation targets/releases jane.crt --all-paths
succeeds hallmark_ago 1100 jane add --publish --roles targets/releases $gun/delegation v1 content
succeeds hallmark_ago 1100 old lookup $gun/delegation v1
serve_ago 0

step "today the root has expired: both stock clients refuse it, with what they know of it and without"
refused $gun/root "root expired"
root=$(metadata $gun/root root | jq --compact-output --sort-keys '.signed | del(.version, .expires)')
targets=$(metadata $gun/root targets | jq --compact-output --sort-keys '.signed | del(.version, .expires)')

step "a dry run and a run without the keys change nothing"
before=$(metadata $gun/root timestamp | sha256sum)
succeeds hallmark_of alice rescue --dry-run $gun/root
says "sign version 2"
exits 2 hallmark_of alice rescue $gun/root
says "--yes"
new_user stranger
exits 1 hallmark_of stranger rescue --yes --output json $gun/root
json '.obstacles | length > 0' true
says "$(jq --raw-output '.roles[0].keys[0]' <<<"$OUT")"
equal "$(metadata $gun/root timestamp | sha256sum)" "$before" "the timestamp after runs that publish nothing"

step "rescued, it is followed by who knew it and by who did not, and holds what it held"
succeeds hallmark_of alice rescue --yes --output json $gun/root
json '.published' '["root","targets","snapshot"]'
for user in old fresh; do read_by $user $gun/root; done
equal "$(metadata $gun/root root | jq --compact-output --sort-keys '.signed | del(.version, .expires)')" "$root" "the root"
equal "$(metadata $gun/root targets | jq --compact-output --sort-keys '.signed | del(.version, .expires)')" "$targets" \
    "the targets"

step "a second rescue has nothing to do"
succeeds hallmark_of alice rescue --yes $gun/root
says "Nothing of $gun/root has expired"

step "the root certificate has expired: fresh stock clients follow, and those that know the old root once they have forgotten it"
refused $gun/certificate "unable to retrieve valid leaf certificates"
succeeds hallmark_of alice rescue --yes $gun/certificate
says "a new one of the same key takes its place"
says "tuf/$gun/certificate/metadata/root.json"
read_by fresh $gun/certificate
fails notary_of old lookup $gun/certificate v1
says "unable to retrieve valid leaf certificates"
new_user patient
cp -r "$(home old)/.docker/trust" "$(home patient)/.docker/"
succeeds hallmark_of patient lookup $gun/certificate v1
rm "$(home old)/.docker/trust/tuf/$gun/certificate/metadata/root.json"
read_by old $gun/certificate

step "renewed ahead, the certificate's successor is followed by stock clients that know the old root"
json_of_root() { metadata $gun/ahead root | jq --raw-output '.signed.roles.root.keyids[0]'; }
certificate=$(json_of_root)
succeeds hallmark_of alice rescue --yes --within 100 $gun/ahead
never_says "has expired already"
[[ $(json_of_root) != "$certificate" ]] || fail "the root certificate is the old one"
for user in old fresh; do read_by $user $gun/ahead; done

step "targets, by the key in a file, which is not imported"
refused $gun/targets "targets expired"
new_user lender
cp "$(home alice)/passphrase" "$(home lender)/passphrase"
exits 1 hallmark_of lender rescue --yes $gun/targets
says "targets must be signed by 1 of the keys"
key=$(grep --files-with-matches --fixed-strings "gun: $gun/targets" "$(home alice)"/.docker/trust/private/*)
succeeds hallmark_of lender rescue --yes --key "$key" $gun/targets
[[ -z $(find "$(home lender)/.docker" -name '*.key') ]] || fail "the key was imported"
for user in old fresh; do read_by $user $gun/targets; done

step "a snapshot of the publisher's, with targets"
refused $gun/snapshot "snapshot expired"
succeeds hallmark_of alice rescue --yes $gun/snapshot
for user in old fresh; do read_by $user $gun/snapshot; done

step "a delegation: who holds the key of targets rescues those, and leaves the delegation to its own key"
refused $gun/delegation "targets expired"
succeeds hallmark_of alice rescue --yes $gun/delegation
says "targets/releases stays expired"
fails notary_of old lookup $gun/delegation v1
exits 1 hallmark_of alice rescue --yes $gun/delegation
succeeds hallmark_of jane rescue --yes $gun/delegation
for user in old fresh; do read_by $user $gun/delegation; done
