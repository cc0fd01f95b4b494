#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need jq

# verbs: every verb of the command, as it says itself, one in a line.
verbs() {
    hallmark --experimental-dump-help | jq --raw-output '
        def below(name): .subcommands[]? | select(.commandName != "help" and .shouldDisplay != false)
            | (name + .commandName) as $own | $own, below($own + " ");
        .command | below("")'
}

step "bash loads what hallmark prints, and completes every verb and its options"
hallmark completion bash >completion.bash
. completion.bash
complete -p hallmark >/dev/null || fail "bash does not know how to complete hallmark"

# completed LINE: what bash would offer at its end, one in a line.
completed() {
    COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    read -ra COMP_WORDS <<<"$1"
    [[ $1 != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    # As in a shell that somebody types into.
    set +u
    _hallmark hallmark "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || true
    printf '%s\n' "${COMPREPLY[@]}"
    set -u
}
offers() { grep --quiet --line-regexp --fixed-strings -- "$2" <<<"$(completed "$1")" || fail "after \"$1\" it does not offer $2"; }
offers_not() { ! grep --quiet --line-regexp --fixed-strings -- "$2" <<<"$(completed "$1")" || fail "after \"$1\" it offers $2"; }

count=0
while read -r verb; do
    parent=$(sed 's/[^ ]*$//' <<<"$verb")
    offers "hallmark $parent" "${verb##* }"
    offers "hallmark $verb -" --help
    count=$((count + 1))
done < <(verbs)
((count > 30)) || fail "only $count verbs"
offers "hallmark lookup -" --trust-dir
offers "hallmark lookup --output " json

step "keys, collections and roles that are known on this machine"
start_servers
new_user alice
gun=example.com/tools/completed
echo content >file
succeeds hallmark_of alice init $gun
succeeds hallmark_of alice add --publish $gun v1 file
succeeds hallmark_of alice lookup $gun v1
trust=$(home alice)/.docker/trust
id=$(as alice hallmark key list --output json | jq --raw-output '.keys[] | select(.role == "root").id')
offers "hallmark sign --trust-dir $trust --key " "$id"
offers "hallmark sign --trust-dir $trust --key ${id:0:3}" "$id"
offers_not "hallmark sign --key " "$id"
offers "hallmark lookup -d $trust " $gun
offers "hallmark lookup -d $trust exam" $gun
offers "hallmark list -d $trust --roles " targets
DOCKER_CONFIG=$(home alice)/.docker offers "hallmark lookup " $gun

step "zsh and fish get theirs, and nothing else is one"
succeeds hallmark completion zsh
says "#compdef hallmark"
succeeds hallmark completion fish
says "complete -c 'hallmark'"
exits 2 hallmark completion tcsh
