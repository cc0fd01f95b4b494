#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need skopeo docker-registry jq

export DOCKER_CONFIG=$SCRATCH/tmp/docker
mkdir -p "$DOCKER_CONFIG"
echo '{}' >"$DOCKER_CONFIG/config.json"
copy() { skopeo --insecure-policy copy --all --quiet --src-tls-verify=false --dest-tls-verify=false "$@"; }
# digest_of REGISTRY REPOSITORY TAG
digest_of() { REGISTRY=$1 registry_digest "$2" "$3"; }

# stranger NAME: a docker-registry of its own, in ADDRESS.
stranger() {
    local directory=$SCRATCH/$1 port
    port=$(free_port)
    mkdir -p "$directory/data"
    cat >"$directory/config.yml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $directory/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port", secret: test}
YAML
    start "$1" docker-registry serve "$directory/config.yml"
    ADDRESS=127.0.0.1:$port
    eventually 10 curl --silent --fail "http://$ADDRESS/v2/" || fail "docker-registry did not start"
}

# put REGISTRY REPOSITORY REFERENCE TYPE FILE: a manifest as it is.
put() {
    succeeds curl --silent --show-error --fail --request PUT --header "Content-Type: $4" --data-binary "@$5" \
        "http://$1/v2/$2/manifests/$3"
}

# blob REGISTRY REPOSITORY FILE: a blob for a docker-registry, by the digest that is printed.
blob() {
    local digest location
    digest=sha256:$(sha256sum <"$3" | cut -c 1-64)
    location=$(curl --silent --fail --request POST --head "http://$1/v2/$2/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl --silent --show-error --fail --request PUT --header "Content-Type: application/octet-stream" --data-binary "@$3" "$location&digest=$digest" >&2
    echo "$digest"
}

stranger old
old=$ADDRESS
start_hallmark
new=$REGISTRY

layout app "app" --platforms amd64,arm64 --layers 2 --layer-bytes 200000
layout tools "tools" --layers 3 --layer-bytes 1500000
for tag in 1.0 latest; do succeeds copy oci:app:latest "docker://$old/team/app:$tag"; done
succeeds copy oci:tools:latest "docker://$old/team/app/tools:1"
succeeds copy oci:tools:latest "docker://$old/mirror/tools:1"
succeeds copy --format v2s2 oci:tools:latest "docker://$old/team/docker:1"

# A signature, and the list that clients keep of it where the registry has none.
echo -n '{}' >empty
echo -n 'a signature' >signature
empty=$(blob "$old" team/app empty)
signature=$(blob "$old" team/app signature)
subject=$(layout_digest app)
index_type=application/vnd.oci.image.index.v1+json
manifest_type=application/vnd.oci.image.manifest.v1+json
size_of_subject=$(stat --format %s "app/blobs/sha256/${subject#*:}")
jq --null-input --compact-output --arg empty "$empty" --arg signature "$signature" --arg subject "$subject" \
    --argjson size "$size_of_subject" --arg type "$manifest_type" --arg index "$index_type" '
    {schemaVersion: 2, mediaType: $type, artifactType: "application/vnd.example.signature",
     config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $empty, size: 2},
     layers: [{mediaType: "text/plain", digest: $signature, size: 11}],
     subject: {mediaType: $index, digest: $subject, size: $size}}' | tr -d '\n' >referrer.json
referrer=sha256:$(sha256sum <referrer.json | cut -c 1-64)
put "$old" team/app "$referrer" "$manifest_type" referrer.json
jq --null-input --compact-output --arg digest "$referrer" --arg type "$manifest_type" --arg index "$index_type" \
    --argjson size "$(stat --format %s referrer.json)" '
    {schemaVersion: 2, mediaType: $index, manifests: [{mediaType: $type, digest: $digest, size: $size,
     artifactType: "application/vnd.example.signature"}]}' >list.json
put "$old" team/app "${subject/:/-}" "$index_type" list.json

step "a rehearsal says what would be copied, and copies nothing"
succeeds hallmark copy --all --dry-run --output json "$old" "$new"
[[ -z $ERR ]] || fail "something is on standard error"
json '.dryRun' true
json '[.repositories[] | [.source, .copied.tags]]' '[["mirror/tools",1],["team/app",3],["team/app/tools",1],["team/docker",1]]'
succeeds curl --silent "http://$new/v2/_catalog"
json '.repositories' '[]'

step "a whole registry"
succeeds hallmark copy --all --output json "$old" "$new"
[[ -z $ERR ]] || fail "something is on standard error"
json '[.repositories[] | [.source, .destination, .copied.tags, .copied.manifests, .failed]]' \
    '[["mirror/tools","mirror/tools",1,1,[]],["team/app","team/app",3,5,[]],["team/app/tools","team/app/tools",1,1,[]],["team/docker","team/docker",1,1,[]]]'
