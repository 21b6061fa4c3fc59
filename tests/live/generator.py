"""What schemathesis must be told about its requests, because JSON Schema has no way to say it. It changes no check.

1. `since` is a time that has passed.
2. A card's number has its check digit.
3. What is sent as an image is one.
4. An Idempotency-Key is for one request: two different ones with the same are an error, as they should be. A guest's has a UUID.
5. A `tenantId` that can be one is the tenant of the header: what was made in one isn't there in another.
6. Who asks leaves its own account as it is: with another password its token would be void, and all the rest 401.
"""

import base64
import os
import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

KEY = "Idempotency-Key"

STAFF = "019b4020-5f2e-7c41-9b6a-4d1e8f3a7c52"

INSTEAD = {"PUT /v1/users/{userId}": "user-456", "DELETE /v1/users/{userId}": "019b4127-0000-7000-8000-000000000000"}

PAST = st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))

schemathesis.openapi.format("date-time", PAST.map(lambda moment: moment.isoformat().replace("+00:00", "Z")))


def with_check_digit(body: str) -> str:
    """Return the digits with the one that makes them a card's number, by Luhn's rule."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in body[::-2]]
    return body + str(-(sum(doubled) + sum(map(int, body[-2::-2]))) % 10)


schemathesis.openapi.format("card-number", st.text("0123456789", min_size=12, max_size=18).map(with_check_digit))

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

for image in ("image/png", "image/jpeg", "image/gif", "image/webp"):
    # Whatever it's called: the server goes by what is in it.
    schemathesis.openapi.media_type(image, st.just(base64.b64decode(PIXEL)))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make a key one that nobody has used, a tenant the header's, and one's own account another; what can't be any stays."""
    if case.headers and re.fullmatch("[!-~]{1,255}", str(case.headers.get(KEY, ""))):
        case.headers[KEY] = f"{case.headers[KEY][:200]}-{uuid4()}"
    if case.query and re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", str(case.query.get("tenantId", ""))):
        case.query["tenantId"] = os.environ["SHOP_TENANT"]
    if case.operation.label in INSTEAD and case.path_parameters["userId"] == STAFF:
        case.path_parameters["userId"] = INSTEAD[case.operation.label]
