#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need jq mandoc groff make

step "make install puts the binary, pages and completions where a prefix has them"
succeeds make --directory "$HERE/.." --silent install PROGRAM="$(realpath "$HALLMARK")" DESTDIR="$PWD/root" PREFIX=/usr
succeeds root/usr/bin/hallmark --version
for file in bash-completion/completions/hallmark zsh/site-functions/_hallmark fish/vendor_completions.d/hallmark.fish; do
    [[ -s root/usr/share/$file ]] || fail "no $file"
done
pages=$PWD/root/usr/share/man/man1

step "every verb has a page that names each of its options"
hallmark --experimental-dump-help >help.json
verbs=$(jq --raw-output '
    def below(name): .subcommands[]? | select(.commandName != "help" and .shouldDisplay != false)
        | (name + "-" + .commandName) as $own | $own, below($own);
    .command | "hallmark", below("hallmark")' help.json)
(($(wc -l <<<"$verbs") > 30)) || fail "too few verbs"
equal "$(ls "$pages" | sort)" "$(sed 's/$/.1/' <<<"$verbs" | sort)" "the pages"
for name in $verbs; do
    text=$(mandoc -T ascii "$pages/$name.1" | sed 's/.\x08//g' | tr -d '\n')
    while read -r option; do
        [[ $text == *"$option"* ]] || fail "$name.1 does not name $option"
    done < <(jq --raw-output --arg name "$name" '
        def find(path): if path == [] then . else path[0] as $first | .subcommands[] | select(.commandName == $first) | find(path[1:]) end;
        .command | find($name | split("-")[1:]) | .arguments[]? | select(.shouldDisplay != false)
            | .names[]? | select(.kind == "long") | "--" + .name' help.json)
done

step "mandoc and groff find nothing wrong with them"
succeeds mandoc -T lint -W warning "$pages"/*.1
for page in "$pages"/*.1; do
    warnings=$(groff -man -ww -Tutf8 -z "$page" 2>&1)
    [[ -z $warnings ]] || fail "groff: $warnings"
done
