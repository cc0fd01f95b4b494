#!/bin/bash
# SPDX-License-Identifier: Apache-2.0

# In a network of its own, where there is an address that docker does not take for this machine's: there it insists on TLS.
address=10.99.0.1
if ((EUID == 0)) && [[ -z ${OWN_NETWORK:-} ]]; then
    exec env OWN_NETWORK=1 unshare --net bash -c \
        'busybox ip link set lo up && busybox ip address add "$1/32" dev lo && exec bash "$0"' "$0" $address
fi
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

# Each client has a line of its own to the registry, which breaks now and then in the middle of a layer. docker and hallmark
# make up for it by themselves; of the others, in these versions, only some kinds of break.
need_root
need skopeo podman buildah python3 busybox dockerd
layer=1500000 platforms="amd64 arm64" seed=${SEED:-1}
registry_port=$(free_port)
declare -A line=()
open_line() {
    local port
    port=$(free_port)
    start "line-$1" python3 "$HERE/cutting_proxy.py" $address "$port" "$registry_port" "$((seed + ${#line[@]}))" "$2" 100000 1000000
    eventually 10 bash -c "exec 3<>/dev/tcp/$address/$port" || fail "no line for $1"
    line[$1]=$address:$port
}
# The engine waits for 5 s after the first loss of a layer, for 10 s after the second.
for client in docker docker-20.10; do open_line $client 1; done
for client in podman buildah skopeo hallmark; do open_line $client 2; done

set_password add alice alice-password
printf 'rules:\n  - users: [alice]\n    repositories: ["**"]\n    actions: ["*"]\n  - users: [alice]\n    actions: [catalog]\n' >rules.yaml
start_service hallmark --data "$SCRATCH/hallmark" --registry-address "$address:$registry_port" \
    --server-address $address:0 --registry-tls --users users --rules rules.yaml --token-registry "${line[hallmark]}"
TRUST_SERVER=$(ready_address hallmark server) TRUST_CA=$SCRATCH/hallmark/ca.crt
mkdir certificates
cp "$TRUST_CA" certificates/ca.crt
for client in "${!line[@]}"; do
    REGISTRY=${line[$client]} log_in alice alice-password
    rm -rf "$(home "$client")"
    mv "$(home alice)" "$(home "$client")"
done

# tool CLIENT COMMAND...: podman, buildah or skopeo with a store and credentials of its own.
printf '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n' >containers.conf
printf '[storage]\ndriver = "vfs"\nrunroot = "/nowhere"\ngraphroot = "/nowhere"\n' >storage.conf
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
tool() {
    local client=$1 store=$SCRATCH/store-$1 options=()
    shift
    case $client in
    podman) options=(--root "$store/root" --runroot "$store/run" --tmpdir "$store/tmp" --storage-driver vfs) ;;
    buildah) options=(--root "$store/root" --runroot "$store/run" --storage-driver vfs) ;;
    skopeo) options=(--policy policy.json) ;;
    esac
    HOME=$(home "$client") REGISTRY_AUTH_FILE=$(home "$client")/.docker/config.json BUILDAH_ISOLATION=chroot \
        CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_STORAGE_CONF=$PWD/storage.conf "$client" "${options[@]}" "$@"
}
# stubbornly COMMAND...: again until it succeeds; no line breaks more than four times.
stubbornly() {
    local attempt
    for attempt in 1 2 3 4; do "$@" && return; done
    "$@"
}
# engine CLIENT ARGUMENT...: the docker client of that name, at the one engine.
engine() {
    local client=$1 program=/usr/bin/docker
    shift
    [[ $client == docker-20.10 ]] || program=$newest
    DOCKER_CLI_EXPERIMENTAL=enabled SSL_CERT_FILE=$TRUST_CA without_trust "$client" "$program" "$@"
}
newest=$(PATH=${PATH#"$SCRATCH/bin:"} type -P docker)

step "images of two platforms, with layers of their own and layers in common"
SSL_CERT_FILE=$TRUST_CA start_engine one
for client in docker docker-20.10; do
    echo "unix://$SCRATCH/engine-one/socket" >"$(home $client)/engine"
done
mkdir common
head -c "$layer" /dev/urandom >common/data
make_rootfs() {
    mkdir -p "$1"
    cp common/data "$1/common"
    head -c "$layer" /dev/urandom >"$1/own"
}
for client in docker docker-20.10; do
    for platform in $platforms; do
        make_rootfs "rootfs-$client-$platform"
        tar -C "rootfs-$client-$platform" -c . |
            engine $client import --platform "linux/$platform" - "${line[$client]}/team/app:$client-$platform" >/dev/null
    done
done
for client in podman buildah; do
    for platform in $platforms; do
        make_rootfs "rootfs-$client-$platform"
        printf 'FROM scratch\nCOPY common /common\nCOPY own /own\n' >"rootfs-$client-$platform/Containerfile"
        build=(build)
        [[ $client == podman ]] || build=(bud)
        succeeds tool $client "${build[@]}" --layers --platform "linux/$platform" \
            --tag "${line[$client]}/team/app:$client-$platform" "rootfs-$client-$platform"
    done
done
for client in skopeo hallmark; do
    python3 "$HERE/make_layout.py" "layout-$client" "from $client" --layers 2 --layer-bytes "$layer" --platforms amd64,arm64
done

# ---- How each pushes and pulls -----------------------------------------------------------------------------------------

push() {
    local client=$1 platform image=${line[$1]}/team/app:$1 images=()
    for platform in $platforms; do images+=("$image-$platform"); done
    case $client in
    docker*)
        for platform in $platforms; do engine "$client" push "$image-$platform"; done
        engine "$client" manifest create "$image" "${images[@]}"
        engine "$client" manifest annotate --arch arm64 "$image" "$image-arm64"
        engine "$client" manifest push "$image"
        ;;
    podman)
        for platform in $platforms; do stubbornly tool podman push --cert-dir certificates "$image-$platform"; done
        tool podman manifest create list "${images[@]/#/containers-storage:}"
        stubbornly tool podman manifest push --cert-dir certificates --all list "docker://$image"
        ;;
    buildah)
        for platform in $platforms; do
            stubbornly tool buildah push --retry 5 --retry-delay 1s --cert-dir certificates "$image-$platform"
        done
        tool buildah manifest create list "${images[@]}"
        stubbornly tool buildah manifest push --cert-dir certificates --all list "docker://$image"
        ;;
    skopeo) push_again skopeo skopeo ;;
    hallmark) as hallmark hallmark push layout-hallmark "$image" ;;
    esac
}

