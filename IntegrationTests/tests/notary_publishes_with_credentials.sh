#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

need notary
start_with_users
gun=example.com/tools/one
printf 'content\n' >content
for user in alice bob carol nobody; do visitor $user; done

# with_credentials USER:PASSWORD ARGUMENT...: as the notary client takes them.
with_credentials() {
    local credentials=$1
    shift
    NOTARY_AUTH=$(printf '%s' "$credentials" | base64) notary_of "$@"
}

step "who may push publishes"
succeeds with_credentials alice:alice-password alice init --publish $gun
succeeds with_credentials alice:alice-password alice add --publish $gun v1 content

step "a wrong password, no password, and no right to it are refused"
fails with_credentials alice:wrong-password alice add --publish $gun v2 content
fails notary_of alice publish $gun
fails with_credentials bob:bob-password alice publish $gun
succeeds with_credentials alice:alice-password alice publish $gun

step "everybody reads what is for everybody, and the rest is for those who say who they are"
succeeds notary_of nobody verify $gun v2 --input content
succeeds with_credentials alice:alice-password alice init --publish example.com/private/one
succeeds with_credentials alice:alice-password alice add --publish example.com/private/one v1 content
fails notary_of nobody list example.com/private/one
says "not authorized"
fails with_credentials carol:carol-password carol list example.com/private/one
succeeds with_credentials bob:bob-password bob list example.com/private/one
NOTARY_AUTH=$(printf bob:bob-password | base64) succeeds hallmark_of bob lookup example.com/private/one v1

step "the collection of an image goes by the image's rules"
succeeds with_credentials alice:alice-password alice init --publish "$REGISTRY/public/app"
succeeds with_credentials alice:alice-password alice add --publish "$REGISTRY/public/app" 1 content
succeeds notary_of nobody list "$REGISTRY/public/app"
fails with_credentials bob:bob-password bob init --publish "$REGISTRY/team/app"
succeeds with_credentials bob:bob-password bob init --publish "$REGISTRY/users/bob/app"
fails with_credentials alice:alice-password alice init --publish "elsewhere.example.com/team/app"

step "deletion, and new keys of the server, are for who may do everything"
fails with_credentials alice:alice-password alice key rotate $gun snapshot --server-managed
fails with_credentials alice:alice-password alice delete --remote $gun
succeeds with_credentials bob:bob-password bob key rotate "$REGISTRY/users/bob/app" snapshot --server-managed
succeeds with_credentials bob:bob-password bob delete --remote "$REGISTRY/users/bob/app"
