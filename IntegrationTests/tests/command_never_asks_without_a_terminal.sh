#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time limit: 180
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need jq setsid

start_servers
new_user alice
gun=example.com/tools/quiet
echo content >file
layout image "an image"
succeeds hallmark_of alice init $gun
succeeds hallmark_of alice add --publish $gun v1 file
succeeds hallmark_of alice push image "$REGISTRY/quiet:1"
trust=$(home alice)/.docker/trust

# alone COMMAND...: without a terminal, without input, and without a passphrase in any variable; ended after 20 s.
alone() {
    exits_within 20 env --unset DOCKER_CONFIG HOME="$(home alice)" DOCKER_CONTENT_TRUST_SERVER="$TRUST_SERVER" \
        setsid --wait "$@"
}
exits_within() {
    try timeout "$@"
    ((CODE != 124)) || fail "waits for somebody who is not there"
    ((CODE < 126)) || fail "crashed"
}

step "no verb waits for input, whatever it is given"
hallmark --experimental-dump-help | jq --raw-output '
    def below(name): .subcommands[]? | select(.commandName != "help" and .shouldDisplay != false)
        | (name + .commandName) as $own
        | (if .subcommands == null then
            $own + "\t" + ([.arguments[]? | select(.kind == "positional" and .isOptional == false) | .valueName] | join(" "))
          else empty end), below($own + " ");
    .command | below("")' >verbs
(($(wc -l <verbs) > 30)) || fail "too few verbs"
count=0
while IFS=$'\t' read -r verb names; do
    [[ $verb != serve ]] || continue
    operands=()
    for name in $names; do
        case $name in
        collection | gun) operands+=("$gun") ;;
        image) operands+=("$REGISTRY/quiet:1") ;;
        role) operands+=(targets) ;;
        shell) operands+=(bash) ;;
        directory | destination | backup) operands+=("$PWD/nothing-$RANDOM") ;;
        *) operands+=(file) ;;
        esac
    done
    # shellcheck disable=SC2086
    alone hallmark $verb "${operands[@]}"
    count=$((count + 1))
done <verbs
((count > 30)) || fail "too few verbs"

step "what needs a passphrase names what gives it"
printf 'more' >more
for command in "add --publish $gun v2 more" "push image $REGISTRY/quiet:2" "key rotate $gun targets" "witness --publish $gun targets" \
    "init --publish example.com/tools/new"; do
    # shellcheck disable=SC2086
    alone hallmark $command --tlscacert "$TRUST_CA" --trust-dir "$trust"
    ((CODE == 1)) || fail "should have been refused"
    says _PASSPHRASE
    says "run on a terminal"
done

step "what needs a yes names the option that says it"
# shellcheck disable=SC2086
alone hallmark delegation remove $gun targets/nobody --tlscacert "$TRUST_CA" --trust-dir "$trust"
((CODE == 1 || CODE == 2)) || fail "should have been refused"
says "--yes"
alone hallmark user add nobody --users users
((CODE == 1 || CODE == 2)) || fail "should have been refused"
says "--password"
