#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary jq
start_servers
gun=example.com/tools/shared

# holder NAME VERB ARGUMENT...: hallmark with the keys and the trust directory of one person's machine.
holder() {
    local name=$1 verb=$2
    shift 2
    # shellcheck disable=SC2086
    as "$name" hallmark $verb --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trust-dir "$(home "$name")/.docker/trust" "$@"
}

# pending NAME FILE: where it waits on somebody's machine.
pending() { echo "$(home "$1")/.docker/trust/tuf/$gun/pending/$2"; }

# signs NAME FILE ARGUMENT...: a copy of what waits at ann's goes to a holder and comes back.
signs() {
    local name=$1 file=$2
    shift 2
    cp "$(pending ann "$file")" "mail-$name-$file"
    mkdir -p "mail-$name" && mv "mail-$name-$file" "mail-$name/$file"
    succeeds holder "$name" sign "mail-$name/$file" --collection $gun --yes "$@"
    succeeds holder ann sign "$(pending ann "$file")" --merge "mail-$name/$file"
}

for name in ann ben cid dan reader late; do new_user $name; done
for name in ann ben cid dan; do
    succeeds holder $name "key generate" --role root --certificate $gun --public $name.crt
    succeeds holder $name "key generate" ecdsa-p256 --role targets --public $name.pem
done

step "two of three sign the first root and targets"
exits 12 holder ann init --server-managed-snapshot $gun --threshold root=2 --threshold targets=2 \
    --key root=ann.crt --key root=ben.crt --key root=cid.crt \
    --key targets=ann.pem --key targets=ben.pem --key targets=cid.pem
says "hallmark sign"
exits 12 holder ann publish $gun
[[ $(curl --silent --cacert "$TRUST_CA" --output /dev/null --write-out '%{http_code}' \
    "$TRUST_SERVER/v2/$gun/_trust/tuf/root.json") == 404 ]] || fail "a root without its threshold is published"
cp "$(pending ann 1.root.json)" 1.root.json
succeeds holder ben sign 1.root.json --collection $gun --show
says "root: + key"
says "ecdsa-x509 of $gun, expires "
says "root: threshold 2 of 3"
exits 12 holder dan sign 1.root.json --collection $gun --yes --key "$(printf '0%.0s' {1..64})"
fails holder dan sign 1.root.json --collection $gun --yes
signs ben 1.root.json
exits 12 holder ann sign "$(pending ann 1.root.json)" --merge mail-ben/1.root.json
says "already"
signs cid 1.targets.json --trusted 1.root.json
succeeds holder ann status $gun --output json
json '[.pending[] | [.role, .complete]]' '[["root",true],["targets",true]]'
succeeds holder ann publish $gun
succeeds holder reader list $gun
succeeds notary_of reader list $gun

step "targets: what is staged waits, and is there for everybody once two have signed"
echo content >file
succeeds holder ann add $gun v1 file
exits 12 holder ann publish $gun
says "1 more for root 1"
succeeds holder ann status $gun
says "In what waits for signatures: 0"
succeeds notary_of reader list $gun
says "No targets"
succeeds holder cid list $gun
cp "$(pending ann 2.targets.json)" 2.targets.json
succeeds holder cid sign 2.targets.json --collection $gun --show
says "+ target v1 (8 bytes"
jq --compact-output '.signatures[0].sig |= ("AAAA" + .[4:])' 2.targets.json >tampered
mkdir -p tampering && mv tampered tampering/2.targets.json
exits 12 holder cid sign tampering/2.targets.json --collection $gun --yes
says "is not that key's"
exits 12 holder ann sign "$(pending ann 2.targets.json)" --merge tampering/2.targets.json
signs cid 2.targets.json
succeeds holder ann publish $gun
succeeds holder ann status $gun --output json
json '[.pending, .staged]' '[[],[]]'
succeeds notary_of reader lookup $gun v1
succeeds holder reader lookup $gun v1
succeeds notary_of late lookup $gun v1

step "a root that has dan in cid's place takes two of the old and two of the new"
exits 12 holder ann "key rotate" $gun root --key ann.crt --key ben.crt --key dan.crt
exits 1 holder ben sign "$(pending ann 2.root.json)" --collection $gun --yes
says "is not known here"
for name in dan ben; do succeeds holder $name list $gun; done
signs dan 2.root.json
exits 12 holder ann publish $gun
says "1 more for root 1"
signs ben 2.root.json
succeeds holder ann publish $gun
for name in reader ben; do
    succeeds notary_of $name lookup $gun v1
    succeeds holder $name lookup $gun v1
done
equal "$(metadata $gun root | jq '.signed.version')" 2 "the root's version"
equal "$(metadata $gun root | jq '.signed.roles.root.threshold')" 2 "the root's threshold"

step "a delegation of two of two"
exits 12 holder ann "delegation add" --publish $gun targets/releases ann.pem ben.pem --all-paths --threshold 2
says "3.targets.json"
succeeds holder cid list $gun
signs cid 3.targets.json
succeeds holder ann publish $gun
exits 12 holder ann add --publish --roles targets/releases $gun v2 file
says "1.targets%2Freleases.json"
succeeds holder ben list $gun
signs ben 1.targets%2Freleases.json
succeeds holder ann publish $gun
succeeds notary_of reader lookup $gun v2
succeeds holder late lookup $gun v2

step "what somebody else has overtaken is refused, and made again from what is staged"
succeeds holder ann remove --roles targets/releases $gun v2
exits 12 holder ann publish $gun
exits 12 holder ben add --publish --roles targets/releases $gun v3 file
cp "$(pending ben 2.targets%2Freleases.json)" 2.targets%2Freleases.json
succeeds holder ann sign 2.targets%2Freleases.json --collection $gun --yes
succeeds holder ben sign "$(pending ben 2.targets%2Freleases.json)" --merge 2.targets%2Freleases.json
succeeds holder ben publish $gun
exits 1 holder ann publish $gun
says "hallmark reset --pending"
succeeds holder ann reset --pending $gun
exits 12 holder ann publish $gun
says "3.targets%2Freleases.json"
signs ben 3.targets%2Freleases.json
succeeds holder ann publish $gun
succeeds notary_of reader list $gun
says "v3"
never_says "v2"
