#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark client
start_servers
start_engine publisher
new_user alice
base=$REGISTRY/team/base:1.0
tools=$REGISTRY/team/tools:latest
unsigned=$REGISTRY/team/base:unsigned
base_image "base" "$base"
base_image "tools" "$tools"
base_image "nobody's" "$unsigned"
succeeds as alice docker push "$base"
succeeds as alice docker push "$tools"
succeeds without_trust alice docker push "$unsigned"
signed=$(registry_digest team/base 1.0)
# Somebody overwrites it.
base_image "evil" "$base"
succeeds without_trust alice docker push "$base"

start_engine builder
new_user bob
front() { as bob env --unset=DOCKER_CONTENT_TRUST hallmark docker "$@"; }
build() { front build --network none --tag built "$@"; }
built() { without_trust bob docker run --rm --network none built; }

step "every stage is built on what is signed, and nothing in the Dockerfile's folder changes"
mkdir context
cat >context/Dockerfile <<DOCKERFILE
# A comment
ARG NAME=team/base
ARG TAG=0.9
FROM $REGISTRY/\${NAME}:\${TAG:-none} AS first
LABEL of=first

from ${tools%:latest} as second
RUN ["cat", "/text"]

FROM first
COPY --from=second /text /from-second
COPY --from=$tools \\
    /text /from-tools
CMD ["sh", "-c", "cat /text /from-second /from-tools"]
DOCKERFILE
cp context/Dockerfile before
succeeds build --build-arg TAG=1.0 context
succeeds built
equal "$OUT" "base"$'\n'"tools"$'\n'"tools" "what the image holds"
cmp before context/Dockerfile
succeeds as bob docker image inspect --format '{{index .RepoDigests 0}}' "$base"
equal "$OUT" "${base%:*}@$signed" "what the engine has under the tag of the base"
find "$TMPDIR" -name 'hallmark-*' | grep . && fail "a temporary file is left"

step "what is not signed is refused before anything is built, wherever it is named"
for dockerfile in "FROM $unsigned" "FROM scratch
COPY --from=$unsigned /text /" "FROM \\
  $unsigned" "ARG X=$unsigned
FROM \$X" "# syntax=$unsigned
FROM $base" "FROM $base
RUN --mount=type=bind,from=$unsigned,target=/x true" "FROM $base AS a
ONBUILD COPY --from=$unsigned /text /
FROM a"; do
    printf '%s\n' "$dockerfile" >refused
    exits 1 build --file refused context
    says "No valid trust data for unsigned"
done
printf 'ARG A\nFROM %s$A\n' "$base" >refused
exits 1 build --file refused --build-arg "A=-$RANDOM" context
says "No valid trust data for 1.0-"
printf 'FROM %s\n' "$base-$(printf '${TARGETARCH}')" >refused
exits 1 build --file refused context
says "TARGETARCH differs by platform"
exits 1 build https://example.com/repository.git
says "remote context cannot be checked"
tar --create --file context.tar --directory context .
OUT=$(front build - <context.tar 2>&1) && fail "an archive was taken"
[[ $OUT == *"is an archive"* ]] || fail "does not say why: $OUT"

step "a Dockerfile from standard input, with a folder and without"
OUT=$(printf 'FROM %s\n' "$base" | build --file - context 2>&1) || fail "should have been built: $OUT"
succeeds built
equal "$OUT" "base" "what the image holds"
OUT=$(printf 'FROM %s\nLABEL x=y\n' "$base" | build - 2>&1) || fail "should have been built: $OUT"
succeeds built
equal "$OUT" "base" "what the image holds"

step "a Dockerfile from a pipe"
OUT=$(build --file <(echo "FROM $base") context 2>&1) || fail "should have been built: $OUT"
succeeds built
equal "$OUT" "base" "what the image holds"

step "files that are left out of the context stay out, and a build that fails says so with docker's exit code"
echo secret >context/secret
echo secret >context/.dockerignore
printf 'FROM %s\nCOPY . /all\nCMD ["sh", "-c", "test ! -e /all/secret && cat /text"]\n' "$base" >context/Dockerfile
succeeds build context
succeeds built
equal "$OUT" "base" "what the image holds"
printf 'FROM %s\nRUN exit 3\n' "$base" >context/Dockerfile
fails build context
code=$CODE
printf 'FROM %s@%s\nRUN exit 3\n' "${base%:*}" "$signed" >context/Dockerfile
exits "$code" without_trust bob docker build --network none context

step "with content trust off it is docker's build"
echo "FROM $unsigned" >context/Dockerfile
succeeds build --disable-content-trust context
succeeds built
equal "$OUT" "nobody's" "what the image holds"
