#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/s3.sh"

need_hallmark
start_moto
REGISTRY=127.0.0.1:$(free_port)
serve() {
    start_service registry --only registry --registry-address "$REGISTRY" --data "$SCRATCH/data" "${S3_OPTIONS[@]}" "$@"
}
serve --registry-s3-prefix images
# Nothing is signed here.
TRUST=0 TRUST_SERVER=https://127.0.0.1:1 TRUST_CA=$SCRATCH/tmp/none.crt
touch "$TRUST_CA"
start_engine alice
new_user alice

step "an image goes up and comes back"
base_image "some text" "$REGISTRY/app:1.0"
succeeds as alice docker push "$REGISTRY/app:1.0"
succeeds as alice docker rmi "$REGISTRY/app:1.0"
succeeds as alice docker pull "$REGISTRY/app:1.0"
succeeds as alice docker run --rm "$REGISTRY/app:1.0" cat /text
says "some text"
s3_keys | grep --quiet --invert-match '^images/' && fail "an object lies outside the prefix"

step "and from the storage itself, after a restart"
stop registry
serve --registry-s3-prefix images/ --registry-s3-redirect
succeeds as alice docker rmi "$REGISTRY/app:1.0"
succeeds as alice docker pull "$REGISTRY/app:1.0"
succeeds as alice docker run --rm "$REGISTRY/app:1.0" cat /text
says "some text"

step "what the storage lost is found"
s3 DELETE "blobs/$(s3_keys | sed -n 1p)"
fails hallmark registry scrub --data "$SCRATCH/data" "${S3_OPTIONS[@]}" --registry-s3-prefix images

step "without credentials or a bucket it does not start, and says what it lacks"
stop registry
exits 1 env -u AWS_ACCESS_KEY_ID timeout 20 hallmark serve --only registry --data "$SCRATCH/data" "${S3_OPTIONS[@]}"
says "there are no credentials for the bucket"
exits 2 timeout 20 hallmark serve --only registry --data "$SCRATCH/data" --registry-s3-endpoint "$S3_ENDPOINT"
says "--registry-s3-endpoint: needs --registry-s3-bucket"
exits 1 timeout 20 hallmark serve --only registry --data "$SCRATCH/data" --registry-s3-endpoint "$S3_ENDPOINT" --registry-s3-bucket none
says "NoSuchBucket"
