"""Moments are exact inside, and RFC 3339 in UTC outside."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from petstore.shop.moment import span, to_datetime, to_timestamp


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_datetime_is_exact_to_the_microsecond(moment: int):
    since = to_datetime(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds == moment


def test_a_timestamp_is_cut_to_the_second_and_ends_in_z():
    assert to_timestamp(1_773_397_800_999_999) == "2026-03-13T10:30:00Z"


def test_a_span_is_in_microseconds():
    assert span(0.05) == 50_000
