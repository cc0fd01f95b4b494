#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time limit: 180
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need jq python3
python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"

start_servers
new_user alice
new_user bob
: >seen

# follows DEFINITION: what the last command printed.
follows() {
    local problem
    problem=$(python3 "$HERE/validate_json.py" "$1" <<<"$OUT" 2>&1) || fail "its output does not follow the schema: $problem"
    echo "$1" >>seen
}
# prints DEFINITION COMMAND...: it succeeds, and nothing but that JSON is printed.
prints() {
    local definition=$1
    shift
    succeeds "$@" --output json
    follows "$definition"
}
# refuses CODE COMMAND...
refuses() {
    local code=$1
    shift
    exits "$code" "$@" --output json
    OUT=$ERR follows error
    [[ $(jq .error.exitCode <<<"$ERR") == "$code" ]] || fail "the error names another exit code"
}

step "images"
layout source "some content" --platforms amd64,arm64
image=$REGISTRY/team/app
prints push hallmark_of alice push source "$image:1"
prints pull hallmark_of bob pull "$image:1" out
prints inspect hallmark_of bob inspect "$image"
prints copy as alice hallmark copy "$image:1" "$REGISTRY/team/copy:1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout qa.key -out qa.crt -days 30 -subj "/CN=qa" 2>/dev/null
prints sign hallmark_of alice sign "$image:1"
prints signer-add as alice hallmark signer add --key qa.crt qa "$image"
prints signer-list as bob hallmark signer list "$image"
prints signer-remove as alice hallmark signer remove --force qa "$image"
prints revoke hallmark_of alice revoke "$image:1"

step "a collection on a trust server"
gun=example.com/tools/schema
echo content >file
prints init hallmark_of alice init $gun
prints status hallmark_of alice status $gun
prints add hallmark_of alice add $gun a file
prints addhash hallmark_of alice addhash $gun b 8 --sha256 "$(sha256sum file | cut -d' ' -f1)"
prints status hallmark_of alice status $gun
prints publish hallmark_of alice publish $gun
prints remove hallmark_of alice remove $gun b --publish
prints list hallmark_of bob list $gun
prints lookup hallmark_of bob lookup $gun a
prints verify hallmark_of bob verify $gun a file -o copy
prints witness hallmark_of alice witness --publish $gun targets
prints add hallmark_of alice add $gun c file
prints reset hallmark_of alice reset $gun --all
prints delegation-add as alice hallmark delegation add $gun targets/qa qa.crt --all-paths --publish
prints delegation-list as bob hallmark delegation list $gun
prints delegation-remove as alice hallmark delegation remove $gun targets/qa --yes --publish
prints key-rotate as alice hallmark key rotate $gun snapshot --server-managed
prints key-list as alice hallmark key list
prints rescue hallmark_of alice rescue $gun
prints delete hallmark_of alice delete $gun

step "a repository in a directory"
prints init as alice hallmark init ./repository
prints add as alice hallmark add ./repository a/file file --publish
prints list as alice hallmark list ./repository
prints lookup as alice hallmark lookup ./repository a/file
prints verify as alice hallmark verify ./repository
prints delegation-add as alice hallmark delegation add ./repository qa --generate-key --paths 'qa/*' --publish
prints delegation-list as alice hallmark delegation list ./repository
prints delegation-bins as alice hallmark delegation bins ./repository 4 --generate-key --publish
prints status as alice hallmark status ./repository
prints refresh as alice hallmark refresh ./repository
prints key-generate as alice hallmark key generate --public key.pem

prints version hallmark version
prints docker-status as alice hallmark docker status

step "what serves"
prints config-check as alice hallmark config check
prints config-show as alice hallmark config show
prints client-check as alice hallmark client check
prints client-show as alice hallmark client show example.com/tools/other
HALLMARK_USER_PASSWORD="a secret" succeeds hallmark user add alice --users users --cost 4
prints user-list as alice hallmark user list --users users
prints backup as alice hallmark backup --data "$HALLMARK_DATA" backups --with-passphrase
prints restore as alice hallmark restore "$(jq --raw-output .backup <<<"$OUT")" --data restored
prints registry-collect as alice hallmark registry collect --dry-run --data "$HALLMARK_DATA"
prints registry-scrub as alice hallmark registry scrub --data "$HALLMARK_DATA"

step "errors, of every kind that comes without an attacker"
refuses 2 hallmark lookup
refuses 1 hallmark_of alice add $gun a /nonexistent
refuses 10 hallmark_of bob lookup example.com/tools/nothing a
refuses 11 hallmark_of bob lookup "$image" nothing
refuses 20 as bob hallmark lookup --server https://127.0.0.1:1 example.com/tools/other a

step "every verb that prints JSON has a definition, and there is none of another"
verbs=$(hallmark --experimental-dump-help | jq --raw-output '
    def below(name): .subcommands[]? | select(.commandName != "help" and .shouldDisplay != false)
        | (name + .commandName) as $own
        | (if any(.arguments[]?; .valueName == "output" or any(.names[]?; .name == "output")) then $own else empty end),
          below($own + "-");
    .command | below("")' | sort)
equal "$(python3 "$HERE/validate_json.py" --definitions | grep '^[a-z]' | grep --invert-match '^error$' | sort)" "$verbs" "definitions"
echo "  $(sort -u seen | wc -l) of $(wc -l <<<"$verbs") definitions were printed"
