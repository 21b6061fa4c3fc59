"""What schemathesis takes for a time: one that has passed, because JSON Schema has no way to say that `since` wants one."""

from datetime import UTC, datetime

import schemathesis
from hypothesis import strategies as st

PAST = st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))

schemathesis.openapi.format("date-time", PAST.map(lambda moment: moment.isoformat().replace("+00:00", "Z")))