# pull CLIENT TAG: what another one pushed.
pull() {
    local client=$1 image=${line[$1]}/team/app:$2
    case $client in
    docker*) engine "$client" pull "$image" ;;
    podman)
        for platform in $platforms; do
            stubbornly tool podman pull --cert-dir certificates --platform "linux/$platform" "$image"
        done
        ;;
    buildah)
        for platform in $platforms; do
            stubbornly tool buildah pull --retry 5 --retry-delay 1s --cert-dir certificates --platform "linux/$platform" "$image"
        done
        ;;
    skopeo)
        stubbornly tool skopeo copy --all --retry-times 5 --src-cert-dir certificates "docker://$image" "oci:pulled-$client:1"
        ;;
    hallmark) as hallmark hallmark pull "$image" "pulled-$client" ;;
    esac
}

# push_again CLIENT TAG: the same content under one more tag, while others read.
push_again() {
    stubbornly tool "$1" copy --all --retry-times 5 --dest-cert-dir certificates oci:layout-skopeo:latest \
        "docker://${line[$1]}/team/app:$2"
}

# at_once ACTION/CLIENT[/TAG]...: all of them, and each must come to its end.
at_once() {
    local each words
    local -A pids=()
    for each in "$@"; do
        IFS=/ read -r -a words <<<"$each"
        (set -e; "${words[@]}") >"$SCRATCH/logs/${words[0]}-${words[1]}" 2>&1 </dev/null &
        pids[$each]=$!
    done
    for each in "$@"; do
        IFS=/ read -r -a words <<<"$each"
        COMMAND=$each CODE=0
        wait "${pids[$each]}" || CODE=$?
        OUT=$(tail -n 20 "$SCRATCH/logs/${words[0]}-${words[1]}") ERR=""
        ((CODE == 0)) || fail "should have come through"
    done
}

step "all push to the same repository at once"
at_once push/docker push/docker-20.10 push/podman push/buildah push/skopeo push/hallmark

step "all pull at once what another one pushed, while one goes on pushing"
at_once pull/docker/skopeo pull/docker-20.10/buildah pull/podman/docker pull/buildah/podman pull/skopeo/docker-20.10 \
    pull/hallmark/hallmark push_again/skopeo/again

step "every line broke, both ways"
for client in "${!line[@]}"; do
    for direction in up down; do
        grep --quiet "^cut $direction" "$SCRATCH/logs/line-$client" || fail "the line of $client never broke $direction"
    done
done

step "everything is there, and is what its digest says"
succeeds python3 "$HERE/verify_registry.py" "$(ready_address hallmark registry)" "$TRUST_CA" alice alice-password
says "15 tags"
layout_is_whole pulled-skopeo || fail "what skopeo pulled is not whole"
