"""What retention has removed is told as a gap, and the way back from it loses nothing."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.client import Exchange
from tests.live.conftest import full_shop
from tests.live.server import Server, wait_until
from tests.live.shop import BUDDY, FLUFFY, INVENTORY, RECOMMENDATIONS, ask, cancel, change, data, get, new_stock, place, topics

KEPT_S = 1.5
"""Short, so that the test needn't wait, and longer than a client takes from a snapshot to its stream on a busy machine."""


@pytest.fixture(scope="module")
def server(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps its events for KEPT_S seconds."""
    settings = {"PETSTORE_RETENTION_H": f"{KEPT_S / 3600:.9f}", "PETSTORE_HEARTBEAT_S": 1, "PETSTORE_FULFILMENT_STEP_S": 0}
    with full_shop(seeded, tmp_path_factory.mktemp("forgetful"), **settings) as server:
        change(server, FLUFFY, stock=1000)
        yield server


def wait_until_removed(server: Server, id: str | int) -> None:
    """Wait until retention has removed an event."""
    with closing(server.open_event_log()) as log:
        wait_until(lambda: log.topic_of(int(id)) is None, f"event {id} is removed")


def reopened_with_a_gap(server: Server, target: str, held: str) -> Exchange:
    """Return a stream that was resumed with a gap: a worker that has heard of an event serves it for a moment after its removal."""

    def reopen() -> Exchange | None:
        stream = Exchange(server.address, target, {"Last-Event-ID": held})
        stream.read_until(lambda: stream.events or b": heartbeat\n" in stream.body)
        if stream.events and stream.events[0].type == "gap":
            return stream
        stream.close()
        return None

    return wait_until(reopen, "the gap is told")


def first_event(server: Server) -> str:
    """Change something, and return the id of the event that tells it."""
    with Exchange(server.address, INVENTORY) as stream:
        stream.read_until(lambda: stream.chunks)
        change(server, BUDDY, stock=new_stock())
        return stream.read_events(1)[0].last_event_id


def test_a_client_that_comes_back_too_late_is_told_the_gap_and_restores_its_state_without_loss(server: Server):
    held = first_event(server)
    wait_until_removed(server, held)
    stopping = threading.Event()

    def keep_changing() -> None:
        while not stopping.is_set():
            change(server, BUDDY, stock=new_stock())

    clerk = threading.Thread(target=keep_changing)
    clerk.start()
    try:
        # Not the event that the client holds makes the gap, but the next one.
        after = first_event(server)
        wait_until_removed(server, after)
        with reopened_with_a_gap(server, INVENTORY, held) as stream:
            gap = stream.events[0]
            assert (gap.type, gap.last_event_id) == ("gap", "")
            told = data(gap)
            assert told.keys() == {"requestedId", "oldestId", "snapshot"}
            assert told["requestedId"] == int(held)
            assert told["oldestId"] > int(after)
            # Whoever needs no snapshot gets all that there still is: from the oldest on, if that is not gone, too, meanwhile.
            _, first, *rest = stream.read_events(50)
            assert int(first.last_event_id) >= told["oldestId"]
            assert [data(event)["oldStock"] for event in rest] == [data(event)["newStock"] for event in (first, *rest[:-1])]
        stock, cursor = restore(server, told["snapshot"])
        with Exchange(server.address, f"{INVENTORY}?lastEventId={cursor}&petId={BUDDY}") as stream:
            for event in stream.read_events(50):
                assert event.type == "stock-change"
                assert data(event)["oldStock"] == stock, "each change begins where the one before has ended"
                stock = data(event)["newStock"]
            stopping.set()
            clerk.join()
            final = get(server, f"/v1/pets/{BUDDY}")["stock"]
            stream.read_until(lambda: data(stream.events[-1])["newStock"] == final)
    finally:
        stopping.set()
        clerk.join()


def restore(server: Server, snapshot: str) -> tuple[int, int]:
    """Return Buddy's stock as the snapshot tells it, and the id from which its stream goes on."""
    page = get(server, f"{snapshot}?limit=100")
    (stock,) = [item["stock"] for item in page["data"] if item["petId"] == BUDDY]
    return stock, page["lastEventId"]


def test_a_topic_that_lost_nothing_has_no_gap_however_old_the_cursor(server: Server):
    order = place(server, FLUFFY)
    held = first_event(server)
    wait_until_removed(server, first_event(server))
    with Exchange(server.address, order["links"]["statusStream"], {"Last-Event-ID": held}) as stream:
        cancel(server, order)
        assert [event.type for event in stream.read_to_end().events] == ["complete"]


def test_of_several_topics_only_those_that_lost_something_tell_a_gap(server: Server):
    order = place(server, FLUFFY)
    held = first_event(server)
    wait_until_removed(server, first_event(server))
    with reopened_with_a_gap(server, topics(order, "inventory"), held) as stream:
        cancel(server, order)
        stream.read_until(lambda: stream.events and stream.events[-1].type == "complete")
        gap, *events = stream.events
    assert gap.type == "gap"
    assert data(gap) == {"topic": "inventory", "requestedId": int(held), "oldestId": None, "snapshot": "/v1/inventory"}
    assert {event.type for event in events} == {"stock-change", "complete"}


def test_a_client_that_holds_all_that_was_removed_has_no_gap(server: Server):
    held = first_event(server)
    wait_until_removed(server, held)
    with Exchange(server.address, INVENTORY, {"Last-Event-ID": held}) as stream:
        stream.read_until(lambda: b": heartbeat\n" in stream.body)
        assert stream.events == []
        change(server, BUDDY, stock=new_stock())
        assert stream.read_events(1)[0].type == "stock-change"


def test_the_end_of_an_order_is_kept_for_those_who_come_back_late(server: Server):
    order = place(server, FLUFFY)
    target = order["links"]["statusStream"]
    with Exchange(server.address, target) as stream:
        assert ask(server, "POST", order["links"]["payment"]).status == 201
        first, *_, final = stream.read_to_end().events
    with closing(server.open_event_log()) as log:
        wait_until(lambda: log.read([f"orders/{order['id']}"], 0, 10)[0].type == "complete", "only the end is left")
    with reopened_with_a_gap(server, target, first.last_event_id) as stream:
        gap, *_, complete = stream.read_to_end().events
    assert data(gap) == {
        "requestedId": int(first.last_event_id),
        "oldestId": int(final.last_event_id),
        "snapshot": order["links"]["self"],
    }
    assert complete == final
    assert get(server, data(gap)["snapshot"])["status"] in ("SHIPPED", "DELIVERED")
    assert ask(server, "GET", target, headers={"Last-Event-ID": final.last_event_id}).status == 204


def test_a_run_past_retention_is_a_gap_and_a_new_run_follows(server: Server):
    with Exchange(server.address, RECOMMENDATIONS) as stream:
        old = stream.read_to_end().events
    wait_until_removed(server, old[-1].last_event_id)
    with Exchange(server.address, RECOMMENDATIONS, {"Last-Event-ID": old[2].last_event_id}) as stream:
        gap, *events = stream.read_to_end().events
    assert (gap.type, data(gap)["requestedId"]) == ("gap", int(old[2].last_event_id))
    assert [event.type for event in events] == ["recommendation"] * 10 + ["complete"]
    assert int(events[0].last_event_id) > int(old[-1].last_event_id)
