#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The plugin `docker trust` beside the one that is built into Docker 28 and older: same words, same exit codes, same effect.
# time limit: 180
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need openssl
start_servers
start_engine one
repository=$REGISTRY/team/app
new_user owner
new_user jane
new_user bob

step "it is installed, and answers docker's first question"
succeeds as owner hallmark docker install
plugin=$(home owner)/.docker/cli-plugins/docker-trust
succeeds "$plugin" docker-cli-plugin-metadata
json '[.SchemaVersion, .Vendor]' '["0.1.0","Hallmark"]'
succeeds as owner hallmark docker status --output json
json '[.plugin.state, .version]' "[\"installed\",\"$(docker --version | sed 's/^Docker version \([^,]*\),.*/\1/')\"]"
succeeds as owner docker trust --help
says "Manage trust on Docker images"
mv "$plugin" bin-docker-trust && mkdir -p plugins && mv bin-docker-trust plugins/docker-trust
plugin=$PWD/plugins/docker-trust

# both USER ARGUMENT...: the built-in command and the plugin say the same, and end the same.
both() {
    local user=$1 out err code
    shift
    try as "$user" docker trust "$@"
    out=$OUT err=$ERR code=$CODE
    try as "$user" "$plugin" trust "$@"
    equal "$CODE" "$code" "exit code of docker trust $*"
    equal "$OUT" "$out" "standard output of docker trust $*"
    # What is wrong with arguments was said otherwise before; of a refusal docker keeps the reason to itself.
    (($(docker_version) < 28)) || equal "$(grep -v '^(' <<<"$ERR")" "$err" "standard error of docker trust $*"
}

step "help and wrong usage are docker's"
if (($(docker_version) >= 28)); then
    for arguments in "" "--help" "key" "signer" "nosuch" "signer nosuch" "inspect" "sign" "sign a b" "signer add x" "inspect -x a" \
        "inspect --nosuch a" "key load --name" "revoke" "key generate"; do
        both owner $arguments
    done
    for command in inspect sign revoke "signer add" "signer remove" "key generate" "key load"; do both owner $command --help; done
fi
both owner sign "$repository"
both owner sign "$repository@sha256:$(printf 'a%.0s' {1..64})"
both owner signer add --key none Upper "$repository"
both owner signer add jane "$repository"
both owner key generate UPPER
both owner key load absent

step "inspect says the same of what does not exist"
both owner inspect "$repository"
both owner inspect --pretty "$repository:1.0"

step "keys that it makes and loads are docker's"
succeeds as jane "$plugin" trust key generate jane --dir "$(home jane)"
says "Generating key for jane..."
says "Successfully generated and loaded private key. Corresponding public key available: $(home jane)/jane.pub"
equal "$(sed -n 2p "$(home jane)/jane.pub")" "role: jane" "the header of the public key"
exits 1 as jane "$plugin" trust key generate jane --dir "$(home jane)"
says "public key file already exists"
openssl ecparam -genkey -name prime256v1 -noout 2>/dev/null | openssl pkcs8 -topk8 -passout "pass:repository of jane" -v2 aes-256-cbc \
    -v2prf hmacWithSHA1 -out loaded.pem 2>/dev/null
openssl ec -in loaded.pem -passin "pass:repository of jane" -pubout -out loaded.pub 2>/dev/null
exits 1 as jane "$plugin" trust key load loaded.pub
chmod 644 loaded.pem
both jane key load loaded.pem
says "must not be readable or writable by others"
chmod 600 loaded.pem
# The built-in command says that it has loaded an encrypted key, and has not (9.26 of Docker's own faults).
before=$(ls "$(home jane)/.docker/trust/private" | wc -l)
succeeds as jane "$plugin" trust key load --name second loaded.pem
equal "$(ls "$(home jane)/.docker/trust/private" | wc -l)" $((before + 1)) "keys"

step "signers are added, to a repository that does not exist yet"
succeeds as owner "$plugin" trust signer add --key "$(home jane)/jane.pub" jane "$repository"
equal "$OUT" "Adding signer \"jane\" to $repository...
Initializing signed repository for $repository...
Successfully initialized \"$repository\"
Successfully added signer: jane to $repository" "what it says"
both bob inspect "$repository"
both bob inspect --pretty "$repository"

step "an image that is here is pushed and signed; then the signature is renewed"
base_image "by jane" "$repository:1.0" "$repository:1.10" "$repository:1.9"
exits 1 as jane "$plugin" trust sign "$repository:absent"
succeeds as jane "$plugin" trust sign "$repository:1.0"
says "Signing and pushing trust data for local image $repository:1.0, may overwrite remote trust data"
says "Signing and pushing trust metadata"
says "Successfully signed $repository:1.0"
equal "$(registry_digest team/app 1.0)" "$(as bob docker trust inspect "$repository:1.0" | jq --raw-output '"sha256:" + .[0].SignedTags[0].Digest')" digest
both jane sign "$repository:1.0"
succeeds as jane docker trust sign --local "$repository:1.10"
succeeds as jane "$plugin" trust sign --local "$repository:1.9"
both bob inspect "$repository"
both bob inspect "$repository:1.9" "$repository:absent" "$REGISTRY/team/absent"
both bob inspect --pretty "$repository:1.10" "$repository"
succeeds as bob docker pull "$repository:1.9"

step "each goes on where the other stopped"
succeeds as owner docker trust signer add --key loaded.pub second "$repository"
both bob inspect --pretty "$repository"
succeeds as jane "$plugin" trust sign "$repository:1.0"
says "Existing signatures for tag 1.0"
succeeds as bob "$plugin" trust inspect "$repository:1.0"
json '.[0].SignedTags[0].Signers | sort' '["jane","second"]'

step "a tag is revoked, then all of them, when that is confirmed"
succeeds as jane "$plugin" trust revoke "$repository:1.9"
equal "$OUT" "Successfully deleted signature for $repository:1.9" "what it says"
both jane revoke "$repository:1.9"
both bob inspect "$repository"
try as jane "$plugin" trust revoke "$repository"
says "Confirm you would like to delete all signature data for $repository? [y/N]"
((CODE != 0)) || fail "was not confirmed"
succeeds as jane "$plugin" trust revoke --yes "$repository"
both bob inspect "$repository"
both bob inspect --pretty "$repository"
fails as bob docker pull "$repository:1.0"

step "a signer is removed, by the plugin at least"
succeeds as owner "$plugin" trust signer remove --force second "$repository"
equal "$OUT" "Removing signer \"second\" from $repository...
Successfully removed second from $repository" "what it says"
both bob inspect "$repository"
both owner signer remove --force nobody "$repository"

step "a first signature makes the repository, its user the signer"
new_user pete
base_image "by pete" "$REGISTRY/team/new:1.0"
succeeds as pete "$plugin" trust sign "$REGISTRY/team/new:1.0"
says "Created signer: pete"
says "Finished initializing signed repository for $REGISTRY/team/new:1.0"
both bob inspect "$REGISTRY/team/new"
succeeds as pete docker trust sign "$REGISTRY/team/new:1.0"
succeeds as bob docker pull "$REGISTRY/team/new:1.0"

step "the configuration is the one that docker was told"
succeeds env HOME=/nonexistent DOCKER_CONTENT_TRUST_SERVER="$TRUST_SERVER" "$plugin" --config "$(home bob)/.docker" trust inspect \
    "$REGISTRY/team/new"
json '.[0].SignedTags[0].SignedTag' 1.0
