#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/publishers.sh"

need_hallmark
need notary skopeo curl jq
start_hallmark
backups=$SCRATCH/backups
make_publishers
new_user pusher
for number in {1..6}; do layout "layout$number" "image $number" --layers 2 --layer-bytes 200000; done

# push_for_ever: signed images, one after another.
push_for_ever() {
    local -i number
    for ((number = 1; ; number = number % 6 + 1)); do
        hallmark_of pusher push "layout$number" "$REGISTRY/team/app:v$number" >>"$SCRATCH/logs/pusher" 2>&1 &&
            echo "v$number" >>"$SCRATCH/tmp/pushed"
        [[ ! -e $SCRATCH/tmp/stop ]] || return 0
    done
}

step "a collection that stays as it is, but for its timestamp"
new_user alice
succeeds notary_of alice init --publish example.com/quiet
succeeds notary_of alice key rotate example.com/quiet snapshot --server-managed
succeeds notary_of alice add --publish example.com/quiet v1 content

step "while two publish and one pushes signed images, backups are made"
touch "$SCRATCH/tmp/pushed"
start_publishers
push_for_ever &
pusher=$!
echo $pusher >"$SCRATCH/processes/pusher"
for round in 1 2 3; do
    publications_go_on "before backup $round:"
    pushes=$(wc -l <"$SCRATCH/tmp/pushed")
    pushed_more() { (($(wc -l <"$SCRATCH/tmp/pushed") > pushes)); }
    eventually 20 pushed_more || fail "before backup $round nothing is pushed"
    acknowledged=$(sort "$journal") images=$(sort --unique "$SCRATCH/tmp/pushed")
    succeeds hallmark backup --data "$HALLMARK_DATA" --blobs --with-passphrase --output json "$backups"
    json '.passphrase' true
    json '.blobs.count > 0' true
done
publications_go_on "after the backups:"
stop_publishers
wait $pusher
rm -f "$SCRATCH"/processes/{pusher,publisher-*}
equal "$(find "$backups" -maxdepth 1 -name '2*' | wc -l)" 3 "the number of backups"

step "without being asked to, a backup leaves out passphrase and blobs"
succeeds hallmark backup --data "$HALLMARK_DATA" "$SCRATCH/plain"
says "the signer's passphrase is not in it"
[[ ! -e $SCRATCH/plain/blobs && -z $(find "$SCRATCH/plain" -name 'passphrase*') ]] || fail "it is in there"

step "after the last backup, the timestamp of the collection that stays goes on, and a stock client has seen that"
for _ in 1 2 3; do
    printf -- '--end--\r\n' | curl --silent --show-error --fail --cacert "$TRUST_CA" --data-binary @- \
        --header 'Content-Type: multipart/form-data; boundary=end' "$TRUST_SERVER/v2/example.com/quiet/_trust/tuf/"
done
new_user old
succeeds notary_of old lookup example.com/quiet v1
stop hallmark

step "a restore refuses what is in use, what is not empty, and what is damaged, and leaves nothing behind"
exits 1 hallmark restore "$backups" --data "$HALLMARK_DATA"
says "not an empty directory"
cp -r "$backups" damaged
newest=$(find damaged -maxdepth 1 -name '2*' | sort | tail -n 1)
printf 'x' | dd of="$newest/trust.sqlite" bs=1 seek=5000 conv=notrunc status=none
exits 1 hallmark restore damaged --data "$SCRATCH/restored"
says "trust.sqlite is damaged"
cp "$(find "$backups" -maxdepth 1 -name '2*' | sort | tail -n 1)/trust.sqlite" "$newest/trust.sqlite"
blob=$(find damaged/blobs -type f -size +1k | head -n 1)
printf 'x' | dd of="$blob" bs=1 seek=10 conv=notrunc status=none
exits 1 hallmark restore damaged --data "$SCRATCH/restored"
says "${blob##*/}"
[[ ! -e $SCRATCH/restored && ! -e $SCRATCH/restored.restoring ]] || fail "something is left of a refused restore"
exits 1 hallmark restore "$SCRATCH/plain" --data "$SCRATCH/restored" --advance 5
says "--passphrase-file"

step "restored as it was, the stock client that has seen newer refuses it"
succeeds hallmark restore "$backups" --data "$SCRATCH/as-it-was" --advance 0
says "refuse them as a rollback"
start_hallmark "$SCRATCH/as-it-was"
fails notary_of old lookup example.com/quiet v1
stop hallmark

step "restored with versions ahead, it follows"
succeeds hallmark restore "$backups" --data "$SCRATCH/restored" --output json
json '.failed' '{}'
json '.advanced >= 4' true
start_hallmark "$SCRATCH/restored"
succeeds notary_of old lookup example.com/quiet v1

step "what was acknowledged before the backup began is there, and verifies with the stock client"
new_user fresh
for publisher in 1 2; do
    succeeds notary_of fresh list "$gun$publisher"
    while read -r _ number; do says "t$number "; done < <(grep "^$publisher " <<<"$acknowledged")
done

step "every manifest that the registry lists pulls, and what was signed is there"
tags=$(curl --silent --fail "http://$REGISTRY/v2/team/app/tags/list" | jq --raw-output '.tags[]')
[[ -n $tags ]] || fail "the registry has no tag"
for tag in $tags; do
    rm -rf pulled
    succeeds skopeo copy --src-tls-verify=false "docker://$REGISTRY/team/app:$tag" dir:pulled
done
for tag in $images; do
    digest=$(signed_digest fresh team/app "$tag")
    succeeds skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/app@$digest"
done

step "the server goes on: it signs and takes what is published"
succeeds notary_of alice add --publish example.com/quiet v2 content
succeeds notary_of old lookup example.com/quiet v2

step "with the passphrase from elsewhere, a backup without it is as good"
succeeds hallmark restore "$SCRATCH/plain" --data "$SCRATCH/apart" --passphrase-file "$SCRATCH/hallmark/signer/passphrase"
says "Signed"
cmp "$SCRATCH/hallmark/signer/passphrase" "$SCRATCH/apart/signer/passphrase" || fail "the passphrase is another"
