#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_root
need podman busybox
start_servers
export REGISTRY_AUTH_FILE=$SCRATCH/tmp/auth.json CONTAINERS_CONF=$SCRATCH/tmp/containers.conf
export CONTAINERS_STORAGE_CONF=$SCRATCH/tmp/storage.conf
echo '{}' >"$REGISTRY_AUTH_FILE"
printf '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n' >"$CONTAINERS_CONF"
printf '[storage]\ndriver = "vfs"\nrunroot = "/nowhere"\ngraphroot = "/nowhere"\n' >"$CONTAINERS_STORAGE_CONF"
export CONTAINERS_REGISTRIES_CONF=$SCRATCH/tmp/registries.conf
printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >"$CONTAINERS_REGISTRIES_CONF"
pod() {
    local store=$SCRATCH/podman-$1
    shift
    HOME=$SCRATCH/tmp podman --root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" --storage-driver vfs "$@"
}
image=$REGISTRY/pods/app:1.0

step "an image is made, pushed, and pushed once more"
mkdir -p rootfs/bin
cp "$(type -P busybox)" rootfs/bin/busybox
ln -s busybox rootfs/bin/cat
echo "from podman" >rootfs/text
tar -C rootfs -cf rootfs.tar .
succeeds pod one import --change 'CMD ["cat", "/text"]' rootfs.tar "$image"
succeeds pod one push --tls-verify=false "$image"
succeeds pod one push --tls-verify=false --digestfile digest "$image"
equal "$(<digest)" "$(registry_digest pods/app 1.0)" "digest"

step "another store pulls and runs it"
succeeds pod two pull --tls-verify=false "$image"
succeeds pod two run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$image"
equal "$OUT" "from podman" "what the container prints"

step "in Docker's format, with compressions, and under a manifest list"
succeeds pod one push --tls-verify=false --format v2s2 "$image" "$REGISTRY/pods/app:docker"
succeeds pod one push --tls-verify=false --compression-format zstd "$image" "$REGISTRY/pods/app:zstd"
succeeds pod one manifest create list "$image"
succeeds pod one manifest push --tls-verify=false --all list "docker://$REGISTRY/pods/list:1.0"
for reference in pods/app:docker pods/app:zstd pods/list:1.0; do
    succeeds pod two pull --tls-verify=false "$REGISTRY/$reference"
    succeeds pod two run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$REGISTRY/$reference"
    equal "$OUT" "from podman" "$reference"
done

step "what is not there is refused"
fails pod two pull --tls-verify=false "$REGISTRY/pods/app:absent"
