#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need skopeo docker-registry jq

copy() { skopeo --insecure-policy copy --all --quiet --src-tls-verify=false --dest-tls-verify=false "$@"; }
digest_of() { REGISTRY=$1 registry_digest "$2" "$3"; }
import() { hallmark registry import --data "$HALLMARK_DATA" --output json "$@"; }

start_debian_registry
old=$REGISTRY storage=$DEBIAN_REGISTRY_ROOT
REGISTRY=

layout app "app" --platforms amd64,arm64 --layers 2 --layer-bytes 200000
layout tools "tools" --layers 3 --layer-bytes 1000000
succeeds copy oci:app:latest "docker://$old/team/app:1.0"
# Many tags of one image, as its bytes.
index=$(layout_digest app)
for number in {1..50}; do
    curl --silent --fail --request PUT --header "Content-Type: application/vnd.oci.image.index.v1+json" \
        --data-binary "@app/blobs/sha256/${index#*:}" "http://$old/v2/team/app/manifests/v$number"
done
succeeds copy oci:tools:latest "docker://$old/team/app/tools:1"
succeeds copy --format v2s2 oci:tools:latest "docker://$old/mirror/tools:1"
succeeds copy oci:tools:latest "docker://$old/gone/tools:1"
succeeds curl --silent --fail --request DELETE "http://$old/v2/gone/tools/manifests/$(layout_digest tools)"

step "a rehearsal, before there is anything of ours"
succeeds import --dry-run "$storage"
json '[.dryRun, .manifests.imported, .tags.set, .problemCount]' '[true,5,53,0]'

step "while both serve: ours has answered before, and learns of what comes"
start_hallmark
new=$REGISTRY
fails digest_of "$new" team/app 1.0
succeeds import "$storage"
json '[.repositories, .tags.set, .problems]' '[4,53,[]]'
json '.blobs.imported == .blobs.linked and .blobs.copiedBytes == 0' true
for image in team/app:1.0 team/app:v1 team/app:v50 team/app/tools:1 mirror/tools:1; do
    equal "$(digest_of "$new" "${image%:*}" "${image##*:}")" "$(digest_of "$old" "${image%:*}" "${image##*:}")" "digest of $image"
done
for image in team/app:1.0 team/app/tools:1; do
    back=back-${image//[:\/]/-}
    succeeds copy "docker://$new/$image" "oci:$back:latest"
    layout_is_whole "$back" || fail "a blob that came back has another digest than its name"
done
succeeds copy "docker://$new/mirror/tools:1" dir:back
fails digest_of "$new" gone/tools 1

step "again: nothing is missing; what was pushed there meanwhile comes"
succeeds import "$storage"
json '[.blobs.imported, .blobs.shared, .manifests.imported, .tags.set, .tags.present]' '[0,0,0,0,53]'
layout late "late"
succeeds copy oci:late:latest "docker://$old/team/late:1"
succeeds import "$storage"
json '[.blobs.imported, .manifests.imported, .tags.set]' '[2,1,1]'
equal "$(digest_of "$new" team/late 1)" "$(layout_digest late)" "digest"

step "without either being served, and after it was killed halfway"
stop hallmark
crash docker-registry
HALLMARK_DATA=$SCRATCH/second
start killed hallmark registry import --data "$HALLMARK_DATA" --jobs 1 "$storage"
sleep 0.1
crash killed
succeeds import "$storage"
json '.problemCount' 0
REGISTRY=
start_hallmark "$HALLMARK_DATA"
succeeds copy "docker://$REGISTRY/team/app:v7" oci:again:latest
layout_is_whole again || fail "a blob that came back has another digest than its name"

step "a damaged storage: told, left, and the rest imported"
layer=$(jq --raw-output '.layers[0].digest' "tools/blobs/sha256/$(layout_digest tools | cut -d: -f2)")
cp -r "$storage" damaged
data=damaged/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#*:}/data
printf 'X' | dd of="$data" bs=1 seek=500000 conv=notrunc status=none
: >damaged/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link
stop hallmark
HALLMARK_DATA=$SCRATCH/third
exits 1 import damaged
json '[.problems[] | select(.item | startswith("sha256") | not) | .repository + ":" + .item] | sort' \
    '["mirror/tools:1","team/app/tools:1","team/app:v1"]'
json '[.problems[] | select(.reason | contains("has the digest"))] | length >= 2' true
REGISTRY=
start_hallmark "$HALLMARK_DATA"
succeeds copy "docker://$REGISTRY/team/app:v2" oci:sound:latest
fails digest_of "$REGISTRY" team/app/tools 1

step "what is no such storage is refused"
mkdir -p elsewhere
exits 1 hallmark registry import --data "$HALLMARK_DATA" elsewhere
says "docker/registry/v2/repositories"
