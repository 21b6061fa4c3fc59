"""The data of events that no test can make a server send at will, held to the models that describe it."""

import json

import pytest

from petstore.api.error import REFUSALS
from petstore.api.event_data import Failure, Goodbye, OrderEnded
from petstore.api.problem import describe
from petstore.sse import Decoder, Terms, goodbye


@pytest.mark.parametrize("failure", [describe(500), Terms().failure])
def test_a_failure_is_described(failure: dict[str, object]):
    assert Failure.model_validate(failure).status == 500


@pytest.mark.parametrize("reason", [*REFUSALS, "behind", "unavailable"])
def test_every_reason_to_end_a_stream_is_described(reason: str):
    decoder = Decoder()
    (event,) = decoder.feed(goodbye(Terms(), reason))
    assert Goodbye.model_validate(json.loads(event.data)).reason == reason


@pytest.mark.parametrize("status", ["cancelled", "payment_failed"])
def test_every_end_of_an_order_without_a_shipment_is_described(status: str):
    assert OrderEnded.model_validate({"status": status, "reason": "it is a test"}).status == status