json '[.repositories[].mounted] | add >= 4' true
for image in team/app:1.0 team/app:latest team/app/tools:1 mirror/tools:1 team/docker:1; do
    equal "$(digest_of "$new" "${image%:*}" "${image##*:}")" "$(digest_of "$old" "${image%:*}" "${image##*:}")" "digest of $image"
done
succeeds copy "docker://$new/team/app:1.0" oci:back:latest
layout_is_whole back || fail "a blob that came back has another digest than its name"
equal "$(ls back/blobs/sha256)" "$(ls app/blobs/sha256)" "blobs"
succeeds curl --silent --fail "http://$new/v2/team/app/referrers/$subject"
json '[.manifests[] | [.digest, .artifactType]]' "[[\"$referrer\",\"application/vnd.example.signature\"]]"

step "again: nothing is missing"
succeeds hallmark copy --all --output json "$old" "$new"
json '[.repositories[] | .copied.tags + .copied.manifests + .copied.blobs + .bytes] | add' 0
json '[.repositories[].skipped.tags] | add' 6

step "a tag that was moved is moved, unless it is to stay"
succeeds copy oci:tools:latest "docker://$old/team/app:latest"
succeeds hallmark copy --all --no-clobber "$old/team/app" "$new/team/app"
equal "$(digest_of "$new" team/app latest)" "$subject" "digest"
succeeds hallmark copy --all "$old/team/app" "$new/team/app"
says "copied 1 tags"
equal "$(digest_of "$new" team/app latest)" "$(layout_digest tools)" "digest"

step "one image, with what belongs to it, to a registry that keeps no lists of referrers"
stranger third
third=$ADDRESS
succeeds hallmark copy --output json "$new/team/app:1.0" "$third/somewhere/else"
json '[.repositories[] | [.copied.tags, .copied.manifests, .copied.blobs]]' '[[1,4,8]]'
equal "$(digest_of "$third" somewhere/else 1.0)" "$subject" "digest"
succeeds curl --silent --fail --header "Accept: $index_type" "http://$third/v2/somewhere/else/manifests/${subject/:/-}"
json '[.manifests[].digest]' "[\"$referrer\"]"
succeeds hallmark copy "$old/team/app:1.0" "$third/with/fallback:tag"
succeeds curl --silent --fail --header "Accept: $index_type" "http://$third/v2/with/fallback/manifests/${subject/:/-}"
json '[.manifests[].digest]' "[\"$referrer\"]"

step "by digest, by platform, and within one registry by mounting"
succeeds hallmark copy --no-referrers "$new/team/app@$subject" "$third/by/digest"
succeeds curl --silent --fail --head "http://$third/v2/by/digest/manifests/$subject" --header "Accept: $index_type"
succeeds hallmark copy --no-referrers --platform linux/arm64 "$new/team/app:1.0" "$third/by/platform"
equal "$(digest_of "$third" by/platform 1.0)" "$(jq --raw-output '.manifests[1].digest' "app/blobs/sha256/${subject#*:}")" "digest"
succeeds hallmark copy --output json "$new/mirror/tools:1" "$new/mounted/tools:2"
json '.repositories[0] | [.copied.blobs, .mounted, .bytes]' '[4,4,0]'

step "chosen repositories and tags, below a name"
succeeds hallmark copy --all --include 'team/**' --exclude '**:latest' --exclude team/docker --output json "$old" "$third/chosen"
json '[.repositories[] | [.destination, .copied.tags + .skipped.tags]]' '[["chosen/team/app",2],["chosen/team/app/tools",1]]'

step "what is damaged is told, and the rest is copied"
layer=$(jq --raw-output '.layers[0].digest' "tools/blobs/sha256/$(layout_digest tools | cut -d: -f2)")
data=$SCRATCH/old/data/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#*:}/data
printf 'X' | dd of="$data" bs=1 seek=700000 conv=notrunc status=none
stranger fourth
exits 15 hallmark copy --all --output json "$old" "$ADDRESS"
json '[.repositories[].failed[].image]' '["mirror/tools:1","team/app:latest","team/app/tools:1","team/docker:1"]'
json '[.repositories[].failed[].code] | unique' '["contentMismatch"]'
equal "$(digest_of "$ADDRESS" team/app 1.0)" "$subject" "digest"
fails digest_of "$ADDRESS" mirror/tools 1

step "what cannot be reached, or is no image, is refused before anything is copied"
exits 20 hallmark copy "127.0.0.1:1/a/b:1" "$new/a/b:1"
exits 2 hallmark copy --all "$old/team/app" "$new"
exits 2 hallmark copy --all "$old/team/app:1.0" "$new/team/app"
exits 2 hallmark copy --include '*' "$old/a:1" "$new/a:1"
exits 1 hallmark copy "$old/team/absent:1" "$new/team/absent:1"
