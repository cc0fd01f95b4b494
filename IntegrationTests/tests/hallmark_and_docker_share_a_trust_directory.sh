#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
start_engine one
repository=$REGISTRY/team/app
for name in one two three; do layout $name "$name"; done

# everyone_reads TAG...: fresh clients of both kinds get what the registry has under these tags.
everyone_reads() {
    local tag reader=reader$RANDOM
    new_user $reader
    for tag; do
        succeeds as $reader docker pull "$repository:$tag"
        says "@$(registry_digest "${repository#*/}" "$tag")"
        succeeds hallmark_of $reader pull "$repository:$tag" "pulled-$reader-$tag"
        equal "$(layout_digest "pulled-$reader-$tag")" "$(registry_digest "${repository#*/}" "$tag")" "digest of $tag"
    done
}

step "docker begins, hallmark goes on, docker goes on"
new_user alice
base_image "docker one" "$repository:docker-1"
base_image "docker two" "$repository:docker-2"
succeeds as alice docker push "$repository:docker-1"
succeeds hallmark_of alice push one "$repository:hallmark-1"
succeeds as alice docker push "$repository:docker-2"
succeeds hallmark_of alice push two "$repository:hallmark-2"
everyone_reads docker-1 hallmark-1 docker-2 hallmark-2

step "hallmark made no key of its own, and lists those that docker made"
equal "$(ls "$(home alice)/.docker/trust/private" | wc -l)" 2 "number of private keys"
succeeds as alice hallmark key list --trust-dir "$(home alice)/.docker/trust"
for file in "$(home alice)"/.docker/trust/private/*.key; do says "$(basename "$file" .key)"; done
says "root"
says "targets"

step "hallmark begins, docker goes on, hallmark goes on"
repository=$REGISTRY/team/second
new_user carol
succeeds hallmark_of carol push one "$repository:hallmark-1"
base_image "docker three" "$repository:docker-1"
succeeds as carol docker push "$repository:docker-1"
succeeds hallmark_of carol push two "$repository:hallmark-2"
succeeds as carol docker trust inspect "$repository"
json '[.[0].SignedTags[].SignedTag] | sort' '["docker-1","hallmark-1","hallmark-2"]'
succeeds as carol docker trust revoke --yes "$repository:hallmark-1"
exits 11 hallmark_of carol pull "$repository:hallmark-1" nothing
equal "$(ls "$(home carol)/.docker/trust/private" | wc -l)" 2 "number of private keys"

step "private keys are the owner's only"
equal "$(find "$(home carol)/.docker/trust/private" -perm /077)" "" "readable by others"

step "hallmark signs as a signer whom docker added"
repository=$REGISTRY/team/third
new_user owner
new_user jane
succeeds as jane docker trust key generate jane --dir "$PWD"
succeeds as owner docker trust signer add --key jane.pub jane "$repository"
succeeds hallmark_of jane push three "$repository:1.0"
succeeds as owner docker trust inspect "$repository"
json '.[0].SignedTags | map([.SignedTag, .Signers])' '[["1.0",["jane"]]]'
new_user dave
succeeds as dave docker pull "$repository:1.0"
succeeds hallmark_of dave pull "$repository:1.0" of-jane
new_user mallory
fails hallmark_of mallory push one "$repository:evil"
exits 11 hallmark_of dave pull "$repository:evil" nothing
