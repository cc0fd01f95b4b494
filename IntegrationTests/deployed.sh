# SPDX-License-Identifier: Apache-2.0
#
# For tests of what is in deploy/; sourced after lib.sh.

need_deployment() {
    need_hallmark
    need python3 notary skopeo openssl "$@"
    python3 -c 'import yaml' 2>/dev/null && return
    [[ ${CI:-} != true ]] || fail "python3-yaml is not installed; run scripts/install-test-dependencies"
    skip "python3-yaml is not installed; run scripts/install-test-dependencies"
}

deploy=$HERE/../deploy
server_port=$(free_port) signer_port=$(free_port) registry_port=$(free_port)
echo content >content

# serves: the stock client publishes through the trust server, skopeo pushes to the registry.
serves() {
    local gun=example.com/deployed/$RANDOM user=user-$RANDOM
    new_user $user
    succeeds notary_of $user init --publish $gun
    succeeds notary_of $user key rotate $gun snapshot --server-managed
    succeeds notary_of $user add --publish $gun v1 content
    new_user reader-$user
    succeeds notary_of reader-$user verify $gun v1 --input content
    rm -rf image
    layout image "deployed" --layers 1
    mkdir -p certs && cp "$TRUST_CA" certs/ca.crt
    succeeds skopeo copy --dest-cert-dir certs oci:image "docker://$REGISTRY/team/app:1"
}
