#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

# holder NAME ARGUMENT...: hallmark with the keys of one person's machine.
holder() {
    local name=$1
    shift
    mkdir -p "home-$name"
    HOME=$PWD/home-$name NOTARY_ROOT_PASSPHRASE="root of $name" NOTARY_DELEGATION_PASSPHRASE="delegation of $name" \
        DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="repository of $name" hallmark "$@"
}

declare -A id
for name in ann ben cid; do
    succeeds holder "$name" key generate --role root --public "$name.pem" --output json
    id[$name]=$(jq --raw-output .id <<<"$OUT")
done

step "two of three sign the first root and the targets"
exits 12 holder online init ./repository --threshold root=2 --key root=ann.pem --key root=ben.pem --key root=cid.pem \
    --threshold targets=2 --key targets=ann.pem --key targets=ben.pem --key targets=cid.pem
says "hallmark sign"
[[ ! -e repository/metadata/timestamp.json ]] || fail "something is published already"
exits 12 holder online publish ./repository
for role in root targets; do
    mkdir -p "mail-$role"
    for name in ann cid; do
        cp "repository/pending/1.$role.json" "mail-$role/1.$role.json"
        exits 2 holder "$name" sign "mail-$role/1.$role.json" --repository ./repository
        succeeds holder "$name" sign "mail-$role/1.$role.json" --repository ./repository --yes
        says "signed   ${id[$name]}"
        exits 12 holder "$name" sign "mail-$role/1.$role.json" --repository ./repository --yes
        succeeds holder online sign "repository/pending/1.$role.json" --merge "mail-$role/1.$role.json"
        exits 12 holder online sign "repository/pending/1.$role.json" --merge "mail-$role/1.$role.json"
    done
done
succeeds holder online status ./repository --output json
json '[.pending[] | [.role, .complete]]' '[["root",true],["targets",true]]'
json '.pending[0].requirements[0].missing' "[\"${id[ben]}\"]"
succeeds holder online publish ./repository
succeeds holder online verify ./repository

step "a new root: who holds keys sees what changes, against the root that he trusts"
succeeds holder dan key generate --role root --public dan.pem --output json
id[dan]=$(jq --raw-output .id <<<"$OUT")
cp repository/metadata/1.root.json trusted.json
succeeds holder online key rotate ./repository root --key ann.pem --key cid.pem --key dan.pem
exits 12 holder online publish ./repository
cp repository/pending/2.root.json .
succeeds holder ann sign 2.root.json --trusted trusted.json --show
says "root: + key ${id[dan]} (ed25519)"
says "root: - key ${id[ben]} (ed25519)"
says "by root 1: 0 of 2 needed, not met"
exits 12 holder online sign 2.root.json --trusted trusted.json --yes --key "${id[ann]:0:63}0"
succeeds holder ann sign 2.root.json --trusted trusted.json --yes
succeeds holder dan sign 2.root.json --trusted trusted.json --yes
says "by root 1: 1 of 2 needed, not met"
never_says "by root 2: 2 of 2 needed, not met"
succeeds holder online sign repository/pending/2.root.json --merge 2.root.json
exits 12 holder online publish ./repository
says "1 more for root 1"
[[ ! -e repository/metadata/2.root.json ]] || fail "a root without the old threshold is published"
succeeds holder ben sign 2.root.json --trusted trusted.json --yes
succeeds holder online sign repository/pending/2.root.json --merge 2.root.json
succeeds holder online publish ./repository
succeeds holder online verify ./repository

step "a signature that somebody has tampered with is refused where it comes in"
echo content >file
succeeds holder online add ./repository a file
exits 12 holder online publish ./repository
cp repository/pending/2.targets.json .
succeeds holder ann sign 2.targets.json --repository ./repository --yes
jq --compact-output '.signatures[0].sig |= ("00" + .[2:])' 2.targets.json >tampered && mv tampered 2.targets.json
exits 12 holder online sign repository/pending/2.targets.json --merge 2.targets.json
says "is not that key's"
jq --compact-output '.signed.version = 3' 2.targets.json >3.targets.json
exits 12 holder online sign repository/pending/2.targets.json --merge 3.targets.json

step "reset drops it all"
succeeds holder online reset ./repository
succeeds holder online status ./repository --output json
json '[.pending, .staged]' '[[],[]]'
