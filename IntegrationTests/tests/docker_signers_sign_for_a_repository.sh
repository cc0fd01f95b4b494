#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine one
repository=$REGISTRY/team/app
new_user owner
new_user jane
new_user john
new_user bob

step "two signers make keys"
for signer in jane john; do
    succeeds as $signer docker trust key generate $signer --dir "$(home $signer)"
    says "Successfully generated and loaded private key"
    [[ -s $(home $signer)/$signer.pub ]] || fail "no public key was written"
done

step "the owner makes them signers of a repository that does not exist yet"
for signer in jane john; do
    succeeds as owner docker trust signer add --key "$(home $signer)/$signer.pub" $signer "$repository"
    says "Successfully added signer: $signer"
done

step "jane signs as herself"
base_image "by jane" "$repository:1.0"
succeeds as jane docker trust sign "$repository:1.0"
says "Successfully signed $repository:1.0"
digest=$(registry_digest team/app 1.0)

step "inspect names her, and lists both signers with their keys"
succeeds as bob docker trust inspect "$repository"
json '.[0].SignedTags' "[{\"SignedTag\":\"1.0\",\"Digest\":\"${digest#sha256:}\",\"Signers\":[\"jane\"]}]"
json '[.[0].Signers[] | .Name] | sort' '["jane","john"]'
json '[.[0].AdministrativeKeys[] | .Name] | sort' '["Repository","Root"]'
succeeds as bob docker trust inspect --pretty "$repository"
says "jane"

step "john signs the same tag: both are named"
succeeds as john docker trust sign "$repository:1.0"
succeeds as bob docker trust inspect "$repository"
json '.[0].SignedTags[0].Signers | sort' '["jane","john"]'

step "a client pulls and runs what they signed"
start_engine reader
new_user carol
succeeds as carol docker pull "$repository:1.0"
says "@$digest"
succeeds as carol docker run --rm --network none "$repository:1.0"
equal "$OUT" "by jane" "what the container prints"

step "one who holds no signer's key is refused, and nothing is signed"
ENGINE=one
new_user mallory
base_image "by mallory" "$repository:evil"
fails as mallory docker trust sign "$repository:evil"
fails as carol docker pull "$repository:evil"
says "o valid trust data for evil"

step "jane revokes her tag, john's signature remains in his role only"
succeeds as jane docker trust revoke --yes "$repository:1.0"
fails as carol docker pull "$repository:1.0"

step "jane pushes with trust on, and so signs in her role"
base_image "again by jane" "$repository:2.0"
succeeds as jane docker push "$repository:2.0"
succeeds as carol docker trust inspect "$repository"
json '.[0].SignedTags | map([.SignedTag, .Signers])' '[["2.0",["jane"]]]'

step "john is removed as signer: he can no longer sign, jane can"
if (($(docker_version) < 26)); then
    succeeds as owner docker trust signer remove --force john "$repository"
    says "Successfully removed john from $repository"
else
    # `docker trust signer remove` of 26 and later does nothing (docker/cli); the notary client stands in.
    key=$(notary_of owner delegation list "$repository" | awk '$1 == "targets/john" { print $(NF - 1) }')
    succeeds notary_of owner delegation remove --yes "$repository" targets/john
    succeeds notary_of owner delegation remove --yes "$repository" targets/releases "$key"
    succeeds notary_of owner publish "$repository"
fi
base_image "by john" "$repository:3.0"
fails as john docker trust sign "$repository:3.0"
succeeds as bob docker trust inspect "$repository"
json '[.[0].Signers[] | .Name]' '["jane"]'
base_image "third by jane" "$repository:3.0"
succeeds as jane docker trust sign "$repository:3.0"
succeeds as carol docker pull "$repository:3.0"
