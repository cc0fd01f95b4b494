#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/past.sh"

need_hallmark client
need faketime
export HOME=$SCRATCH/home
mkdir -p "$HOME"
echo "a passphrase" >passphrase
echo content >content

# hallmark_on_directory ARGUMENT...
hallmark_on_directory() { hallmark "$@" --passphrase-file passphrase; }

step "a repository of two years ago has expired, its root included"
succeeds some_days_ago 800 hallmark init ./repository --passphrase-file passphrase
succeeds some_days_ago 800 hallmark add ./repository content content --publish --passphrase-file passphrase
cp -r repository/metadata reader-root
exits 13 hallmark verify ./repository
exits 13 hallmark_on_directory refresh --all ./repository
targets=$(jq --compact-output '.signed.targets' repository/metadata/*.targets.json | tail -n 1)

step "rescued, it verifies, and lists what it listed"
succeeds hallmark_on_directory rescue ./repository --output json
json '[.published[].role] | sort' '["root","snapshot","targets","timestamp"]'
succeeds hallmark verify ./repository
newest=$(find repository/metadata -name '*.targets.json' | sort -V | tail -n 1)
equal "$(jq --compact-output '.signed.targets' "$newest")" "$targets" "the targets"
succeeds hallmark_on_directory rescue ./repository
says "Nothing is due."

step "what only means something on a trust server is a mistake"
exits 2 hallmark_on_directory rescue --within 10 ./repository
says "--within"
