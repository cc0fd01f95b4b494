#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/users.sh"

need skopeo podman
start_with_users
layout image "for the team"

# tool USER skopeo|podman ARGUMENT...: with the credentials of that user, if any.
tool() {
    local user=$1 program=$2
    shift 2
    [[ $program != skopeo ]] || set -- --policy policy.json "$@"
    HOME=$PWD REGISTRY_AUTH_FILE=$PWD/$user.json "$program" "$@"
}
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
for user in alice bob carol nobody; do echo '{}' >$user.json; done

for program in skopeo podman; do
    step "$program login, with the right password only"
    fails tool alice $program login --cert-dir certificates --username alice --password wrong-password "$REGISTRY"
    says "invalid username/password"
    for user in alice bob carol; do
        succeeds tool $user $program login --cert-dir certificates --username $user --password $user-password "$REGISTRY"
    done
done

step "skopeo copies where its user may"
copy() { tool "$1" skopeo copy --src-cert-dir certificates --dest-cert-dir certificates "${@:2}"; }
succeeds copy alice oci:image:latest "docker://$REGISTRY/team/app:1"
succeeds copy alice oci:image:latest "docker://$REGISTRY/public/app:1"
succeeds copy bob "docker://$REGISTRY/team/app:1" oci:copied:1
equal "$(layout_digest copied)" "$(layout_digest image)" "digest"
fails copy bob oci:image:latest "docker://$REGISTRY/team/app:2"
fails copy carol "docker://$REGISTRY/team/app:1" oci:none:1
fails copy nobody "docker://$REGISTRY/team/app:1" oci:none:1
succeeds copy nobody "docker://$REGISTRY/public/app:1" oci:open:1

step "from one repository to another, with rights in both"
succeeds copy bob "docker://$REGISTRY/team/app:1" "docker://$REGISTRY/users/bob/app:1"
fails copy bob "docker://$REGISTRY/users/bob/app:1" "docker://$REGISTRY/users/carol/app:1"

step "deletion is for who may do everything"
fails tool alice skopeo delete --cert-dir certificates "docker://$REGISTRY/team/app:1"
succeeds tool bob skopeo delete --cert-dir certificates "docker://$REGISTRY/users/bob/app:1"

if ((EUID == 0)); then
    step "podman pulls and pushes where its user may"
    printf '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n' >containers.conf
    printf '[storage]\ndriver = "vfs"\nrunroot = "/nowhere"\ngraphroot = "/nowhere"\n' >storage.conf
    pod() {
        local user=$1
        shift
        CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_STORAGE_CONF=$PWD/storage.conf tool "$user" podman \
            --root "$SCRATCH/podman/root" --runroot "$SCRATCH/podman/run" --tmpdir "$SCRATCH/podman/tmp" \
            --storage-driver vfs "$@"
    }
    succeeds pod bob pull --cert-dir certificates "$REGISTRY/team/app:1"
    fails pod bob push --cert-dir certificates "$REGISTRY/team/app:1"
    succeeds pod alice push --cert-dir certificates "$REGISTRY/team/app:1" "$REGISTRY/team/pushed:1"
    fails pod carol pull --cert-dir certificates "$REGISTRY/team/pushed:1"
fi
