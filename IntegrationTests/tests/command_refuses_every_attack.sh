#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# The attacks of Tests/AdversaryTests on the command as people have it: what it ends with, what it says, and that what was good
# before stays. Here the publisher is openssl, and so are those who have stolen keys; a mirror shows what they made.
# time limit: 300
need_hallmark "only hallmark has this command"
need openssl python3 notary faketime

gun=example.com/tools/app
make_certificates "$SCRATCH/tmp"
python3 "$HERE/make_attacks.py" worlds $gun
key() { jq --raw-output ".\"$1\"" worlds/keys.json; }

REGISTRY=unused TRUST_CA=$SCRATCH/tmp/ca.crt TRUST_SERVER=https://127.0.0.1:$(free_port)
mkdir mirrored
start mirror python3 "$HERE/mirror.py" "${TRUST_SERVER##*:}" server.crt server.key "$PWD/mirrored"
eventually 10 curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/" || fail "the mirror did not start"

# show WORLD: what the mirror has from here on.
show() { rm -rf mirrored/* && cp -r "worlds/$1/." mirrored/; }

# reader: a machine that has read `second` before.
show second
new_user reader
succeeds hallmark_of reader list $gun
cp -r "$(home reader)/.docker/trust" kept
same_as_before() {
    diff --recursive --brief kept "$(home reader)/.docker/trust" >differences ||
        fail "$1: what was known before has changed: $(<differences)"
}
as_before() { rm -rf "$(home reader)/.docker/trust" && cp -r kept "$(home reader)/.docker/trust"; }
# newcomer: a machine that knows nothing, each time another.
newcomer() { NEWCOMER=newcomer$RANDOM && new_user $NEWCOMER; }

# refused WORLD CODE NAME TEXT...: what the reader who takes this world for the server's gets: text for people, JSON for
# programs, no content, nothing changed on his disk; and the honest server, asked after it, serves him as before.
refused() {
    local world=$1 code=$2 name=$3 text
    shift 3
    show "$world"
    exits "$code" timeout 60 bash -c 'cat second | "$@"' pipe hallmark_as_reader verify $gun app
    [[ -z $OUT ]] || fail "$world: something came out of the pipe"
    for text; do says "$text"; done
    same_as_before "$world"
    exits "$code" hallmark_of reader lookup --output json $gun app
    [[ -z $OUT ]] || fail "$world: something is on standard output"
    equal "$(jq --raw-output --compact-output '[.error.code, .error.exitCode]' <<<"$ERR")" "[\"$name\",$code]" "$world: JSON"
    for text; do [[ $(jq --raw-output '.error | .message, .advice' <<<"$ERR") == *"$text"* ]] || fail "$world: JSON says no $text"; done
    same_as_before "$world"
    show second
    succeeds hallmark_of reader lookup $gun app
    equal "$OUT" "app sha256:$(sha256sum <second | cut -d' ' -f1) 5" "$world: the honest answer afterwards"
}
printf 'app 1' >first && printf 'app 2' >second && printf 'app 3' >third && printf malware >malware
cat >"$SCRATCH/bin/hallmark_as_reader" <<SCRIPT
#!/bin/bash
verb=\$1 && shift
HOME=$(home reader) exec hallmark \$verb --server $TRUST_SERVER --tlscacert $TRUST_CA \\
    --trust-dir $(home reader)/.docker/trust "\$@"
SCRIPT
chmod +x "$SCRATCH/bin/hallmark_as_reader"

step "what is honest here: notary and hallmark read it"
new_user other
succeeds notary_of other verify $gun app --input second
succeeds hallmark_of other verify $gun app second --quiet

step "arbitrary content: another file, a longer one, an empty one"
printf 'app 2+' >longer && : >empty
for file in malware first longer empty; do
    exits 15 hallmark_of reader verify $gun app $file -o written
    [[ ! -e written && -z $OUT ]] || fail "$file was handed on"
    says "app"
    exits 15 hallmark_of reader verify $gun app $file --output json
    equal "$(jq --raw-output .error.code <<<"$ERR")" contentMismatch "JSON"
done
same_as_before "arbitrary content"

step "rollback: all of yesterday; yesterday's snapshot under today's timestamp"
refused rollback 14 rollback "timestamp: version 1 is older than version 2" "publisher"

step "mix-and-match, and bytes that were changed: by who knows neither it does not get past either"
for world in old-snapshot mix-and-match changed stolen-snapshot; do
    show $world
    newcomer
    exits 14 hallmark_of $NEWCOMER lookup $gun app
    says "sha256 is"
    [[ -z $OUT && ! -e $(home $NEWCOMER)/.docker/trust/tuf/$gun/metadata/targets.json ]] || fail "$world: something is kept"
    # Who has what is current needs none of it.
    succeeds hallmark_of reader verify $gun app second --quiet
    same_as_before $world
done

step "no metadata at all"
refused no-json 12 signature "timestamp"

step "endless data, in each role: within seconds"
refused endless-timestamp 14 rollback "$gun: timestamp:" "1048576 bytes"
refused endless-snapshot 14 rollback "$gun: snapshot:"
refused endless-targets 14 rollback "$gun: targets:"

step "signed by somebody else: timestamp, root, and the whole of another collection"
refused forged-timestamp 12 signature "timestamp: valid signatures did not meet threshold" "$(key timestamp)"
refused wrong-root 12 signature "root: could not rotate trust" "version 2" "version 1" "$(key root)"
refused begun-anew 12 signature "timestamp" "$(key timestamp)"
refused other-collection 12 signature "timestamp" "$(key timestamp)"
show other-collection
newcomer
exits 12 hallmark_of $NEWCOMER lookup $gun app

step "a root that was not pinned: refused on first use"
show begun-anew
newcomer
mkdir -p pins
cat >pins/config.json <<JSON
{"trust_pinning": {"certs": {"$gun": ["$(key root)"]}, "disable_tofu": true}}
JSON
exits 12 hallmark_of $NEWCOMER lookup --config pins/config.json $gun app
says "pin"
show second
succeeds hallmark_of $NEWCOMER lookup --config pins/config.json $gun app

step "the timestamp's key stolen: nothing older, nothing that others have not signed"
refused stolen-timestamp-old-snapshot 14 rollback "snapshot: version 1 is older than version 2"
refused stolen-timestamp-forged-snapshot 12 signature "snapshot: valid signatures did not meet threshold" "$(key snapshot)"

step "both of the server's keys stolen: no target of theirs, none that is older, none that is gone"
refused stolen-both-forged-targets 12 signature "targets: valid signatures did not meet threshold" "$(key targets)"
refused stolen-both-old-targets 14 rollback "targets: version 1 is older than version 2"
refused stolen-both-no-targets 12 signature "snapshot" "targets"

step "fast-forward with them: what is shown is genuine, and a new root brings everybody back"
show fast-forward
succeeds hallmark_of reader verify $gun app second --quiet
show second
exits 14 hallmark_of reader lookup $gun app
says "9007199254740992"
show recovered
succeeds hallmark_of reader verify $gun app third --quiet
exits 15 hallmark_of reader verify $gun app second --quiet
as_before

step "a delegated role says more than it may: it is not heard"
show greedy-role
succeeds hallmark_of reader verify $gun app second --quiet
for name in other beyond; do exits 11 hallmark_of reader lookup $gun $name; done
for arguments in "" "-r targets/qa" "-r targets/qa/sub"; do
    # shellcheck disable=SC2086
    succeeds hallmark_of reader list $gun $arguments
    never_says other
    never_says beyond
    [[ $OUT != *"$(sha256sum <malware | cut -d' ' -f1)"* ]] || fail "malware is listed"
done
succeeds hallmark_of reader list $gun
says "qa/more"
as_before

step "a delegated role that somebody else signed, or that has expired, is left out, and the answer says so"
for world in forged-role expired-role; do
    show $world
    exits 11 hallmark_of reader lookup $gun qa/tool
    says "targets/qa is left out"
    [[ $world == expired-role ]] && says "expired on" || says "$(key qa)"
    succeeds hallmark_of reader verify $gun app second --quiet
    as_before
done

step "expired: 13, with role, version and date"
yesterday=$(date --utc --date yesterday +%Y-%m-%d)
refused expired-timestamp 13 expired "timestamp: version 3 expired on" "$yesterday" "hallmark rescue"
refused expired-targets 13 expired "targets: version 3 expired on" "$yesterday"
show expired-root
exits 13 hallmark_of reader lookup $gun app
says "root: version 2 expired on $yesterday"
as_before

step "indefinite freeze: what was current is so for as long as its timestamp says, with the server and without"
show second
later() { as reader faketime -f "$1" hallmark lookup -s "$TRUST_SERVER" --tlscacert "$TRUST_CA" -d "$(home reader)/.docker/trust" $gun app; }
succeeds later +13d
exits 13 later +15d
says "timestamp: version 2 expired on"
stop mirror
succeeds later +13d
says "Warning: could not ask the trust server"
exits 13 later +15d
same_as_before "freeze"
