#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the files under deploy/ would run: deployed.py unit FILE | credentials FILE | compose FILE SERVICE

Prints one argument a line; of a compose service its variables first, as NAME=value lines, and an empty line after them. Variables of
the environment take the place of ${NAME} and ${NAME:?text}.
"""

import os
import re
import shlex
import sys


def unit(path):
    with open(path) as file:
        text = file.read().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] not in "#;["]
    return [line.split("=", 1) for line in lines]


def interpolated(text):
    def value(match):
        name, default = match.group(1), match.group(2)
        if os.environ.get(name):
            return os.environ[name]
        if default and default.startswith(":-"):
            return default[2:]
        sys.exit(f"{name} is not set")

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", value, text)


def compose(path, name):
    import yaml

    with open(path) as file:
        service = yaml.safe_load(file)["services"][name]
    for variable, value in service.get("environment", {}).items():
        print(f"{variable}={interpolated(str(value))}")
    print()
    for argument in service["command"]:
        print(interpolated(argument))


kind, path = sys.argv[1:3]
if kind == "unit":
    (command,) = [value for name, value in unit(path) if name == "ExecStart"]
    print("\n".join(shlex.split(command)))
elif kind == "credentials":
    print("\n".join(value.split(":")[0] for name, value in unit(path) if name == "LoadCredential"))
else:
    compose(path, sys.argv[3])
