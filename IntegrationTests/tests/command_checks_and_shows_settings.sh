#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need openssl jq
need_hallmark "only hallmark has this command"

step "all that is wrong with a file, by line, on one run, from check as from serve"
cat >wrong.yml <<'YAML'
server:
  addres: 127.0.0.1:1
  address: here
registry: {tls: perhaps}
databse: {connections: 3}
log: {level: loud}
YAML
exits 1 hallmark config check -c wrong.yml
says "error: wrong.yml:2: server.addres: is no setting; did you mean \`server.address\`?"
says "error: wrong.yml:3: server.address: found \`here\`, expected HOST:PORT"
says "error: wrong.yml:4: registry.tls: found \`perhaps\`, expected true or false"
says "error: wrong.yml:5: databse: is no setting; did you mean \`database\`?"
says "error: wrong.yml:6: log.level: found \`loud\`, expected one of trace, debug"
exits 1 hallmark serve -c wrong.yml --data data
for line in 2 3 4 5 6; do says "wrong.yml:$line: "; done
[[ ! -e data ]] || fail "something was started"
exits 1 hallmark config check --config wrong.yml --output json
json '[.problems[] | .origin.line]' '[2,3,4,5,6]'
json '.valid' false
json '.problems[0] | [.severity, .setting, .origin.kind, .origin.file]' '["error","server.addres","file","wrong.yml"]'
exits 2 hallmark serve -c wrong.yml --data data --server-address nowhere
says "--server-address: found \`nowhere\`"

step "what does not go together, in a variable and in a file"
echo 'tls: {certificate: a.pem}' >half.yml
exits 1 hallmark config check -c half.yml
says "half.yml:1: tls.certificate: needs --tls-key (tls.key)"
exits 1 env HALLMARK_TLS_KEY=k.pem hallmark config check -c /dev/null
says "HALLMARK_TLS_KEY: needs --tls-certificate"

step "files that are named are looked at: whether they are there, are certificates, and belong together"
make_certificates "$PWD"
cat >files.yml <<'YAML'
only: [server]
tls: {certificate: nowhere.crt, key: server.key}
signer: {ca: ca.crt, client-certificate: server.crt, client-key: server.key}
YAML
exits 1 hallmark config check -c files.yml
says "files.yml:2: tls.certificate: cannot read $PWD/nowhere.crt: No such file"
sed -i 's/nowhere/server/; s/server.key}$/ca.key}/' files.yml
exits 1 hallmark config check -c files.yml
says "belong together"
sed -i 's/ca.key}$/server.key}/' files.yml
succeeds hallmark config check -c files.yml
echo "no certificate" >ca.crt
exits 1 hallmark config check -c files.yml
says "signer.ca"
touch taken
exits 1 env HALLMARK_DATA="$PWD/taken/data" hallmark config check -c /dev/null
says "$PWD/taken is not a directory"

step "nothing is connected to unless that is asked for"
echo 'database: postgres://u:secret-word@127.0.0.1:1/d?connect_timeout=2' >database.yml
succeeds hallmark config check -c database.yml
says "warning: database.yml:1: database.url: has a password in a file that everybody on this machine can read"
chmod o-r database.yml
succeeds hallmark config check -c database.yml
never_says warning
succeeds env NOTARY_SIGNER_DEFAULT_ALIAS=a1 hallmark config check -c database.yml
says "NOTARY_SIGNER_A1 is not set"
exits 1 hallmark config check -c database.yml --connect
says "database.yml:1: database.url: "
never_says secret-word

step "what is shown is a file, tells origins, and keeps secrets"
succeeds env HALLMARK_LOG_LEVEL=debug hallmark config show -c database.yml --origin
says "level: debug  # HALLMARK_LOG_LEVEL"
says "database.yml:1; password hidden"
never_says secret-word
succeeds hallmark config show -c database.yml --output json
json '.settings[] | select(.key == "database.url") | .origin.line' 1
json '.settings[] | select(.key == "database.connections") | [.value, .origin.kind]' '[8,"default"]'
never_says secret-word
succeeds hallmark config show -c database.yml --show-secrets
echo "$OUT" >shown.yml
succeeds hallmark config show -c shown.yml --show-secrets
equal "$OUT" "$(<shown.yml)" "what is shown of what was shown"

if ((EUID == 0)) && unshare --mount true 2>/dev/null; then
    step "the file of the system is read if none is named, and if it is there"
    show() {
        unshare --mount bash -c 'mount -t tmpfs none /etc && mkdir /etc/hallmark && echo "data: /srv" >/etc/hallmark/config.yml &&
            exec hallmark config show --origin "$@"' show "$@"
    }
    succeeds show
    says "data: /srv  # /etc/hallmark/config.yml:1"
    succeeds show -config database.yml
    never_says /srv
    succeeds env HALLMARK_CONFIG=/dev/null bash -c "$(declare -f show); show"
    never_says /srv
fi

step "help, and a table of all settings"
succeeds hallmark config --help
succeeds hallmark config show --table
says "| \`server.address\` |"
