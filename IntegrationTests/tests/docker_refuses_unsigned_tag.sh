#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

start_servers
start_engine one
new_user alice
new_user bob
signed=$REGISTRY/team/app:signed
unsigned=$REGISTRY/team/app:unsigned
untrusted=$REGISTRY/team/untrusted:1.0
base_image "signed" "$signed"
base_image "unsigned" "$unsigned" "$untrusted"
succeeds as alice docker push "$signed"
succeeds without_trust alice docker push "$unsigned"
succeeds without_trust alice docker push "$untrusted"
start_engine fresh
new_user bob

step "pull of a tag that nobody signed, in a repository with trust data"
fails as bob docker pull "$unsigned"
says "No valid trust data for unsigned"
fails as bob docker image inspect "$unsigned"

step "run of it"
fails as bob docker run --rm --network none "$unsigned"
says "No valid trust data for unsigned"

step "create of it"
fails as bob docker create --network none "$unsigned"

step "pull and inspect in a repository without any trust data"
fails as bob docker pull "$untrusted"
says "does not have trust data for $REGISTRY/team/untrusted"
fails as bob docker trust inspect "$REGISTRY/team/untrusted"
says "o signatures or cannot access"

step "pull of a repository that exists nowhere"
fails as bob docker pull "$REGISTRY/team/absent:1.0"

step "a build on top of an unsigned image is refused, on top of a signed one done"
mkdir context
echo "FROM $unsigned" >context/Dockerfile
fails as bob docker build --network none --tag built context
says "No valid trust data for unsigned"
printf 'FROM %s\nLABEL built=yes\n' "$signed" >context/Dockerfile
succeeds as bob docker build --network none --tag built context
succeeds without_trust bob docker run --rm --network none built
equal "$OUT" "signed" "what the built image holds"

step "with trust off it is an ordinary image"
succeeds without_trust bob docker pull "$unsigned"
