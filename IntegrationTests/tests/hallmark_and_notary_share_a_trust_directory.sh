#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
need notary
start_servers
gun=$REGISTRY/team/app
for name in one two three four; do layout $name "$name"; done
echo content >content

# fresh_clients_read TAG...
fresh_clients_read() {
    local tag reader=reader$RANDOM
    new_user $reader
    for tag; do
        succeeds notary_of $reader lookup "$gun" "$tag"
        succeeds hallmark_of $reader pull "$gun:$tag" "pulled-$reader-$tag"
    done
    succeeds hallmark_of $reader list "$gun"
    for tag; do says "$tag"; done
}

step "notary begins, with the snapshot key on its side; hallmark signs the snapshot as well"
new_user alice
succeeds notary_of alice init --publish "$gun"
succeeds hallmark_of alice push one "$gun:one"
fresh_clients_read one

step "notary goes on, with a target that is no image"
succeeds notary_of alice add --publish "$gun" readme content
succeeds hallmark_of alice push two "$gun:two"
fresh_clients_read one two
new_user bob
succeeds notary_of bob verify "$gun" readme --input content
succeeds hallmark_of bob list "$gun"
says "readme"

step "after notary rotated every key hallmark goes on"
succeeds notary_of alice key rotate "$gun" snapshot --server-managed
succeeds notary_of alice key rotate "$gun" targets
succeeds notary_of alice key rotate "$gun" timestamp --server-managed
succeeds eval 'notary_of alice key rotate "$gun" root <<<yes'
succeeds hallmark_of alice push three "$gun:three"
fresh_clients_read one two three

step "and so does a client of hallmark's that saw none of the rotations happen"
succeeds hallmark_of bob pull "$gun:three" of-bob
succeeds eval 'notary_of alice key rotate "$gun" root <<<yes'
succeeds eval 'notary_of alice key rotate "$gun" root <<<yes'
succeeds hallmark_of bob pull "$gun:one" of-bob-again

step "what hallmark began, notary goes on with"
second=$REGISTRY/team/second
new_user carol
succeeds hallmark_of carol push four "$second:four"
succeeds notary_of carol add --publish "$second" readme content
succeeds notary_of carol list "$second"
says "four"
says "readme"
succeeds notary_of carol remove --publish "$second" four
exits 11 hallmark_of carol pull "$second:four" nothing

step "changes that notary staged are not published, nor lost, by hallmark's push"
succeeds notary_of carol add "$second" staged content
succeeds hallmark_of carol push one "$second:one"
fails notary_of bob lookup "$second" staged
succeeds notary_of carol publish "$second"
succeeds notary_of bob lookup "$second" staged
