#!/usr/bin/env python3
"""Validates JSON files against a JSON Schema, and prints what is wrong, a line each.

    schema.py [--strict] SCHEMA FILE...

With --strict, a member that the schema does not describe is an error as well: consumers must ignore
such members, but Godwit must not write any that it has not documented.

SPDX-License-Identifier: MIT
"""
import json
import sys

import jsonschema


def seal(schema):
    """Forbids undescribed members wherever the schema does not say what they may be."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            seal(part)
    elif isinstance(schema, list):
        for part in schema:
            seal(part)


arguments = sys.argv[1:]
strict = arguments[0] == "--strict"
if strict:
    del arguments[0]
with open(arguments[0]) as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
if strict:
    seal(schema)
validator = jsonschema.Draft7Validator(schema)
wrong = False
for path in arguments[1:]:
    with open(path) as file:
        document = json.load(file)
    for error in validator.iter_errors(document):
        wrong = True
        where = "/".join(str(part) for part in error.absolute_path)
        print(f"{path}: {where}: {error.message[:300]!a}")
sys.exit(wrong)
