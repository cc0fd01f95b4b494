#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need jq
export HOME=$PWD

step "users are added, with passwords from a file, a variable and standard input"
echo "alice-password" >password
succeeds hallmark user add alice --users users --cost 4 --password-file password
says "alice added to users"
equal "$(stat -c %a users)" 600 "mode of the file"
HALLMARK_USER_PASSWORD=bob-password succeeds hallmark user add bob --users users --cost 5
succeeds bash -c 'echo carol-password | hallmark user add carol --users users --cost 4 --password-stdin'
succeeds hallmark user list --users users --output json
json '[.users[] | [.name, .cost]]' '[["alice",4],["bob",5],["carol",4]]'
never_says '$2y$'

step "a hash that htpasswd would write, twelve rounds unless told otherwise"
succeeds hallmark user add dora --users users --password-file password
grep --quiet --extended-regexp '^dora:\$2y\$12\$[./A-Za-z0-9]{53}$' users || fail "no such line"

step "what cannot be done changes nothing"
cp users before
exits 1 hallmark user add alice --users users --cost 4 --password-file password
says "has a user alice already"
exits 1 hallmark user passwd eve --users users --cost 4 --password-file password
says "has no user eve"
exits 1 hallmark user remove eve --users users
exits 1 hallmark user add eve --users users
says "HALLMARK_USER_PASSWORD"
echo short >short
exits 1 hallmark user add eve --users users --password-file short
says "too short"
exits 2 hallmark user add eve --users users --password-file short --password-stdin
exits 2 hallmark user add eve --users users --cost 30 --password-file password
exits 2 hallmark user add eve --users users a-password
exits 1 hallmark user list --users nowhere
says "there is no nowhere"
equal "$(<users)" "$(<before)" "the file"

step "a password is changed, a user removed, and the rest stays as it is"
printf '# by hand\nold:$apr1$abcdefgh$abc\n' >>users
succeeds hallmark user passwd bob --users users --cost 6 --password-file password
succeeds hallmark user remove alice --users users
succeeds hallmark user list --users users
says "bob      6"
says "users:5: the password is not stored with bcrypt"
grep --quiet '^# by hand$' users || fail "the comment is gone"
! grep --quiet alice users || fail "alice is still there"
