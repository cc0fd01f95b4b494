#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need skopeo
start_servers
export REGISTRY_AUTH_FILE=$SCRATCH/tmp/auth.json
echo '{}' >"$REGISTRY_AUTH_FILE"
copy() { skopeo --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false "$@"; }

step "an OCI image goes up and comes back byte for byte"
layout image "some text" --layers 3 --layer-bytes 300000
succeeds copy oci:image:latest "docker://$REGISTRY/tools/app:1.0"
equal "$(registry_digest tools/app 1.0)" "$(layout_digest image)" "digest in the registry"
succeeds copy "docker://$REGISTRY/tools/app:1.0" oci:back:latest
equal "$(layout_digest back)" "$(layout_digest image)" "digest of what came back"
layout_is_whole back || fail "a blob that came back has another digest than its name"
equal "$(ls back/blobs/sha256)" "$(ls image/blobs/sha256)" "blobs"

step "by digest"
succeeds copy "docker://$REGISTRY/tools/app@$(layout_digest image)" oci:by-digest:latest
equal "$(layout_digest by-digest)" "$(layout_digest image)" "digest"

step "inspect and list-tags"
succeeds skopeo inspect --tls-verify=false "docker://$REGISTRY/tools/app:1.0"
json '.Digest' "$(layout_digest image)"
succeeds copy oci:image:latest "docker://$REGISTRY/tools/app:latest"
succeeds skopeo list-tags --tls-verify=false "docker://$REGISTRY/tools/app"
json '.Tags | sort' '["1.0","latest"]'

step "an index with two platforms, whole"
layout multi "more text" --platforms amd64,arm64
succeeds copy --all oci:multi:latest "docker://$REGISTRY/tools/multi:1.0"
equal "$(registry_digest tools/multi 1.0)" "$(layout_digest multi)" "digest of the index"
succeeds copy --all "docker://$REGISTRY/tools/multi:1.0" oci:multi-back:latest
equal "$(ls multi-back/blobs/sha256)" "$(ls multi/blobs/sha256)" "blobs"

step "from one repository to another, in the registry"
succeeds copy --all "docker://$REGISTRY/tools/multi:1.0" "docker://$REGISTRY/tools/mirror:1.0"
equal "$(registry_digest tools/mirror 1.0)" "$(layout_digest multi)" "digest of the mirrored index"

step "converted to Docker's manifest"
succeeds copy --format v2s2 oci:image:latest "docker://$REGISTRY/tools/docker:1.0"
succeeds skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/tools/docker:1.0"
json '.mediaType' application/vnd.docker.distribution.manifest.v2+json
succeeds copy "docker://$REGISTRY/tools/docker:1.0" dir:docker

step "deletion: the tags of that digest go"
succeeds skopeo delete --tls-verify=false "docker://$REGISTRY/tools/app:latest"
fails skopeo inspect --tls-verify=false "docker://$REGISTRY/tools/app:latest"
succeeds skopeo inspect --tls-verify=false "docker://$REGISTRY/tools/docker:1.0"

step "what is not there is refused"
fails copy "docker://$REGISTRY/tools/absent:1.0" oci:absent:latest
fails copy "docker://$REGISTRY/tools/multi@sha256:$(printf '0%.0s' {1..64})" oci:absent:latest
