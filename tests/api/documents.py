"""Holds a document of docs/schema against the rules of its own kind: `documents.py openapi FILE`, or
`documents.py asyncapi FILE`. What it breaks is printed, a line each."""

import json
import pathlib
import sys

ASYNCAPI = "../schema/node_modules/@asyncapi/specs/schemas/3.0.0.json"


def openapi(document):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    return [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}"
        for fault in OpenAPIV31SpecValidator(document).iter_errors()
    ]


def asyncapi(document):
    import jsonschema

    path = pathlib.Path(__file__).parent / ASYNCAPI
    schema = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    faults = []
    for fault in validator.iter_errors(document):
        deepest = jsonschema.exceptions.best_match([fault])
        faults.append(f"{'/'.join(map(str, deepest.absolute_path))}: {deepest.message[:500]}")
    return faults + dangling(document, document)


def dangling(document, part):
    """The references that lead nowhere, which no schema notices."""
    if isinstance(part, list):
        return [fault for item in part for fault in dangling(document, item)]
    if not isinstance(part, dict):
        return []
    faults = [fault for item in part.values() for fault in dangling(document, item)]
    if isinstance(part.get("$ref"), str):
        at = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            at = at.get(name) if isinstance(at, dict) else None
        if at is None:
            faults.append(f"{part['$ref']} leads nowhere")
    return faults


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    faults = {"openapi": openapi, "asyncapi": asyncapi}[kind](document)
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
