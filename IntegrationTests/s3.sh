# SPDX-License-Identifier: Apache-2.0
#
# For tests that need S3-compatible storage; sourced after lib.sh (and after postgresql.sh where both are used). Ceph's gateway
# checks signatures and has all that S3 has; moto starts in a second and checks none. Each sets S3_ENDPOINT, with a bucket
# named `blobs` in it.

# The keys go into the environment of a registry, the rest into its options.
s3_options() { S3_OPTIONS=(--registry-s3-bucket blobs --registry-s3-endpoint "$S3_ENDPOINT"); }
export AWS_ACCESS_KEY_ID=HMACCESS AWS_SECRET_ACCESS_KEY=HMSECRET1234567890

# s3 METHOD PATH: a signed request.
s3() { python3 "$HERE/s3_request.py" "$1" "$S3_ENDPOINT/$2"; }

# s3_keys: the keys of all objects of the bucket.
s3_keys() { s3 GET 'blobs?list-type=2' | grep -o '<Key>[^<]*' | sed 's/<Key>//' || true; }

# s3_open_uploads: how many multipart uploads are neither completed nor aborted.
s3_open_uploads() { s3 GET 'blobs?uploads=' | grep -o '<UploadId>' | wc -l || true; }

# start_ceph: a monitor, one OSD that keeps all in memory, and the gateway; about 15 s.
start_ceph() {
    need_root
    need python3 radosgw ceph-mon ceph-osd ceph radosgw-admin ceph-authtool monmaptool
    local directory=$SCRATCH/ceph port monitor conf
    port=$(free_port)
    monitor=$(free_port)
    conf=$directory/ceph.conf
    mkdir -p "$directory"/{mon,osd,run}
    S3_ENDPOINT=http://127.0.0.1:$port
    cat >"$conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon initial members = a
mon host = [v1:127.0.0.1:$monitor]
ms bind msgr2 = false
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
osd objectstore = memstore
memstore device bytes = ${CEPH_BYTES:-2147483648}
osd class update on start = false
osd crush update on start = false
run dir = $directory/run
admin socket = $directory/run/\$name.asok
log file = $directory/\$name.log
keyring = $directory/keyring
[mon.a]
mon data = $directory/mon
public addr = v1:127.0.0.1:$monitor
[osd.0]
osd data = $directory/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port
CONF
    ceph-authtool --create-keyring "$directory/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
    ceph-authtool "$directory/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' >/dev/null
    monmaptool --create --clobber --addv a "[v1:127.0.0.1:$monitor]" --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
        "$directory/monmap" >/dev/null
    ceph-mon -c "$conf" --mkfs -i a --monmap "$directory/monmap" --keyring "$directory/keyring"
    start ceph-mon ceph-mon -f -c "$conf" -i a
    local id
    id=$(cat /proc/sys/kernel/random/uuid)
    succeeds timeout 30 ceph -c "$conf" osd new "$id" 0
    succeeds ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$id"
    start ceph-osd ceph-osd -f -c "$conf" -i 0
    succeeds timeout 30 ceph -c "$conf" osd crush add osd.0 1.0 host=here root=default
    start radosgw radosgw -f -c "$conf" -n client.rgw --rgw-zone=default
    eventually 60 curl --silent --max-time 2 "$S3_ENDPOINT/" || fail "Ceph's gateway did not start"
    succeeds timeout 60 radosgw-admin -c "$conf" user create --uid=hallmark --display-name=hallmark \
        --access-key="$AWS_ACCESS_KEY_ID" --secret-key="$AWS_SECRET_ACCESS_KEY"
    eventually 30 s3 PUT blobs || fail "no bucket can be made"
    s3_options
}

# start_moto: S3 in memory, from PyPI.
start_moto() {
    need python3
    local venv port
    venv=$(dirname "$HALLMARK")/moto-venv
    port=$(free_port)
    (
        flock 9
        [[ -e $venv/done ]] || {
            python3 -m venv "$venv"
            "$venv/bin/pip" install --quiet --disable-pip-version-check 'moto[s3,server]==5.2.1'
            touch "$venv/done"
        }
    ) 9>"$venv.lock"
    S3_ENDPOINT=http://127.0.0.1:$port
    start moto "$venv/bin/moto_server" -H 127.0.0.1 -p "$port"
    eventually 20 curl --silent --max-time 2 "$S3_ENDPOINT/" || fail "moto did not start"
    eventually 10 s3 PUT blobs || fail "no bucket can be made"
    s3_options
}
