"""Holds a document of docs/schema against the rules of its own kind: `documents.py openapi FILE`. What it
breaks is printed, a line each."""

import json
import sys


def openapi(document):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    return OpenAPIV31SpecValidator(document).iter_errors()


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    faults = list({"openapi": openapi}[kind](document))
    for fault in faults:
        print("/".join(map(str, fault.absolute_path)), fault.message)
    return 1 if faults else 0


sys.exit(main())
