# SPDX-License-Identifier: Apache-2.0
# For tests of logins, sourced after lib.sh: servers with users and rules, and clients that have logged in or not.

need curl jq
need_hallmark "only hallmark has users and rules"

# start_with_users ARGUMENT...: both servers, with TLS on both addresses. alice may push to team and public, bob may
# pull from team, everybody from public, and each has a namespace; carol has nothing beyond that. Their passwords are `<name>-password`.
start_with_users() {
    local name
    for name in alice bob carol; do set_password add "$name" "$name-password"; done
    cat >rules.yaml <<'YAML'
groups:
  developers: [alice]
rules:
  - groups: [developers]
    repositories: ["team/**", "public/**", "example.com/**"]
    actions: [pull, push]
  - users: [bob]
    repositories: ["team/**", "example.com/private/*"]
    actions: [pull]
  - users: ["*"]
    repositories: ["users/${user}/**"]
    actions: ["*"]
  - anyone: true
    repositories: ["public/**", "example.com/tools/*"]
    actions: [pull]
YAML
    start_service hallmark --data "$SCRATCH/hallmark" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 \
        --registry-tls --users users --rules rules.yaml "$@"
    REGISTRY=$(ready_address hallmark registry) REGISTRY=${REGISTRY#https://}
    TRUST_SERVER=$(ready_address hallmark server) TRUST_CA=$SCRATCH/hallmark/ca.crt
    mkdir -p certificates
    cp "$TRUST_CA" certificates/ca.crt
}

# set_password add|passwd USER PASSWORD
set_password() { HALLMARK_USER_PASSWORD=$3 succeeds hallmark user "$1" "$2" --users users --cost 4; }

# visitor USER: as new_user, without any credentials.
visitor() {
    new_user "$1"
    echo '{}' >"$(home "$1")/.docker/config.json"
    mkdir -p "$(home "$1")/.docker/certs.d/$REGISTRY"
    cp "$TRUST_CA" "$(home "$1")/.docker/certs.d/$REGISTRY/"
}

# log_in USER PASSWORD: a client that has the password in its configuration.
log_in() {
    visitor "$1"
    printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$REGISTRY" "$(printf '%s:%s' "$1" "$2" | base64)" \
        >"$(home "$1")/.docker/config.json"
}

# token SERVICE SCOPE [USER [PASSWORD]]: the reply of the token service.
token() {
    local credentials=()
    [[ -z ${3:-} ]] || credentials=(--user "$3:${4:-$3-password}")
    try curl --silent --show-error --cacert "$TRUST_CA" "${credentials[@]+"${credentials[@]}"}" --get \
        --data-urlencode "service=$1" --data-urlencode "scope=$2" --write-out '\n%{http_code}' "$TRUST_SERVER/auth/token"
    CODE=$(tail -n 1 <<<"$OUT") OUT=$(sed '$d' <<<"$OUT")
}
