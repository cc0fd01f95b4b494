#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_root
need notary skopeo
mkdir "$SCRATCH/small"
mount -t tmpfs -o size=64m tmpfs "$SCRATCH/small" 2>/dev/null || skip "cannot mount a tmpfs here"
case $SUT in
hallmark) start_hallmark "$SCRATCH/small/data" ;;
debian) start_debian_notary && start_debian_registry "$SCRATCH/small/data" ;;
esac
new_user alice
gun=example.com/disk/full
echo content >content
push() { skopeo --insecure-policy copy --dest-tls-verify=false "oci:$1:latest" "docker://$REGISTRY/disk/$1:1.0"; }
pull() { rm -rf back && skopeo --insecure-policy copy --src-tls-verify=false "docker://$REGISTRY/disk/$1:1.0" oci:back:latest; }

# is_whole IMAGE
is_whole() {
    succeeds pull "$1"
    equal "$(layout_digest back)" "$(layout_digest "$1")" "digest of $1"
    layout_is_whole back || fail "$1 came back damaged"
}

for name in before during after; do layout $name "$name" --layers 2 --layer-bytes 3000000; done
succeeds push before
succeeds notary_of alice init --publish $gun
succeeds notary_of alice add --publish $gun before content

step "the disk is full: pushes and publications are refused"
cat /dev/zero >"$SCRATCH/small/filler" 2>/dev/null || true
fails push during
fails skopeo inspect --tls-verify=false "docker://$REGISTRY/disk/during:1.0"
if [[ $SUT == hallmark ]]; then
    # A publication may find a last free page; several cannot.
    refused=0
    for number in {1..40}; do
        try notary_of alice add --publish $gun "during-$number" content
        ((CODE == 0)) || { refused=1 && succeeds notary_of alice reset --all $gun && break; }
    done
    ((refused)) || fail "40 publications were accepted on a full disk"
fi

step "what was there is still served"
still_answers
is_whole before
new_user bob
succeeds notary_of bob verify $gun before --input content

step "with space again everything works, without a restart"
rm "$SCRATCH/small/filler"
succeeds push during
succeeds push after
succeeds notary_of alice add --publish $gun after content
for name in before during after; do is_whole $name; done
succeeds notary_of bob verify $gun after --input content
succeeds notary_of bob list $gun

step "and after a restart"
if [[ $SUT == hallmark ]]; then
    restart_hallmark
    for name in before during after; do is_whole $name; done
    new_user carol
    succeeds notary_of carol verify $gun after --input content
    succeeds notary_of alice add --publish $gun again content
fi
