#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

start_with_users
layout image "for the team"
log_in alice alice-password
log_in bob bob-password
log_in carol wrong-password
visitor nobody

step "hallmark pushes and pulls where its user may"
succeeds as alice hallmark push image "$REGISTRY/team/app:1"
succeeds as alice hallmark push image "$REGISTRY/public/app:1"
succeeds as bob hallmark pull "$REGISTRY/team/app:1" pulled
equal "$(layout_digest pulled)" "$(layout_digest image)" "digest"
succeeds as nobody hallmark pull "$REGISTRY/public/app:1" open

step "and is told where not, with the exit code for it"
exits 21 as bob hallmark push image "$REGISTRY/team/app:2"
exits 21 as carol hallmark pull "$REGISTRY/team/app:1" none
exits 21 as nobody hallmark pull "$REGISTRY/team/app:1" none
[[ ! -e none ]] || fail "something was pulled"

step "collections of other files"
echo content >content
NOTARY_AUTH=$(printf alice:alice-password | base64) succeeds hallmark_of alice init --publish example.com/private/one
NOTARY_AUTH=$(printf alice:alice-password | base64) succeeds hallmark_of alice add --publish example.com/private/one v1 content
NOTARY_AUTH=$(printf bob:bob-password | base64) succeeds hallmark_of bob list example.com/private/one
NOTARY_AUTH=$(printf bob:bob-password | base64) exits 21 hallmark_of bob init --publish example.com/private/two
exits 21 hallmark_of nobody list example.com/private/one
