#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_root
need ctr
start_servers
start_engine one
new_user alice
container() { ctr --address "$SCRATCH/engine-one/exec/containerd/containerd.sock" --namespace test "$@"; }

step "what docker pushed, containerd pulls"
image=$REGISTRY/team/app:1.0
base_image "from docker" "$image"
succeeds without_trust alice docker push "$image"
succeeds container images pull --plain-http --snapshotter native "$image"
succeeds container images list --quiet
says "$image"

step "and pushes elsewhere, layers in one request each"
succeeds container images tag "$image" "$REGISTRY/team/copy:1.0"
succeeds container images push --plain-http "$REGISTRY/team/copy:1.0"
equal "$(registry_digest team/copy 1.0)" "$(registry_digest team/app 1.0)" "digest"

step "an OCI index with two platforms comes whole"
layout multi "two platforms" --platforms amd64,arm64
succeeds skopeo --insecure-policy copy --all --dest-tls-verify=false oci:multi:latest "docker://$REGISTRY/team/multi:1.0"
succeeds container content fetch --plain-http --all-platforms "$REGISTRY/team/multi:1.0"
for blob in multi/blobs/sha256/*; do
    succeeds container content get "sha256:${blob##*/}"
done

step "what is not there is refused"
fails container images pull --plain-http "$REGISTRY/team/absent:1.0"
