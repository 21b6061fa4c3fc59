"""What schemathesis must be told about its requests, because JSON Schema has no way to say it. It changes no check.

1. `since` is a time that has passed.
2. An Idempotency-Key is for one request: two different ones with the same are an error, as they should be.
"""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

KEY = "Idempotency-Key"

PAST = st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))

schemathesis.openapi.format("date-time", PAST.map(lambda moment: moment.isoformat().replace("+00:00", "Z")))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make a key that may be one into one that nobody has used."""
    if case.headers and re.fullmatch("[!-~]{1,200}", str(case.headers.get(KEY, ""))):
        case.headers[KEY] = f"{case.headers[KEY]}-{uuid4()}"
