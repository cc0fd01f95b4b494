#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time limit: 240
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"
. "$HERE/s3.sh"

need curl skopeo openssl
need_postgresql
start_postgresql
sql postgres "CREATE DATABASE registry"
start_ceph

# instance NAME [OPTION...]: one of several on the same database and bucket, at the address of before; sets REGISTRY to it.
declare -A address=()
instance() {
    address[$1]=${address[$1]:-127.0.0.1:$(free_port)}
    HALLMARK_DATABASE="postgres://hallmark:secret@127.0.0.1:$POSTGRESQL_PORT/registry" start_service "$1" --only registry \
        --registry-address "${address[$1]}" --data "$SCRATCH/$1" "${S3_OPTIONS[@]}" "${@:2}"
    REGISTRY=${address[$1]}
}
instance one
instance two

# begin INSTANCE: sets UPLOAD, the path of a new upload.
begin() {
    UPLOAD=$(curl --silent --fail --max-time 20 -X POST --dump-header - -o /dev/null \
        "http://${address[$1]}/v2/app/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    [[ -n $UPLOAD ]] || fail "no upload was begun"
}
# part FILE FIRST COUNT
part() { dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }
# chunk INSTANCE FILE FIRST COUNT: sends so many bytes of the file from the offset on.
chunk() {
    part "$2" "$3" "$4" >piece
    equal "$(curl --silent --max-time 60 -X PATCH --data-binary @piece -H 'Content-Type: application/octet-stream' \
        -H "Content-Range: $3-$(($3 + $4 - 1))" -o answer -w '%{http_code}' "http://${address[$1]}$UPLOAD")" 202 \
        "the reply of $1 to the chunk at $3"
}
offset() {
    curl --silent --fail --max-time 20 --dump-header - "http://${address[$1]}$UPLOAD" | tr -d '\r' |
        sed -n 's/^[Rr]ange: 0-//p'
}
end() {
    equal "$(curl --silent --max-time 120 -X PUT -o answer -w '%{http_code}' \
        "http://${address[$1]}$UPLOAD?digest=sha256:$(sha256sum <"$2" | cut -d ' ' -f 1)")" "${3:-201}" "the reply of $1 to the end"
}
is_whole() {
    equal "$(curl --silent --fail --max-time 60 "http://${address[$1]}/v2/app/blobs/sha256:$(sha256sum <"$2" | cut -d ' ' -f 1)" |
        sha256sum)" "$(sha256sum <"$2")" "what $1 has of $2"
}

step "chunk by chunk at one instance and the other"
openssl rand 20000000 >large
begin one
first=0
turn=(one two)
for size in 1000 5000000 8388608 1 3400000; do
    chunk "${turn[first % 2]}" large "$first" "$size"
    first=$((first + size))
done
chunk two large "$first" $((20000000 - first))
equal "$(offset one)" 19999999 "where the upload is"
end one large
is_whole one large
is_whole two large

step "small chunks that fit into one object, and another digest than theirs"
openssl rand 100000 >small
begin two
chunk one small 0 60000
chunk two small 60000 40000
end one large 400
begin two
chunk one small 0 60000
chunk two small 60000 40000
end one small
is_whole two small
# Two blobs, and the name of the storage.
equal "$(s3_keys | wc -l)" 3 "how many objects there are"
equal "$(s3_open_uploads)" 0 "how many open multipart uploads there are"

step "an instance is killed in the middle of a streamed upload, and the other goes on"
openssl rand 26000000 >killed
begin one
mkfifo feed
curl --silent --max-time 60 -X PATCH --upload-file - -H 'Content-Type: application/octet-stream' \
    "http://${address[one]}$UPLOAD" <feed >/dev/null 2>&1 &
client=$!
exec 4>feed
head -c 20000000 killed >&4
has_parts() { (($(offset two) >= 16000000)); }
eventually 30 has_parts || fail "no part of the upload is durable"
crash one
exec 4>&-
wait "$client" || true
first=$(($(offset two) + 1))
((first >= 16000000 && first < 26000000)) || fail "the upload goes on at $first"
goes_on() { [[ $(curl --silent --max-time 30 -X PATCH --data-binary @rest -H "Content-Range: $first-25999999" \
    -H 'Content-Type: application/octet-stream' -o answer -w '%{http_code}' "http://${address[two]}$UPLOAD") == 202 ]]; }
part killed "$first" 26000000 >rest
eventually 30 goes_on || fail "the other instance does not take the upload over: $(<answer)"
end two killed
is_whole two killed
instance one
is_whole one killed

step "images go to one and come from the other; what is the same is stored once"
before=$(s3_keys | wc -l)
layout image "some text" --layers 2 --layer-bytes 8500000
copy() { skopeo --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false "$@"; }
succeeds copy oci:image:latest "docker://${address[one]}/app:1.0"
succeeds copy oci:image:latest "docker://${address[two]}/other:1.0"
equal "$(s3_keys | wc -l)" $((before + $(find image/blobs/sha256 -type f | wc -l) - 1)) "how many objects there are"
succeeds copy "docker://${address[two]}/app:1.0" oci:back:latest
equal "$(layout_digest back)" "$(layout_digest image)" "digest of what came back"
layout_is_whole back || fail "a blob that came back has another digest than its name"

step "clients are sent to the storage"
stop two
instance two --registry-s3-redirect
digest=sha256:$(sha256sum <small | cut -d ' ' -f 1)
equal "$(curl --silent --max-time 20 -o /dev/null -w '%{http_code}' "http://${address[two]}/v2/app/blobs/$digest")" 307 "the reply"
equal "$(curl --silent --fail --location --max-time 20 --range 5-99 "http://${address[two]}/v2/app/blobs/$digest" | sha256sum)" \
    "$(part small 5 95 | sha256sum)" "a part of a blob"
succeeds copy "docker://${address[two]}/app:1.0" oci:redirected:latest
equal "$(layout_digest redirected)" "$(layout_digest image)" "digest of what came back"

step "what the storage lost is not there, and can be pushed again"
location=$(sql registry "SELECT location FROM hallmark_registry.blobs WHERE digest = '$digest'")
s3 DELETE "blobs/$location"
equal "$(curl --silent --head --max-time 20 -o /dev/null -w '%{http_code}' "http://${address[one]}/v2/app/blobs/$digest")" 404 "the reply"
begin two
chunk one small 0 100000
end two small
is_whole one small
