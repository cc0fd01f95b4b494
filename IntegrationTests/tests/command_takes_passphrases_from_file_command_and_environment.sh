#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

need script
start_servers
new_user alice
layout source "some content"
image=$REGISTRY/team/app
push() { # push TAG OPTION...: without any passphrase in the environment
    local tag=$1
    shift
    as alice env --unset DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE --unset DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE \
        --unset NOTARY_ROOT_PASSPHRASE --unset NOTARY_TARGETS_PASSPHRASE --unset NOTARY_SNAPSHOT_PASSPHRASE \
        --unset NOTARY_DELEGATION_PASSPHRASE hallmark push "$@" source "$image:$tag"
}

step "without any source: refused, with the names of the variables"
exits 1 push 1
says DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE
says NOTARY_ROOT_PASSPHRASE

step "a passphrase that is too short for a new key is refused"
echo short >passphrase
exits 1 push 1 --passphrase-file passphrase

step "the first line of a file; and then the same of a program's output"
printf 'a good passphrase\nand a note\n' >passphrase
succeeds push 1 --passphrase-file passphrase
succeeds push 2 --passphrase-command "head -n 1 $PWD/passphrase"

step "what is named goes before the environment, whose passphrase is another"
succeeds as alice hallmark push --passphrase-file passphrase source "$image:3"

step "a wrong one is refused, and says for which key; it is never shown"
echo "not the passphrase" >wrong
exits 1 push 4 --passphrase-file wrong
says "targets key"
never_says "not the passphrase"
exits 1 push 4 --passphrase-file /nonexistent
says /nonexistent
exits 1 push 4 --passphrase-command false
exits 1 as alice hallmark push source "$image:4"

step "the variables alone"
new_user bob
image=$REGISTRY/bob/app
succeeds as bob hallmark push source "$image:1"
succeeds as bob env --unset DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE --unset DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE \
    hallmark push source "$image:2"

step "the next line of an open file descriptor; and another place for the keys of a role"
new_user carol
image=$REGISTRY/carol/app
push_as_carol() { as carol env --unset DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE --unset DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE \
    --unset NOTARY_ROOT_PASSPHRASE --unset NOTARY_TARGETS_PASSPHRASE hallmark push source "$image:$1" "${@:2}"; }
printf "the root key passphrase\n" >root-passphrase
printf "a passphrase of carol\nwhat follows\n" >lines
succeeds push_as_carol 1 --passphrase-fd 7 --passphrase-file root=root-passphrase 7<lines
succeeds push_as_carol 2 --passphrase-fd targets=7 7<lines
exits 1 push_as_carol 3 --passphrase-file root-passphrase
exits 1 push_as_carol 3 --passphrase-file root=root-passphrase
says NOTARY_TARGETS_PASSPHRASE
exits 1 push_as_carol 3 --passphrase-fd 77
says "file descriptor 77"
exits 2 push_as_carol 3 --passphrase-fd seven
exec 8<lines
push_as_carol 4 --passphrase-fd 8 >/dev/null
read -r rest <&8
exec 8<&-
equal "$rest" "what follows" "what is left for others to read"

step "a key on disk is never without encryption"
plain=$(grep --recursive --files-without-match ENCRYPTED "$(home alice)/.docker/trust/private" || true)
equal "$plain" "" "files of keys that are not encrypted"
