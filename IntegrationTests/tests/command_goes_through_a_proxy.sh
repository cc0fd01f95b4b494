#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need python3 openssl jq

# Servers whose names nobody but the proxy knows, with a certificate in those names, and a password each.
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${curve[@]}" -keyout ca.key -out ca.crt -days 30 -subj "/CN=test CA" 2>/dev/null
openssl req "${curve[@]}" -keyout server.key -out server.csr -subj "/CN=test" 2>/dev/null
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt 2>/dev/null \
    -extfile <(printf 'subjectAltName=DNS:trust.example,DNS:registry.example,DNS:other.example,IP:127.0.0.1\nextendedKeyUsage=serverAuth')
HALLMARK_USER_PASSWORD="a secret" succeeds hallmark user add alice --users users --cost 4
printf 'rules:\n  - users: [alice]\n    repositories: ["**"]\n    actions: ["*"]\n' >rules.yaml
start_service hallmark --data "$SCRATCH/hallmark" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 --registry-tls \
    --tls-certificate server.crt --tls-key server.key --users users --rules rules.yaml \
    --token-realm https://trust.example:7002/auth/token
registry=$(ready_address hallmark registry) server=$(ready_address hallmark server)
port=$(free_port)
start proxy python3 "$HERE/connect_proxy.py" "$port" "proxy user:p@ss" "trust.example=${server#https://}" \
    "registry.example=${registry#https://}" "other.example=${registry#https://}"
eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" || fail "the proxy did not start"

# A credential helper that knows alice by the registry's name, and who asked.
cat >"$SCRATCH/bin/docker-credential-testing" <<'SH'
#!/bin/sh
read -r name
echo "$1 $name" >>"$HOME/asked"
case $name in
registry.example*) echo '{"ServerURL": "'"$name"'", "Username": "alice", "Secret": "a secret"}' ;;
*) echo "credentials not found in native keychain" && exit 1 ;;
esac
SH
chmod +x "$SCRATCH/bin/docker-credential-testing"
export HOME=$PWD/home
mkdir -p home/.docker
echo '{"credsStore": "testing"}' >home/.docker/config.json
export DOCKER_CONTENT_TRUST_SERVER=https://trust.example:7002
export DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=passphrase DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase
image=registry.example:7001/team/app
layout source "through a proxy"
tunnels() { grep --count "^$1" "$SCRATCH/logs/proxy" || true; }

step "without a proxy nobody knows these names"
exits 20 hallmark push --tlscacert ca.crt source "$image:1"

export HTTPS_PROXY="http://proxy%20user:p%40ss@127.0.0.1:$port"
step "push, pull, inspect, lookup, publish and copy go through it, to the trust server and to the registry"
succeeds hallmark push --tlscacert ca.crt source "$image:1"
(($(tunnels registry.example:7001) > 0 && $(tunnels trust.example:7002) > 0)) || fail "the proxy was not asked"
for command in "pull $image:1 pulled" "inspect $image" "lookup $image 1" "list $image" "add --publish $image note source/index.json" \
    "witness --publish $image targets" "key rotate $image snapshot --server-managed"; do
    before=$(tunnels trust.example)
    # shellcheck disable=SC2086
    succeeds hallmark $command --tlscacert ca.crt
    (($(tunnels trust.example) > before)) || fail "the proxy was not asked by $command"
done
mkdir -p home/.docker/certs.d/registry.example:7001
cp ca.crt home/.docker/certs.d/registry.example:7001
succeeds hallmark copy "$image:1" "registry.example:7001/team/copy:1"
succeeds hallmark delete --remote "$image" --tlscacert ca.crt

step "the credential helper was asked for the registry"
grep --quiet "get registry.example:7001" home/asked || fail "asked was: $(cat home/asked)"

step "names, domains and addresses of NO_PROXY are asked without it"
before=$(tunnels "")
NO_PROXY=.example exits 20 hallmark lookup --tlscacert ca.crt "$image" 1
NO_PROXY=other.example,trust.example exits 20 hallmark lookup --tlscacert ca.crt "$image" 1
equal "$(tunnels "")" "$before" "how many tunnels were asked for"
NO_PROXY=127.0.0.0/8 exits 10 hallmark lookup --tlscacert ca.crt --server "$server" "$image" 1
! grep --quiet 127.0.0.1 "$SCRATCH/logs/proxy" || fail "the proxy was asked"

step "what is on this machine is asked without it, named or not"
exits 10 hallmark lookup --tlscacert ca.crt --server "$server" "$image" 1
! grep --quiet 127.0.0.1 "$SCRATCH/logs/proxy" || fail "the proxy was asked"

step "a proxy that wants other credentials, or knows no such name, is what the error tells of"
HTTPS_PROXY="http://127.0.0.1:$port" exits 20 hallmark lookup --tlscacert ca.crt "$image" 1
says "the proxy asks for credentials"
exits 20 hallmark lookup --tlscacert ca.crt --server https://nowhere.example "$image" 1
says "the proxy refuses to connect to nowhere.example"
stop hallmark
