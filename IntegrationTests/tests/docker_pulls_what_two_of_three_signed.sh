#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
repository=$REGISTRY/team/app

# holder NAME VERB ARGUMENT...: hallmark with the keys and the trust directory of one person's machine.
holder() {
    local name=$1 verb=$2
    shift 2
    # shellcheck disable=SC2086
    as "$name" hallmark $verb --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trust-dir "$(home "$name")/.docker/trust" "$@"
}

for name in ann ben cid; do
    new_user $name
    succeeds holder $name "key generate" --role root --certificate "$repository" --public $name.crt
    succeeds holder $name "key generate" ecdsa-p256 --role targets --public $name.pem
done
pending=$(home ann)/.docker/trust/tuf/$repository/pending

step "three holders make an image's collection, root and targets of two each"
exits 12 holder ann init --server-managed-snapshot "$repository" --threshold root=2 --threshold targets=2 \
    --key root=ann.crt --key root=ben.crt --key root=cid.crt \
    --key targets=ann.pem --key targets=ben.pem --key targets=cid.pem
cp "$pending/1.root.json" "$pending/1.targets.json" .
succeeds holder ben sign 1.root.json --collection "$repository" --yes
succeeds holder ben sign 1.targets.json --collection "$repository" --trusted 1.root.json --yes
for role in root targets; do succeeds holder ann sign "$pending/1.$role.json" --merge 1.$role.json; done
succeeds holder ann publish "$repository"

step "what one has pushed counts for nobody before the second has signed"
layout source "by two of three"
exits 12 holder ann push source "$repository:1.0"
says "2.targets.json: 1 more for root 1"
start_engine reader
new_user bob
fails as bob docker pull "$repository:1.0"
cp "$pending/2.targets.json" .
succeeds holder cid list "$repository"
succeeds holder cid sign 2.targets.json --collection "$repository" --yes
says "+ target 1.0"
succeeds holder ann sign "$pending/2.targets.json" --merge 2.targets.json
succeeds holder ann publish "$repository"

step "docker and hallmark pull it by trust"
succeeds as bob docker pull "$repository:1.0"
says "@$(layout_digest source)"
succeeds as bob docker trust inspect "$repository"
json '.[0].SignedTags[0].SignedTag' 1.0
succeeds hallmark_of cid pull "$repository:1.0" pulled
layout_is_whole pulled || fail "the layout that was pulled is not whole"
