"""Values on the wire: money is exact, moments are in UTC."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from petstore.api.inventory import PetChange
from petstore.api.wire import render_moment
from petstore.shop import render_money


@given(st.integers(min_value=1, max_value=100_000_000))
def test_a_price_that_we_show_can_be_sent_back_as_text_or_number_and_is_the_same(cents: int):
    text = render_money(cents)
    for form in (f'"{text}"', text, str(float(Decimal(text)))):
        assert PetChange.model_validate_json(f'{{"price": {form}}}').of("pet").price_cents == cents


def test_a_moment_is_told_in_utc_to_the_millisecond():
    moment = datetime(2026, 3, 13, 11, 30, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert render_moment(moment) == "2026-03-13T10:30:00.123Z"
    assert render_moment(datetime(2026, 3, 13, tzinfo=UTC)) == "2026-03-13T00:00:00.000Z"
