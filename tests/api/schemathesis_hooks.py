"""What Schemathesis is told of this API beyond its document."""

import re
import uuid

import schemathesis

KEY = "Idempotency-Key"


def renew(headers):
    """A key is new for each request that is meant anew. Schemathesis draws the same one again and again, and is then
    told of what it has since removed."""
    if headers and re.fullmatch("[!-~]{16,255}", str(headers.get(KEY, ""))):
        headers[KEY] = str(uuid.uuid4())
    return headers


@schemathesis.hook
def map_headers(context, headers):
    return renew(headers)


@schemathesis.hook
def before_call(context, case, kwargs):
    renew(kwargs.get("headers"))
