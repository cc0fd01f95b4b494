#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time limit: 180
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need script python3
start_servers
start_engine publisher
new_user alice
image=$REGISTRY/team/app:1.0
unsigned=$REGISTRY/team/app:unsigned
untrusted=$REGISTRY/team/untrusted:1.0
base_image "good" "$image"
base_image "nobody's" "$unsigned" "$untrusted"

# front USER ARGUMENT...: docker as 29 is, without content trust of its own, behind hallmark.
front() {
    local user=$1
    shift
    as "$user" env --unset=DOCKER_CONTENT_TRUST hallmark docker "$@"
}

# forget_images: the engine of the readers has none of them any more.
forget_images() {
    local images
    images=$(without_trust stock docker images --all --quiet | sort --unique)
    # shellcheck disable=SC2086
    [[ -z $images ]] || without_trust stock docker image rm --force $images >/dev/null
}

step "a push through the front signs, and a stock client with content trust pulls it"
succeeds front alice push "$image"
says "Signing and pushing trust metadata"
says "Finished initializing \"$REGISTRY/team/app\""
says "Successfully signed $image"
good=$(registry_digest team/app 1.0)
equal "$(signed_digest alice team/app 1.0)" "$good" "signed digest"
succeeds without_trust alice docker push "$unsigned"
succeeds without_trust alice docker push "$untrusted"
start_engine reader
new_user stock
as stock docker pull "$image" >stock.out 2>stock.err || fail "the stock client does not pull what the front has signed"
grep --quiet "@$good" stock.out || fail "the stock client pulled something else"
forget_images

step "a pull through the front fetches the digest and gives it its tag, in docker's words"
new_user bob
succeeds front bob pull "$image"
says "Pull (1 of 1): $image@$good"
equal "$ERR" "$(<stock.err)" "what the stock client says on standard error"
equal "$(tail -n 1 <<<"$OUT")" "$image" "the last line"
equal "$(grep -v -e '^Digest' -e '[a-f0-9]\{12\}: ' <<<"$OUT")" \
    "$(grep -v -e '^Digest' -e '[a-f0-9]\{12\}: ' stock.out)" "what the stock client prints"
succeeds front bob run --rm --network none "$image"
equal "$OUT" "good" "what the container prints"

step "on a terminal docker still shows its progress, and what it pushed is signed all the same"
# on_terminal USER ARGUMENT...: front, with a terminal.
on_terminal() {
    SHELL=$BASH script --quiet --return --command "$(declare -f front as); SCRATCH=$SCRATCH TRUST_SERVER=$TRUST_SERVER; front ${*@Q}" typescript \
        </dev/null >/dev/null || fail "front $* on a terminal: $(<typescript)"
}
ENGINE=publisher
base_image "second" "$REGISTRY/team/app:2.0"
on_terminal alice push "$REGISTRY/team/app:2.0"
grep --quiet $'\x1b' typescript || fail "no progress is shown"
equal "$(signed_digest alice team/app 2.0)" "$(registry_digest team/app 2.0)" "signed digest"
on_terminal bob pull "$REGISTRY/team/app:2.0"
grep --quiet $'\x1b' typescript || fail "no progress is shown"
equal "$(tr -d '\r' <typescript | grep --count "^$REGISTRY/team/app@sha256:[0-9a-f]*$")" 0 "names of what was pulled by digest"
succeeds as bob docker image inspect "$REGISTRY/team/app:2.0"

step "what is not signed is refused, and nothing of it arrives or runs"
exits 1 front bob pull "$unsigned"
says "No valid trust data for unsigned"
exits 1 front bob image pull --quiet "$untrusted"
says "remote trust data does not exist for $REGISTRY/team/untrusted"
exits 125 front bob run --rm --network none --cidfile ran "$unsigned"
says "No valid trust data for unsigned"
[[ ! -e ran ]] || fail "a container was made"
exits 1 front bob container create --network none "$unsigned"
succeeds as bob docker ps --all --quiet
equal "$OUT" "" "containers"
fails as bob docker image inspect "$unsigned"

step "content trust is turned off by variable and by flag"
succeeds as bob env DOCKER_CONTENT_TRUST=0 hallmark docker pull "$unsigned"
succeeds front bob run --rm --network none --disable-content-trust "$unsigned"
equal "$OUT" "nobody's" "what the container prints"
exits 125 as bob env DOCKER_CONTENT_TRUST=no hallmark docker run --network none "$unsigned"
exits 125 as bob env DOCKER_CONTENT_TRUST=0 hallmark docker run --network none --disable-content-trust=false "$unsigned"

