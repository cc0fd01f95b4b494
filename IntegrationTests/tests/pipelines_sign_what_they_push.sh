#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need python3 jq
python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed"
pipelines=$HERE/../docs/pipelines

start_servers
new_user owner
new_user runner
layout image "what the pipeline built"
tar -C image -cf image.tar .
export IMAGE=$REGISTRY/team/app DOCKER_CONTENT_TRUST_SERVER=$TRUST_SERVER
# steps FILE [NUMBER]: its commands, as one script; the first that fails ends it.
steps() { { echo set -e && python3 "$HERE/pipeline_steps.py" "$pipelines/$@"; } >steps.sh; }

step "the owner prepares, as the README says"
steps README.md 0
succeeds as owner bash steps.sh
root=$(tail -n 1 <<<"$OUT")
[[ $root =~ ^[0-9a-f]{64}$ ]] || fail "no root key: $root"
steps README.md 1
PIPELINE_PASSPHRASE="the pipeline's own" succeeds as owner bash steps.sh
id=$(tail -n 1 <<<"$OUT")
id=${id%.key}
[[ $(ls pipeline/private) == "$id.key" && $(cat pipeline/private/*) == *ENCRYPTED* ]] || fail "no key for the pipeline"

# runs USER NAME=VALUE...: the steps, in a directory of their own, with nothing in the environment but that.
number=0
runs() {
    local user=$1
    shift
    number=$((number + 1))
    mkdir "run$number"
    cp image.tar "run$number"
    (cd "run$number" && exec env --ignore-environment PATH="$PATH" HOME="$(home "$user")" IMAGE="$IMAGE" TAG="v$number" \
        DOCKER_CONTENT_TRUST_SERVER="$TRUST_SERVER" SIGNING_KEY_ID="$id" ROOT_KEY_ID="$root" "$@" sh ../steps.sh)
}
signed() {
    succeeds as owner hallmark lookup "$IMAGE" "v$number" --output json
    json .target.role targets/releases
    json .target.hashes.sha256 "$(layout_digest image | cut -d: -f2)"
    [[ -s run$number/pulled.tar && ! -e run$number/signing ]] || fail "not checked, or its key is still there"
}

step "GitHub"
steps github.yml
succeeds runs runner SIGNING_KEY="$(cat pipeline/private/*)" NOTARY_DELEGATION_PASSPHRASE="the pipeline's own"
signed
fails runs runner SIGNING_KEY="$(cat pipeline/private/*)" NOTARY_DELEGATION_PASSPHRASE="another"
fails runs runner SIGNING_KEY="$(cat pipeline/private/*)"
says NOTARY_DELEGATION_PASSPHRASE

step "GitLab"
steps gitlab.yml
mkdir -p docker
cp -r "$(home runner)/.docker/tls" docker
succeeds runs runner SIGNING_KEY="$PWD/pipeline/private/$id.key" SIGNING_PASSPHRASE="the pipeline's own" DOCKER_CONFIG="$PWD/docker" \
    REGISTRY_USER=runner REGISTRY_PASSWORD=secret
signed
json_of_login=$(jq --raw-output '.auths[].auth' docker/config.json | base64 --decode)
equal "$json_of_login" runner:secret "the login"

step "Jenkins"
steps Jenkinsfile
echo "the pipeline's own" >passphrase
succeeds runs runner SIGNING_KEY="$PWD/pipeline/private/$id.key" SIGNING_PASSPHRASE_FILE="$PWD/passphrase"
signed

step "another root key than the one expected ends the pipeline"
right=$root root=${root//[0-9]/a}
fails runs runner SIGNING_KEY="$PWD/pipeline/private/$id.key" SIGNING_PASSPHRASE_FILE="$PWD/passphrase"
root=$right

step "the owner takes its right away"
steps README.md 2
SIGNING_KEY_ID=$id succeeds as owner bash steps.sh
fails runs runner SIGNING_KEY="$PWD/pipeline/private/$id.key" SIGNING_PASSPHRASE_FILE="$PWD/passphrase"
