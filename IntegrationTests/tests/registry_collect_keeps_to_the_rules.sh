#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has retention rules"
need python3 curl jq
export HALLMARK_REGISTRY_COLLECT_GRACE=1s
start_hallmark
push() { python3 "$HERE/registry_content.py" "$1" "$REGISTRY" "${@:2}"; }
tags() { curl -s "http://$REGISTRY/v2/$1/tags/list" | python3 -c 'import json, sys; print(*json.load(sys.stdin).get("tags", []))'; }
for number in 1 2 3 4; do push image team/app "v1.$number" "app $number" >/dev/null; done
push image team/app latest "app 4" >/dev/null
push image other/app v1 "other" >/dev/null
lonely=$(push blob team/app lonely)
rules=$SCRATCH/tmp/rules.yml
cat >"$rules" <<'YAML'
rules:
  - repositories: ["team/**"]
    keep: {versions: 2}
    untagged: 1s
protected:
  - repositories: ["**"]
    tags: [latest]
YAML
collect() { hallmark registry collect --data "$HALLMARK_DATA" --registry-collect-rules "$rules" "$@"; }

step "a file that is wrong is refused with its line"
printf 'rules:\n  - repositories: [a]\n    keep: {newest: none}\n' >"$rules.wrong"
exits 1 hallmark registry collect --data "$HALLMARK_DATA" --registry-collect-rules "$rules.wrong"
[[ $ERR == *"$rules.wrong:3: found"* ]] || fail "no line: $ERR"
exits 1 env HALLMARK_REGISTRY_COLLECT_RULES="$rules.wrong" hallmark config check
says "$rules.wrong:3: found"

step "a dry run says what would go and why, and changes nothing"
sleep 2
succeeds collect --dry-run
says "tag team/app:v1.1 ("
says "tag team/app:v1.2 ("
says "line 2: not among the 2 highest versions"
says "blob $lonely"
never_says "v1.3"
never_says "other/app"
first=$OUT
equal "$(tags team/app)" "latest v1.1 v1.2 v1.3 v1.4" "the tags of team/app"
succeeds collect --dry-run --output json
json '[.items[] | select(.kind == "tag") | .tag] | sort' '["v1.1","v1.2"]'
json '.summary | [.tags, .manifests, .blobs]' '[2,2,5]'
freed=$(jq .summary.blobBytes <<<"$OUT")

step "then just that goes, under the eyes of the server"
before=$(du -sb --apparent-size "$HALLMARK_DATA/registry/blobs" | cut -f1)
succeeds collect
equal "${OUT#Removed}" "$(tail -n 1 <<<"${first}" | sed 's/^Would remove//')" "what was removed"
equal "$(tags team/app)" "latest v1.3 v1.4" "the tags of team/app"
equal "$(tags other/app)" "v1" "the tags of other/app"
equal "$((before - $(du -sb --apparent-size "$HALLMARK_DATA/registry/blobs" | cut -f1)))" "$freed" "the bytes that came back"
equal "$(curl -s -o /dev/null -w '%{http_code}' "http://$REGISTRY/v2/team/app/manifests/v1.1")" 404 "the status of a tag that went"
succeeds collect --dry-run
says "Would remove 0 tags, 0 manifests, 0 blobs"

step "and all of it when the server is not there"
stop hallmark
succeeds collect
succeeds hallmark registry scrub --data "$HALLMARK_DATA"
