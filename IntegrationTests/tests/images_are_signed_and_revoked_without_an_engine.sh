#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need skopeo
start_servers
start_engine one
new_user alice
new_user jane
new_user bob
repository=$REGISTRY/team/app

# upload LAYOUT TAG: puts an image into the registry without signing it.
upload() { skopeo --insecure-policy copy --all --quiet --dest-tls-verify=false "oci:$1" "docker://$repository:$2"; }

step "tags that are in the registry are signed without an engine, several in one publish"
layout first "first" --platforms amd64,arm64
layout second "second"
for tag in 1.0 latest; do succeeds upload first $tag; done
succeeds upload second 2.0
succeeds hallmark_of alice sign "$repository:1.0" "$repository:latest" "$repository:2.0"
says "Signed $repository:1.0@$(layout_digest first) as targets"
equal "$(metadata "$repository" targets | jq .signed.version)" 2 "one publish for three tags"
succeeds as bob docker pull "$repository:1.0"
says "@$(layout_digest first)"
succeeds as bob docker pull "$repository:2.0"
says "@$(layout_digest second)"

step "a tag that moved is not signed as what somebody looked at; with its digest it is signed as that"
succeeds upload second latest
exits 15 hallmark_of alice sign --digest "$(layout_digest first)" "$repository:latest"
says "is $(layout_digest second) in the registry now"
equal "$(signed_digest alice team/app latest)" "$(layout_digest first)" "what is signed"
succeeds hallmark_of alice sign --digest "$(layout_digest second)" "$repository:latest"
equal "$(signed_digest alice team/app latest)" "$(layout_digest second)" "what is signed"
succeeds hallmark_of alice sign "$repository:latest@$(layout_digest first)"
equal "$(signed_digest alice team/app latest)" "$(layout_digest first)" "what is signed"
exits 1 hallmark_of alice sign "$repository:absent"
exits 2 hallmark_of alice sign --show "$repository:1.0"

step "inspect by tag, by digest, with platforms"
succeeds hallmark_of bob inspect --output json "$repository:1.0"
json '[.tags[0].manifests[].platform]' '["linux/amd64","linux/arm64"]'
succeeds hallmark_of bob inspect --output json "$repository@$(layout_digest first)"
json '[.tags[].name]' '["1.0","latest"]'
exits 11 hallmark_of bob inspect "$repository@sha256:$(printf '%064d' 0)"

step "an artifact is signed and pulled"
echo '{"a": "policy"}' >policy
cat >artifact.py <<'PYTHON'
import hashlib, json, os
os.makedirs("artifact/blobs/sha256", exist_ok=True)
def add(media_type, data):
    digest = hashlib.sha256(data).hexdigest()
    open("artifact/blobs/sha256/" + digest, "wb").write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.policy", "config": add("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [add("application/json", open("policy", "rb").read())]}
top = add(manifest["mediaType"], json.dumps(manifest).encode())
json.dump({"schemaVersion": 2, "manifests": [top]}, open("artifact/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open("artifact/oci-layout", "w"))
PYTHON
python3 artifact.py
succeeds hallmark_of alice push artifact "$repository:policy"
succeeds hallmark_of bob pull "$repository:policy" pulled-artifact
succeeds cmp policy "pulled-artifact/blobs/sha256/$(sha256sum <policy | cut -d' ' -f1)"
succeeds hallmark_of bob inspect --output json "$repository:policy"
json '.tags[0].artifactType' application/vnd.example.policy
exits 1 hallmark_of bob pull "$repository:policy" --to docker
says "no image that an engine could run"

step "signers are added, sign with docker and with hallmark, and are removed"
succeeds as jane docker trust key generate jane --dir "$(home jane)"
succeeds hallmark_of alice signer add --key "$(home jane)/jane.pub" jane "$repository"
exits 2 hallmark_of alice signer add --key "$(home jane)/jane.pub" releases "$repository"
succeeds hallmark_of bob signer list --output json "$repository"
json '[.signers[].name]' '["jane"]'
base_image "by jane" "$repository:3.0"
succeeds as jane docker trust sign "$repository:3.0"
succeeds hallmark_of jane sign "$repository:2.0"
says "targets/jane"
succeeds as bob docker trust inspect "$repository"
json '[.[0].SignedTags[] | select(.SignedTag == "3.0" or .SignedTag == "2.0") | .Signers[0]]' '["jane","jane"]'

step "what is revoked docker no longer pulls; what a role lists whose key is elsewhere is said to count still"
succeeds hallmark_of jane revoke "$repository:3.0"
fails as bob docker pull "$repository:3.0"
says "o valid trust data for 3.0"
exits 1 hallmark_of jane revoke "$repository:2.0"
says "still counts"
succeeds hallmark_of alice revoke "$repository:2.0"
fails as bob docker pull "$repository:2.0"
exits 11 hallmark_of alice revoke "$repository:2.0"
exits 2 hallmark_of alice revoke "$repository"

step "the last signer goes only by force, and leaves no role that nobody can sign"
exits 1 hallmark_of alice signer remove jane "$repository"
says "last signer"
succeeds hallmark_of alice signer remove --force jane "$repository"
succeeds as bob docker trust inspect "$repository"
json '.[0].Signers' '[]'
succeeds hallmark_of alice revoke --yes "$repository"
succeeds as bob docker trust inspect "$repository"
json '.[0].SignedTags' '[]'
