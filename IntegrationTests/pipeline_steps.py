#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the shell commands of a file in docs/pipelines that push, sign and check; of README.md those of its n-th block.

usage: pipeline_steps.py FILE [NUMBER]
"""

import pathlib
import re
import sys
import textwrap

import yaml

path = pathlib.Path(sys.argv[1])
text = path.read_text()
if path.name == "README.md":
    print(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[int(sys.argv[2])])
elif path.name == "Jenkinsfile":
    print("\n".join(textwrap.dedent(block) for block in re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)))
elif path.name == "gitlab.yml":
    print("\n".join(yaml.safe_load(text)["release"]["script"]))
else:
    steps = yaml.safe_load(text)["jobs"]["release"]["steps"]
    print("\n".join(step["run"] for step in steps if step.get("name") not in (None, "Build")))
