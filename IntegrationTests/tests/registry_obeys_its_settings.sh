#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has these settings"
need curl skopeo

# serve_with ARGUMENT...: on the same data, with these settings.
serve_with() {
    start_service registry --only registry --data "$SCRATCH/hallmark" --registry-address 127.0.0.1:0 "$@"
    REGISTRY=$(ready_address registry registry) REGISTRY=${REGISTRY#http://}
}
# status CODE METHOD PATH CURL-ARGUMENT...
status() {
    local expected=$1 method=$2 path=$3
    shift 3
    [[ $method == HEAD ]] && set -- --head "$@" || set -- --request "$method" "$@"
    try curl --silent --show-error --max-time 20 --output body --dump-header head --write-out '%{http_code}' "$@" "http://$REGISTRY$path"
    [[ $OUT == "$expected" ]] || fail "$method $path should answer $expected: $(<body)"
}
copy() { skopeo --insecure-policy copy --all --src-tls-verify=false --dest-tls-verify=false "$@"; }
layout image "settings" --platforms amd64,arm64
index=application/vnd.oci.image.index.v1+json
sparse=$(jq --null-input --compact-output --arg type $index --arg digest "sha256:$(printf %064d 0)" \
    '{schemaVersion: 2, mediaType: $type, manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: 7}]}')

step "as it is: everything but sparse manifests"
serve_with
succeeds copy oci:image:latest "docker://$REGISTRY/team/app:1"
succeeds copy oci:image:latest "docker://$REGISTRY/team/app:2"
status 400 PUT /v2/team/app/manifests/sparse --header "Content-Type: $index" --data-binary "$sparse"
status 202 DELETE /v2/team/app/manifests/2
status 200 GET /v2/
! grep --quiet --ignore-case '^warning' head || fail "nobody had anything to say"
stop registry

step "deletes refused, sparse indexes taken, and something said"
serve_with --registry-refuse-deletes --registry-sparse indexes --registry-notice 'moves on "1 May"'
status 405 DELETE /v2/team/app/manifests/1
status 201 PUT /v2/team/app/manifests/sparse --header "Content-Type: $index" --data-binary "$sparse"
status 200 GET /v2/
grep --quiet --fixed-strings 'warning: 299 - "moves on \"1 May\""' head || fail "no warning: $(<head)"
stop registry

step "read-only: pulled from, and not changed"
serve_with --registry-read-only
succeeds copy "docker://$REGISTRY/team/app:1" oci:pulled:1
equal "$(layout_digest pulled)" "$(layout_digest image)" "digest"
fails copy oci:image:latest "docker://$REGISTRY/team/app:3"
status 405 POST /v2/team/app/blobs/uploads/
status 405 DELETE /v2/team/app/manifests/1
status 200 HEAD /v2/team/app/manifests/1
stop registry
