#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary
start_servers
start_engine publisher
repository=$REGISTRY/team/app
new_user alice
base_image "before" "$repository:before"
succeeds as alice docker push "$repository:before"

start_engine reader
new_user old
succeeds as old docker pull "$repository:before"

# goes_on NAME: the publisher signs, the client that saw everything before pulls it, and so does one that saw nothing.
goes_on() {
    local image=$repository:$1 digest
    ENGINE=publisher
    base_image "$1" "$image"
    succeeds as alice docker push "$image"
    digest=$(registry_digest team/app "$1")
    ENGINE=reader
    new_user "new-$1"
    local user
    for user in old "new-$1"; do
        succeeds as "$user" docker pull "$image"
        says "@$digest"
        succeeds as "$user" docker pull "$repository:before"
    done
}

root_version() { metadata "$repository" root | jq .signed.version; }
key_of() { metadata "$repository" root | jq --raw-output ".signed.roles.$1.keyids[0]"; }

for role in snapshot timestamp targets root; do
    step "rotation of the $role key"
    key=$(key_of $role) version=$(root_version)
    case $role in
    snapshot | timestamp) succeeds notary_of alice key rotate "$repository" $role --server-managed ;;
    targets) succeeds notary_of alice key rotate "$repository" $role ;;
    root) succeeds eval 'notary_of alice key rotate "$repository" root <<<yes' ;;
    esac
    says "Successfully rotated $role key for repository $repository"
    [[ $(key_of $role) != "$key" ]] || fail "the root still names the same $role key"
    (($(root_version) > version)) || fail "the root's version did not rise"
    goes_on $role
done

step "the snapshot key moves to the publisher and back"
succeeds notary_of alice key rotate "$repository" snapshot
goes_on local-snapshot
succeeds notary_of alice key rotate "$repository" snapshot --server-managed
goes_on server-snapshot

step "a client that was away for several root rotations finds its way"
ENGINE=reader
new_user away
copy_keys new-snapshot away
for round in 1 2; do
    succeeds eval 'notary_of alice key rotate "$repository" root <<<yes'
done
goes_on rotated-twice
succeeds as away docker pull "$repository:rotated-twice"