step "an image that has the tag here is not the signed one because of that"
succeeds as bob docker tag "$unsigned" "$REGISTRY/team/app:local"
exits 125 front bob run --rm --network none "$REGISTRY/team/app:local"

step "somebody overwrites the tag in the registry: the front still runs what was signed"
ENGINE=publisher
base_image "evil" "$image"
succeeds without_trust alice docker push "$image"
evil=$(registry_digest team/app 1.0)
[[ $good != "$evil" ]] || fail "the overwriting image is the same as the first one"
ENGINE=reader
forget_images
new_user carol
succeeds front carol run --rm --network none "$image"
equal "$OUT" "good" "what the container prints"
says "Unable to find image '$image' locally"
succeeds as carol docker image inspect --format '{{index .RepoDigests 0}}' "$image"
equal "$OUT" "${image%:*}@$good" "what has the tag now"
succeeds without_trust carol docker pull "$image"
succeeds front carol run --rm --network none "$image"
equal "$OUT" "good" "what runs when the other has the tag here, too"
succeeds front carol pull --all-tags "$REGISTRY/team/app"
says "Pull (1 of 2): $image@$good"

step "docker's flags stand where docker takes them"
echo 'FROM_FILE=yes' >variables
succeeds front carol --debug --host "$(<"$(home carol)/engine")" container run --rm -i -e A=1 --env B=2 -eC=3 --env-file variables \
    --network=none --name=shaped -h box -u 0:0 --init=false -w / -- "$image" sh -c 'echo "$A$B$C$FROM_FILE-$(cat /text)"'
equal "$OUT" "123yes-good" "what the container prints"
succeeds front carol run --network none --rm --pull always -it=false "$image" cat /text
equal "$OUT" "good" "what the container prints"
exits 125 front carol run --no-such-flag "$image"
says "unknown flag: --no-such-flag"
succeeds front carol run --help
says "Usage:"

step "input, output, exit codes, terminals and signals are the container's"
exits 7 front carol run --rm --network none "$image" sh -c 'exit 7'
OUT=$(echo "through" | front carol run --rm -i --network none "$image" cat)
equal "$OUT" "through" "standard input"
on_terminal carol run --rm -ti --network none "$image" sh -c 'test -t 0 && test -t 1 && echo terminal'
grep --quiet terminal typescript || fail "the container has no terminal"
as carol env --unset=DOCKER_CONTENT_TRUST sh -c 'echo $$ >sleeper.pid; exec "$@"' sh hallmark docker run --rm --network none "$image" \
    sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done' >sleeper.out 2>&1 &
sleeper=$!
eventually 20 grep --quiet up sleeper.out || fail "the container did not start"
kill -TERM "$(<sleeper.pid)"
CODE=0
wait "$sleeper" || CODE=$?
equal "$CODE" 9 "exit code after a signal"

step "the front has docker trust, and the rest of docker is docker's"
succeeds front carol --debug trust inspect "$image"
json '.[0].SignedTags[0].SignedTag' 1.0
succeeds front carol version --format '{{.Client.Version}}'
equal "$OUT" "$(docker --version | sed 's/^Docker version \([^,]*\),.*/\1/')" "version"
fails front carol no-such-command
equal "$CODE" "$(as carol docker no-such-command >/dev/null 2>&1 || echo $?)" "exit code"
exits 127 as carol env PATH=/nowhere "$HALLMARK" docker ps
says "no docker on PATH"

step "a link named docker is the front, and finds the docker behind itself"
mkdir shim
succeeds as carol hallmark docker install --cli-plugins-dir plugins --shim-dir shim
says "Installed $PWD/plugins/docker-trust"
exits 125 as carol env --unset=DOCKER_CONTENT_TRUST PATH="$PWD/shim:$PATH" docker run --network none "$unsigned"
succeeds as carol env --unset=DOCKER_CONTENT_TRUST PATH="$PWD/shim:$PATH" docker run --rm --network none "$image"
equal "$OUT" "good" "what the container prints"
printf '#!/bin/sh\nexec hallmark docker "$@"\n' >shim/looping
chmod +x shim/looping
mkdir loop && mv shim/looping loop/docker
exits 127 as carol env PATH="$PWD/loop:$PATH" hallmark docker ps
says "leads back to hallmark"
succeeds as carol hallmark docker uninstall --cli-plugins-dir plugins --shim-dir shim
[[ ! -e plugins/docker-trust && ! -e shim/docker ]] || fail "something is left"

step "while the trust server is away, what is cached and still valid counts"
TRUST_SERVER=https://127.0.0.1:1
succeeds front carol run --rm --network none "$image"
equal "$OUT" "good" "what the container prints"
exits 125 front carol run --rm --network none "$REGISTRY/team/other:1.0"
says "error contacting notary server"
