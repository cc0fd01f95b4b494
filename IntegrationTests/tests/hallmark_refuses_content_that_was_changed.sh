#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
new_user alice
new_user bob
image=$REGISTRY/team/app:1.0
layout source "the good content" --layers 2 --layer-bytes 50000
succeeds hallmark_of alice push source "$image"

# stored DIGEST: the file that holds a blob on the registry's disk.
stored() {
    find "${DEBIAN_REGISTRY_DATA:-$HALLMARK_DATA/registry}" -type f -size +0 -exec sha256sum {} + |
        awk -v want="${1#sha256:}" '$1 == want { print $2; exit }'
}
layer=$(jq --raw-output '.layers[1].digest' "source/blobs/sha256/$(layout_digest source | cut -d: -f2)")
file=$(stored "$layer")
[[ -n $file ]] || fail "the layer is not on the registry's disk"

step "a layer with one byte changed: 15, and nothing is written"
cp --preserve "$file" kept
chmod u+w "$file"
printf 'X' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
exits 15 hallmark_of bob pull "$image" nothing
[[ ! -e nothing ]] || fail "something was written"
says "$layer"

step "a layer that ends early: refused"
cat kept >"$file"
truncate --size 1000 "$file"
fails hallmark_of bob pull "$image" nothing
[[ ! -e nothing ]] || fail "something was written"

step "the right one is back: it is pulled"
cat kept >"$file"
succeeds hallmark_of bob pull "$image" whole
layout_is_whole whole || fail "not whole"

step "signed metadata is changed in the client's cache: it is not believed"
cache=$(home bob)/.docker/trust/tuf/$REGISTRY/team/app/metadata/targets.json
sed -i 's/"1\.0"/"6.6"/' "$cache"
succeeds hallmark_of bob pull "$image" once-more
exits 11 hallmark_of bob pull "$REGISTRY/team/app:6.6" nothing
