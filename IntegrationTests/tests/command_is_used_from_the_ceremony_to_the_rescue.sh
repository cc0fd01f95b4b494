#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# From the first key to the rescue, as a team would do it: read it from top to bottom. `at NAME COMMAND` is what that person types at
# their machine; `exits 12` before it, that it ends with 12. Ann publishes, Ben and Cid hold the root with her, Bob and Eve are users.
need_hallmark "only hallmark has these commands"
need jq
start_servers
gun=example.com/tools/app
at() { as "$@"; }
for name in ann ben cid bob eve; do new_user $name; done
printf '#!/bin/sh\necho hello\n' >hello.sh

# ---- 1. The ceremony: two of three people make the root, and no one of them can alone -------------------------------------------

step "each makes a root key at their own machine, and hands out its certificate"
for name in ann ben cid; do
    succeeds at $name hallmark key generate --role root --certificate $gun --public $name.crt
done

step "ann begins the collection: its first root waits for one more signature"
exits 12 at ann hallmark init $gun --server-managed-snapshot --threshold root=2 \
    --key root=ann.crt --key root=ben.crt --key root=cid.crt
waiting=$(home ann)/.docker/trust/tuf/$gun/pending

# signs NAME FILE: the file goes to somebody by mail, who looks at it and signs it, and comes back.
signs() {
    mkdir -p "mail/$1"
    cp "$waiting/$2" "mail/$1/"
    succeeds at "$1" hallmark sign "mail/$1/$2" --collection $gun --show
    succeeds at "$1" hallmark sign "mail/$1/$2" --collection $gun --yes
    succeeds at ann hallmark sign "$waiting/$2" --merge "mail/$1/$2"
}
signs ben 1.root.json
succeeds at ann hallmark publish $gun

step "from here on she publishes by herself, and everybody verifies what they download"
succeeds at ann hallmark add $gun v1/hello.sh hello.sh --publish
equal "$(at bob hallmark verify $gun v1/hello.sh <hello.sh | sh)" hello "what was signed, run from a pipe"
exits 15 at bob hallmark verify $gun v1/hello.sh ann.crt

# ---- 2. Pins: nobody has to trust on first use ------------------------------------------------------------------------------------

step "ann writes down whose root is the right one, and signs that"
roots=$(at cid hallmark list $gun --output json | jq --raw-output '.trust.firstUse.rootKeys[]')
succeeds at ann hallmark key generate ecdsa-p256 --role pins --public pins.pem
succeeds at ann hallmark pin create pins.json --refuse-first-use
# shellcheck disable=SC2086
succeeds at ann hallmark pin add pins.json $gun $roots
succeeds at ann hallmark pin sign pins.json

step "eve's machine takes it: what is pinned is trusted, and nothing else ever is"
mkdir -p "$(home eve)/.config/hallmark"
cp pins.pem "$(home eve)/.config/hallmark/"
printf 'pin_bundles:\n  keys: [pins.pem]\n' >"$(home eve)/.config/hallmark/client.yaml"
succeeds at eve hallmark pin install pins.json --to "$(home eve)/.config/hallmark/pins.d"
succeeds at eve hallmark lookup $gun v1/hello.sh
succeeds at ben hallmark add example.com/other hello.sh hello.sh --publish
exits 12 at eve hallmark list example.com/other
succeeds at bob hallmark list example.com/other

# ---- 3. The bundle: over the gap, to where no server is -----------------------------------------------------------------------------

step "bob carries the collection to a machine without a network, which verifies it there"
succeeds at bob hallmark bundle export app.tar $gun
new_user inside
inside() { at inside env DOCKER_CONTENT_TRUST_SERVER=https://127.0.0.1:1 "$@"; }
exits 20 inside hallmark lookup $gun v1/hello.sh
succeeds inside hallmark bundle import app.tar --max-age 14d
succeeds inside hallmark verify $gun v1/hello.sh hello.sh --quiet
says "Warning"
exits 15 inside hallmark verify $gun v1/hello.sh ann.crt

# ---- 4. The token: a key that cannot be copied ------------------------------------------------------------------------------------------

step "ann makes a key on a token, and the root names it for the targets: again two of three sign"
need softhsm2-util
module=$(find /usr/lib -name libsofthsm2.so -print -quit)
export SOFTHSM2_CONF=$SCRATCH/softhsm2.conf
mkdir -p tokens && printf 'directories.tokendir = %s\n' "$PWD/tokens" >"$SOFTHSM2_CONF"
softhsm2-util --init-token --free --label ann --so-pin 12345678 --pin 123456 >/dev/null
with_token() { HALLMARK_PKCS11_MODULE=$module HALLMARK_PKCS11_TOKEN=ann HALLMARK_PKCS11_PIN=123456 at ann "$@"; }
succeeds with_token hallmark key generate --token --role targets --public token.pem
succeeds at ben hallmark list $gun
exits 12 with_token hallmark key rotate $gun targets --key token.pem
signs ben 2.root.json
succeeds with_token hallmark publish $gun
exits 1 at ann hallmark add $gun v2/hello.sh hello.sh --publish
succeeds with_token hallmark add $gun v2/hello.sh hello.sh --publish
for name in bob eve; do succeeds at $name hallmark verify $gun v2/hello.sh hello.sh --quiet; done

# ---- 5. The rescue: before what nobody publishes to any more expires ------------------------------------------------------------------------

step "what ends within three years is signed again as it is"
version=$(metadata $gun targets | jq .signed.version)
succeeds with_token hallmark rescue --dry-run --within 1100 --role targets $gun
says "targets"
succeeds with_token hallmark rescue --yes --within 1100 --role targets $gun
(($(metadata $gun targets | jq .signed.version) == version + 1)) || fail "targets are not signed again"
for name in bob eve; do succeeds at $name hallmark verify $gun v1/hello.sh hello.sh --quiet; done
