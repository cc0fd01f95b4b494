#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

serve() { timeout 20 hallmark serve --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 "$@"; }

step "a directory that another one uses"
start_hallmark
exits 1 serve --data "$HALLMARK_DATA"
says "$HALLMARK_DATA is in use by another hallmark serve"
says "--data"
still_answers

step "an address that another one uses: which, and the option for it"
exits 1 serve --data "$PWD/other" --registry-address "$REGISTRY"
says "$REGISTRY: Address already in use"
says "--registry-address"
exits 1 serve --data "$PWD/other" --server-address "${TRUST_SERVER#https://}"
says "--server-address"
exits 1 serve --data "$PWD/other" --registry-address nowhere.invalid:0
says nowhere.invalid

step "a directory that cannot be one"
touch file
exits 1 serve --data "$PWD/file"
says "$PWD/file: File exists"
exits 1 serve --data /proc/nowhere
says "/proc/nowhere"

step "a database that is none is left as it is"
mkdir broken
echo "not a database" >broken/trust.sqlite
exits 1 serve --data "$PWD/broken"
says "$PWD/broken/trust.sqlite"
equal "$(<broken/trust.sqlite)" "not a database" "the file"

step "a certificate that is not there, is none, or is of another key"
make_certificates "$PWD"
exits 1 serve --data "$PWD/other" --tls-certificate "$PWD/nowhere.crt" --tls-key "$PWD/server.key"
says "$PWD/nowhere.crt: No such file"
exits 1 serve --data "$PWD/other" --tls-certificate "$PWD/file" --tls-key "$PWD/server.key"
exits 1 serve --data "$PWD/other" --tls-certificate "$PWD/server.crt" --tls-key "$PWD/ca.key"
says "belong together"

if ((EUID == 0)) && unshare --mount true 2>/dev/null; then
    step "a directory on a disk that cannot be written"
    mkdir disk
    exits 1 timeout 20 unshare --mount bash -c 'mount -t tmpfs none disk && mount -o remount,ro disk &&
        exec hallmark serve --data disk/data --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0'
    says "disk/data: Read-only file system"
fi
