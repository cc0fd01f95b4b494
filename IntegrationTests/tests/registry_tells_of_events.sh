#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark's own events outlive it"
need skopeo python3

copy() { skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false "$@"; }

# receiver NAME: listens on PORT, and takes events into NAME.events as NAME.status says.
receiver() {
    PORT=$(free_port)
    echo 200 >"$1.status"
    : >"$1.events"
    start "$1" python3 "$HERE/event_receiver.py" "$PORT" "$1.events" "$1.status"
    eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT" || fail "the receiver did not start"
}

# told NAME LINE...: eventually it was told of these of the repository ABOUT, each once or more often.
has_been_told() {
    local expected
    expected=$(printf '%s\n' "${@:2}" | sort -u)
    [[ $(cut -d' ' -f 1-3 "$1.events" | grep " $ABOUT " | sort -u) == "$expected" ]]
}
told() { eventually 30 has_been_told "$@" || fail "$1 was told: $(<"$1.events")"; }

receiver sound
sound=$PORT
receiver other
other=$PORT
# A section as docker-registry has it, in its own file.
cat >config.yml <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
notifications:
  endpoints:
    - name: sound
      url: http://127.0.0.1:$sound/events
      timeout: 1s
      threshold: 2
      backoff: 100ms
    - name: other
      url: http://127.0.0.1:$other/events
      headers: {Authorization: [Bearer secret]}
      timeout: 300ms
      threshold: 2
      backoff: 100ms
      ignore: {mediatypes: [application/octet-stream], actions: [pull]}
YAML
export HALLMARK_REGISTRY_EVENTS_FILE=$PWD/config.yml
layout image "some text"
layout second "other text"
manifest=application/vnd.oci.image.manifest.v1+json
blob=application/octet-stream

step "a push, a pull and a deletion"
start_hallmark
ABOUT=team/app
succeeds copy oci:image:latest "docker://$REGISTRY/team/app:1.0"
told other "push team/app 1.0"
told sound "push team/app $blob" "push team/app 1.0"
succeeds copy "docker://$REGISTRY/team/app:1.0" oci:back:latest
told sound "push team/app $blob" "push team/app 1.0" "pull team/app 1.0" "pull team/app $blob"
succeeds skopeo delete --tls-verify=false "docker://$REGISTRY/team/app:1.0"
told other "push team/app 1.0" "delete team/app manifest"
[[ $(grep -c 'push team/app 1.0' sound.events) == 1 ]] || fail "it was told twice: $(<sound.events)"

step "one that fails and one that hangs keep no push waiting; the server is killed before they are back"
: >sound.events
: >other.events
echo 500 >sound.status
echo hang >other.status
ABOUT=late/app
for tag in 1 2 3; do succeeds copy oci:second:latest "docker://$REGISTRY/late/app:$tag"; done
crash hallmark
grep --quiet " $ABOUT " sound.events other.events && fail "somebody was told"
echo 200 >sound.status
echo 200 >other.status
start_hallmark
told other "push late/app 1" "push late/app 2" "push late/app 3"
told sound "push late/app $blob" "push late/app 1" "push late/app 2" "push late/app 3"
ids=$(grep " $ABOUT " other.events | cut -d' ' -f 4 | sort -u | wc -l)
equal "$ids" 3 "events of the other"

step "killed again and again while pushes go on: what was acknowledged is told"
: >other.events
expected=()
ABOUT=round/app
for round in 1 2 3 4; do
    for tag in a b; do
        succeeds copy oci:image:latest "docker://$REGISTRY/round/app:$round$tag"
        expected+=("push round/app $round$tag")
    done
    crash hallmark
    start_hallmark
done
told other "${expected[@]}"

step "settings that cannot be used are refused with their line"
stop hallmark
sed -i 's/threshold: 2/treshold: 2/' config.yml
exits 1 hallmark serve --data "$SCRATCH/refused" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0
says "config.yml:8: \`treshold\`"
