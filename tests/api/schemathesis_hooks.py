"""What Schemathesis is told of this API beyond its document."""

import re
import uuid

import schemathesis

KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(context, case, kwargs):
    """A key is new for each request that is meant anew. Schemathesis draws the same one again and again, and is then
    told of what it has since removed."""
    headers = kwargs.get("headers")
    if headers and re.fullmatch("[!-~]{16,255}", str(headers.get(KEY, ""))):
        headers[KEY] = str(uuid.uuid4())
