#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark
need skopeo
start_servers
new_user alice
new_user bob
image=$REGISTRY/team/app:1.0
layout source "over the gap" --platforms amd64,arm64 --layers 2
succeeds hallmark_of alice push source "$image"

step "whoever is on this side exports; no key goes along, and other tools read the images"
succeeds hallmark_of alice bundle export bundle.tar "$image"
says "1 collection with 1 image"
never_says private
tar --list --file bundle.tar >members
! grep -E 'private|\.key' members || fail "a key is in the bundle"
succeeds skopeo inspect --raw oci-archive:bundle.tar
succeeds hallmark bundle show bundle.tar
says "$(layout_digest source)"

step "a newer one, for later"
layout newer "newer" --platforms amd64 --layers 1
succeeds hallmark_of alice push newer "$image"
succeeds hallmark_of alice bundle export newer.tar "$image"
stop hallmark

# inside COMMAND...: on a machine without any network.
inside() { unshare --net --map-root-user -- "$@"; }
hallmark_inside() { inside env HOME="$(home bob)" hallmark "$@" --server https://trust.invalid --trust-dir inner/trust; }

step "on the other side it is verified, and read without a server"
succeeds hallmark_inside bundle import bundle.tar --to inner/layout
says "$(layout_digest source)"
layout_is_whole inner/layout || fail "the layout is not whole"
equal "$(layout_digest inner/layout)" "$(layout_digest source)" "digest"
succeeds hallmark_inside lookup "$REGISTRY/team/app" 1.0
says "$(layout_digest source | cut -d: -f2)"

step "the newer one replaces it, and the older one is refused from then on: 14"
succeeds hallmark_inside bundle import newer.tar --to inner/layout
exits 14 hallmark_inside bundle import bundle.tar --to inner/again
[[ ! -e inner/again ]] || fail "something was written"
succeeds hallmark_inside lookup "$REGISTRY/team/app" 1.0
says "$(layout_digest newer | cut -d: -f2)"

step "one that is older than is allowed is refused: 13; so is one whose pins do not fit: 12"
touch settings.yaml
exits 13 faketime -f +2d env HOME="$(home bob)" hallmark bundle import newer.tar --max-age 1d --trust-dir other/trust
echo "pins: {'*': $(printf '0%.0s' {1..64})}" >settings.yaml
exits 12 env HOME="$(home bob)" hallmark bundle import newer.tar --config settings.yaml --trust-dir other/trust
[[ ! -e other/trust/tuf ]] || fail "something is trusted"

step "what was changed on the way is refused, and nothing is kept"
cp newer.tar changed.tar
size=$(stat --format %s changed.tar)
printf 'x' | dd of=changed.tar bs=1 seek=$((size - 3000)) conv=notrunc status=none
fails env HOME="$(home bob)" hallmark bundle import changed.tar --trust-dir other/trust --to other/layout
head --bytes $((size / 2)) newer.tar >short.tar
exits 1 env HOME="$(home bob)" hallmark bundle import short.tar --trust-dir other/trust --to other/layout
[[ ! -e other/layout && ! -e other/trust/tuf ]] || fail "something was kept"

step "the images go into the registry of the other side, and are pulled from it by the name that is signed"
signed=$REGISTRY
REGISTRY="" TRUST_SERVER=""
start_hallmark "$SCRATCH/second"
succeeds env HOME="$(home bob)" hallmark bundle import newer.tar --trust-dir inner/trust --push "$REGISTRY/mirror"
echo "mirrors: {'$signed/*': $REGISTRY/mirror}" >settings.yaml
succeeds env HOME="$(home bob)" hallmark pull "$signed/team/app:1.0" pulled --config settings.yaml --trust-dir inner/trust
equal "$(layout_digest pulled)" "$(layout_digest newer)" "digest"
