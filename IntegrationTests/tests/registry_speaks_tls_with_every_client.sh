#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

need skopeo curl
: >ready
start tls bash -c 'exec hallmark serve --data "$1/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 \
    --registry-tls >"$1/ready"' serve "$PWD"
eventually 20 grep --quiet '^ready ' ready || fail "not ready"
REGISTRY=$(sed -n 's|^ready registry=https://\([^ ]*\).*|\1|p' ready)
TRUST_SERVER=$(sed -n 's|^ready .*server=||p' ready) TRUST_CA=$PWD/data/ca.crt
layout source "over TLS"

step "the guide names the place for the engine's CA"
grep --quiet "/etc/docker/certs.d/$REGISTRY/ca.crt" ready || fail "no such line"

step "hallmark, with the CA for both in Docker's directory"
new_user alice
mkdir -p "$(home alice)/.docker/certs.d/$REGISTRY"
exits 20 as alice hallmark push source "$REGISTRY/team/app:1"
says "certs.d/$REGISTRY/ca.crt"
cp "$TRUST_CA" "$(home alice)/.docker/certs.d/$REGISTRY/"
succeeds as alice hallmark push source "$REGISTRY/team/app:1"

step "skopeo, with the CA and not without"
mkdir certificates
fails skopeo --insecure-policy copy --src-cert-dir certificates "docker://$REGISTRY/team/app:1" oci:none
cp "$TRUST_CA" certificates/
succeeds skopeo --insecure-policy copy --src-cert-dir certificates "docker://$REGISTRY/team/app:1" oci:copied:1
equal "$(layout_digest copied)" "$(layout_digest source)" "digest"

if ((EUID == 0)) && type -P dockerd >/dev/null; then
    step "docker"
    start_engine tls
    new_user bob
    succeeds as bob docker pull "$REGISTRY/team/app:1"
    says "$(layout_digest source)"
    base_image "docker over TLS" "$REGISTRY/team/app:2"
    succeeds without_trust bob docker push "$REGISTRY/team/app:2"
fi
stop tls
