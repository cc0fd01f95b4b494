#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks standard input against a definition of docs/json-schema.json, more strictly than it says: members that it does not
list are errors. usage: validate_json.py DEFINITION, or --definitions to list them"""

import json
import pathlib
import sys

import jsonschema

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parent.parent / "docs/json-schema.json").read_text())


def close(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


if sys.argv[1] == "--definitions":
    print("\n".join(SCHEMA["$defs"]))
else:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    if sys.argv[1] not in SCHEMA["$defs"]:
        raise SystemExit(f"docs/json-schema.json has no {sys.argv[1]}")
    close(SCHEMA["$defs"])
    validator = jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{sys.argv[1]}"})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.load(sys.stdin))]
    if errors:
        raise SystemExit("\n".join(errors))
