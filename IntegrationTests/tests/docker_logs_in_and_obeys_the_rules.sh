#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

start_with_users
start_engine one
base_image "for the team" "$REGISTRY/team/app:1" "$REGISTRY/team/app:2"
base_image "for all" "$REGISTRY/public/app:1"
docker_login() { as "$1" bash -c 'echo "$1" | docker login --username "$2" --password-stdin "$3"' login "$2" "$1" "$REGISTRY"; }

step "docker login, with the right password only"
for user in alice bob carol nobody; do visitor $user; done
fails docker_login alice bob-password
says "incorrect user name or password"
for user in alice bob carol; do succeeds docker_login $user $user-password; done

step "what it keeps is not the password"
! grep --quiet --recursive "$(printf 'alice:alice-password' | base64)" "$(home alice)/.docker" || fail "the password is there"

step "who may push pushes, with trust"
succeeds as alice docker push "$REGISTRY/team/app:1"
says "Successfully signed"
succeeds as alice docker push "$REGISTRY/public/app:1"

step "who may pull pulls, with trust"
succeeds as bob docker pull "$REGISTRY/team/app:1"
says "Digest: sha256:"

step "who may not push is refused by the registry, and by the trust server"
fails without_trust bob docker push "$REGISTRY/team/app:2"
says "denied"
succeeds without_trust alice docker push "$REGISTRY/team/app:2"
succeeds as bob docker pull --disable-content-trust "$REGISTRY/team/app:2"
fails as bob docker trust sign "$REGISTRY/team/app:2"
fails as carol docker pull "$REGISTRY/team/app:2"

step "who may nothing, and who has not logged in, are refused"
fails without_trust carol docker pull "$REGISTRY/team/app:1"
says "denied"
fails as carol docker pull "$REGISTRY/team/app:1"
fails without_trust nobody docker pull "$REGISTRY/team/app:1"
says "pull access denied"
fails as nobody docker pull "$REGISTRY/team/app:1"

step "what is for everybody is pulled without a login"
succeeds as nobody docker pull "$REGISTRY/public/app:1"
fails without_trust nobody docker push "$REGISTRY/public/app:1"

step "a namespace is its user's"
for user in bob carol; do
    docker --host "$(<"$(home bob)/engine")" tag "$REGISTRY/public/app:1" "$REGISTRY/users/$user/app:1"
done
succeeds as bob docker push "$REGISTRY/users/bob/app:1"
fails without_trust bob docker push "$REGISTRY/users/carol/app:1"

step "when the password changes the login ends, and when the user goes too"
set_password passwd alice another-password
eventually 10 grep --quiet 'users read again' "$SCRATCH/logs/hallmark" ||
    fail "the users were not read again"
fails without_trust alice docker push "$REGISTRY/team/app:1"
says "log in again"
succeeds docker_login alice another-password
succeeds as alice docker push "$REGISTRY/team/app:1"
succeeds hallmark user remove bob --users users
refused() { ! without_trust bob docker pull "$REGISTRY/team/app:1"; }
eventually 10 refused || fail "bob is still let in"
