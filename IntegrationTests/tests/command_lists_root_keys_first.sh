#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

start_servers
new_user alice

step "no keys yet: it says so, and asks for nothing"
succeeds as alice hallmark key list
says "No signing keys found."

step "root keys first, then by collection"
layout source "some content"
for name in zebra apple mango; do succeeds hallmark_of alice push source "$REGISTRY/$name/app:1"; done
succeeds as alice hallmark key list
equal "$(awk '$1 == "root" || $1 == "targets" { print $1 }' <<<"$OUT" | tr '\n' ' ')" "root targets targets targets " "roles"
succeeds as alice hallmark key list --output json
json '[.keys[].gun]' "[null,\"$REGISTRY/apple/app\",\"$REGISTRY/mango/app\",\"$REGISTRY/zebra/app\"]"
json '[.keys[].location | test("/private/[0-9a-f]{64}\\.key$")] | unique' '[true]'
