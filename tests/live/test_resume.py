"""Coming back: where a stream goes on for a client that holds an id, names a moment, or holds what isn't an id of ours."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from sqlalchemy import text

from petstore.sse import Received
from tests.live.client import Exchange
from tests.live.server import Server
from tests.live.shop import (
    BUDDY,
    FLUFFY,
    INVENTORY,
    RECOMMENDATIONS,
    ask,
    cancel,
    change,
    data,
    from_now,
    get,
    new_stock,
    pay,
    place,
    recommendations,
    topics,
)

POLYFILL_NAMES = ["lastEventId", "last_event_id", "Last-Event-ID", "evs_last_event_id"]


def make_events(server: Server, count: int) -> list[Received]:
    """Change a pet's stock so often, and return the events of that, as somebody who was there has seen them."""
    with Exchange(server.address, INVENTORY, from_now(server)) as stream:
        for _ in range(count):
            change(server, BUDDY, stock=new_stock())
        return stream.read_events(count)


def ended_order(server: Server) -> tuple[str, list[Received]]:
    """Return the stream of an order that is shipped, and its four events."""
    order = place(server, FLUFFY)
    pay(server, order)
    with Exchange(server.address, order["links"]["statusStream"]) as stream:
        return order["links"]["statusStream"], stream.read_to_end().events


def read(server: Server, target: str, count: int, headers: Mapping[str, str] | None = None) -> list[Received]:
    """Return the first events of a stream."""
    with Exchange(server.address, target, headers) as stream:
        assert stream.status == 200, stream.read_to_end().body
        return stream.read_events(count)


class TestAnId:
    def test_in_the_header_it_goes_on_right_after_it(self, shop: Server):
        events = make_events(shop, 5)
        assert read(shop, INVENTORY, 3, {"Last-Event-ID": events[1].last_event_id}) == events[2:]

    @pytest.mark.parametrize("name", POLYFILL_NAMES)
    def test_in_the_query_it_goes_on_right_after_it_under_the_names_that_polyfills_use(self, shop: Server, name: str):
        events = make_events(shop, 4)
        assert read(shop, f"{INVENTORY}?{name}={events[0].last_event_id}", 3) == events[1:]

    @pytest.mark.parametrize("query", [*(f"{name}={{first}}" for name in POLYFILL_NAMES), "since=1h"])
    def test_the_header_wins_over_the_query(self, shop: Server, query: str):
        events = make_events(shop, 4)
        target = f"{INVENTORY}?{query.format(first=events[0].last_event_id)}"
        assert read(shop, target, 1, {"Last-Event-ID": events[2].last_event_id}) == events[3:]

    def test_our_own_name_in_the_query_wins_over_the_others(self, shop: Server):
        events = make_events(shop, 4)
        target = f"{INVENTORY}?evs_last_event_id={events[0].last_event_id}&lastEventId={events[2].last_event_id}"
        assert read(shop, target, 1) == events[3:]

    def test_a_polyfill_that_adds_its_own_to_a_url_that_has_ours_is_not_told_again(self, shop: Server):
        events = make_events(shop, 4)
        target = f"{INVENTORY}?lastEventId={events[0].last_event_id}&evs_last_event_id={events[2].last_event_id}"
        assert read(shop, target, 1) == events[3:]

    def test_an_empty_header_is_none(self, shop: Server):
        with Exchange(shop.address, INVENTORY, {"Last-Event-ID": ""}) as stream:
            stream.read_until(lambda: stream.chunks)
            (event,) = make_events(shop, 1)
            assert stream.read_events(1) == [event]

    def test_what_comes_after_the_replay_follows_without_a_seam(self, shop: Server):
        events = make_events(shop, 3)
        with Exchange(shop.address, INVENTORY, {"Last-Event-ID": events[0].last_event_id}) as stream:
            later = make_events(shop, 3)
            assert stream.read_events(5) == events[1:] + later

    def test_an_order_goes_on_after_each_of_its_events(self, shop: Server):
        target, events = ended_order(shop)
        for held, event in enumerate(events[:-1], start=1):
            with Exchange(shop.address, target, {"Last-Event-ID": event.last_event_id}) as stream:
                assert stream.read_to_end().events == events[held:]

    def test_an_id_of_another_topic_is_a_place_in_all_of_them(self, shop: Server):
        (before,) = make_events(shop, 1)
        target, events = ended_order(shop)
        (after,) = make_events(shop, 1)
        assert read(shop, f"{target}&lastEventId={before.last_event_id}", 4) == events
        assert read(shop, INVENTORY, 1, {"Last-Event-ID": events[0].last_event_id}) == [after]

    def test_one_id_resumes_several_topics(self, shop: Server):
        first, second = place(shop, FLUFFY), place(shop, FLUFFY)
        target = topics("inventory", first, second)
        with Exchange(shop.address, target) as stream:
            stream.read_until(lambda: stream.chunks)
            cancel(shop, first)
            change(shop, BUDDY, price="77.70")
            change(shop, BUDDY, price="77.71")
            cancel(shop, second)
            events = stream.read_events(6)
        for held, event in enumerate(events[:-1], start=1):
            assert read(shop, target, 6 - held, {"Last-Event-ID": event.last_event_id}) == events[held:]

    def test_the_id_that_a_snapshot_carries_is_where_its_stream_goes_on(self, shop: Server):
        order = place(shop, FLUFFY)
        for target, snapshot in ((INVENTORY, "/v1/inventory"), (order["links"]["statusStream"], order["links"]["self"])):
            held = get(shop, snapshot)["lastEventId"]
            with Exchange(shop.address, f"{target}{'&' if '?' in target else '?'}lastEventId={held}") as stream:
                stream.read_until(lambda stream=stream: stream.chunks)  # type: ignore[misc]
                if target == INVENTORY:
                    made = make_events(shop, 1)
                    assert stream.read_events(1) == made
                else:
                    cancel(shop, order)
                    assert data(stream.read_to_end().events[0])["status"] == "cancelled"
                assert len(stream.events) == 1


class TestAMoment:
    def test_a_duration_reaches_back_from_now(self, shop: Server):
        events = make_events(shop, 3)
        with Exchange(shop.address, f"{INVENTORY}?since=10m") as stream:
            stream.read_until(lambda: events[-1] in stream.events)
            assert stream.events[-3:] == events

    @pytest.mark.parametrize("zone", ["Z", "+00:00", "+02:00", "-05:30"])
    def test_a_time_in_any_zone_starts_with_the_events_of_that_very_microsecond(self, shop: Server, zone: str):
        events = make_events(shop, 3)
        hours, minutes = (0, 0) if zone == "Z" else (int(zone[:3]), int(f"{zone[0]}{zone[4:]}"))
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(events[1].last_event_id))
        local = moment.astimezone(timezone(timedelta(hours=hours, minutes=minutes)))
        text = local.replace(tzinfo=None).isoformat(timespec="microseconds") + zone
        assert read(shop, f"{INVENTORY}?since={quote(text)}", 2) == events[1:]

    def test_it_may_lie_before_the_first_event(self, shop: Server):
        target, events = ended_order(shop)
        for since in ("999999d", "1970-01-01T00:00:00Z", "1h30m", "2d"):
            assert read(shop, f"{target}&since={since}", 4) == events

    def test_now_is_a_moment_too(self, shop: Server):
        make_events(shop, 1)
        with Exchange(shop.address, f"{INVENTORY}?since=0s") as stream:
            stream.read_until(lambda: stream.chunks)
            made = make_events(shop, 1)
            assert stream.read_events(1) == made


UNKNOWN = ["1", "0", "99999999999999999", "999999999999999999999999", "junk", "-1", "1e9", "0x10", "1795378532603734x"]


class TestAnUnknownId:
    @pytest.mark.parametrize("id", UNKNOWN)
    @pytest.mark.parametrize("stream", ["inventory", "order", "topics", "recommendations"])
    def test_in_the_header_it_is_told_as_a_gap_and_the_stream_goes_on(self, shop: Server, stream: str, id: str):
        order = place(shop, FLUFFY)
        target, snapshot = {
            "inventory": (INVENTORY, "/v1/inventory"),
            "order": (order["links"]["statusStream"], order["links"]["self"]),
            "topics": ("/v1/stream?topics=inventory", "/v1/inventory"),
            "recommendations": (RECOMMENDATIONS, RECOMMENDATIONS.replace("/stream", "")),
        }[stream]
        with Exchange(shop.address, target, {"Last-Event-ID": id}) as exchange:
            assert exchange.status == 200
            (gap,) = exchange.read_events(1)
            assert (gap.type, gap.last_event_id) == ("gap", "")
            told = data(gap)
            assert told.pop("topic", None) == ("inventory" if stream == "topics" else None)
            assert list(told) == ["requestedId", "oldestId", "snapshot"]
            assert str(told["requestedId"]) == (str(int(id)) if id.isdigit() and len(id) <= 18 else id)
            assert told["snapshot"] == snapshot
            if stream == "order":
                cancel(shop, order)
            elif stream != "recommendations":
                change(shop, BUDDY, stock=new_stock())
            exchange.read_events(2)
            assert exchange.events[1].last_event_id

    def test_the_snapshot_leads_back_to_the_stream(self, shop: Server):
        with Exchange(shop.address, INVENTORY, {"Last-Event-ID": "1"}) as stream:
            (gap,) = stream.read_events(1)
        held = get(shop, data(gap)["snapshot"])["lastEventId"]
        events = make_events(shop, 2)
        assert read(shop, f"{INVENTORY}?lastEventId={held}", 2) == events

    def test_text_in_it_can_not_break_out_of_the_gap(self, shop: Server):
        for held in ('"}', "\\n\\ndata: x", "a: b\tc", "\xe9\x85", "\u2028".encode().decode("latin-1")):
            with Exchange(shop.address, INVENTORY, {"Last-Event-ID": held}) as stream:
                if stream.status == 400:
                    continue  # The server takes no such header at all.
                (gap,) = stream.read_events(1)
                assert gap.type == "gap"
                assert data(gap)["requestedId"].strip() == held.strip()

    @pytest.mark.parametrize("id", ["", "junk", "-1", "1.5", "1e9", "٣", "1\n2", "1\x00", " 1", "+1", "1_0", "9" * 19])
    @pytest.mark.parametrize("name", POLYFILL_NAMES)
    def test_in_the_query_what_can_not_be_an_id_is_a_bad_request(self, shop: Server, name: str, id: str):
        for target in (INVENTORY + "?", RECOMMENDATIONS + "&", "/v1/stream?topics=inventory&"):
            assert_bad_request(shop, f"{target}{name}={quote(id, safe='')}", name)

    def test_in_the_query_it_is_one_beside_a_header_too(self, shop: Server):
        assert_bad_request(shop, f"{INVENTORY}?lastEventId=junk", "lastEventId", {"Last-Event-ID": "1795378532603734"})

    def test_in_the_query_a_number_that_nobody_was_given_is_a_gap(self, shop: Server):
        for id in ("0", "1", "999999999999999999"):
            assert read(shop, f"{INVENTORY}?lastEventId={id}", 1)[0].type == "gap"

    def test_more_than_256_characters_are_a_bad_request_in_the_query_and_a_gap_in_the_header(self, shop: Server):
        targets = [INVENTORY, RECOMMENDATIONS, "/v1/stream?topics=inventory", ended_order(shop)[0]]
        for target in targets:
            glue = "&" if "?" in target else "?"
            for name in (*POLYFILL_NAMES, "since"):
                assert_bad_request(shop, f"{target}{glue}{name}={'1' * 257}", name)
            # A browser brings it by itself, and would give up for good.
            for held in ("1" * 257, "x" * 5000):
                gap = read(shop, target, 1, {"Last-Event-ID": held})[0]
                assert (gap.type, data(gap)["requestedId"]) == ("gap", held[:256])

    @pytest.mark.parametrize(
        "since",
        [
            "",
            "yesterday",
            "10",
            "10x",
            "-10m",
            "m",
            "2026-03-13",
            "2026-03-13T10:30:00",
            "2026-13-13T10:30:00Z",
            "9999-01-01T00:00:00Z",
        ],
    )
    def test_a_moment_that_can_not_be_read_or_is_still_to_come_is_a_bad_request(self, shop: Server, since: str):
        assert_bad_request(shop, f"{INVENTORY}?since={quote(since)}", "since")


def assert_bad_request(server: Server, target: str, parameter: str, headers: Mapping[str, str] | None = None) -> None:
    """Ask for a stream and see that it is refused as a problem that names the parameter."""
    answer = ask(server, "GET", target, headers=headers)
    assert answer.status == 400, answer.body
    assert answer.header("Content-Type") == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "https://petstoreapi.com/errors/bad-request"
    assert [error["field"] for error in problem["errors"]] == [parameter]


class TestTheEnd:
    def test_a_finite_stream_closes_by_itself_and_its_final_id_gets_204(self, shop: Server):
        with Exchange(shop.address, RECOMMENDATIONS) as stream:
            final = stream.read_to_end().events[-1]
        assert final.type == "complete"
        target, events = ended_order(shop)
        assert events[-1].type == "complete"
        for path, id in ((RECOMMENDATIONS, final.last_event_id), (target, events[-1].last_event_id)):
            glue = "&" if "?" in path else "?"
            for url, headers in ((path, {"Last-Event-ID": id}), (f"{path}{glue}lastEventId={id}", {})):
                answer = ask(shop, "GET", url, headers={"Accept": "text/event-stream", **headers})
                assert answer.status == 204
                assert answer.body == b""

    def test_several_topics_that_have_all_ended_get_204_and_one_that_goes_on_keeps_the_stream_open(self, shop: Server):
        first, second = place(shop, FLUFFY), place(shop, FLUFFY)
        pay(shop, first)
        pay(shop, second)
        with Exchange(shop.address, topics(first, second)) as stream:
            final = {"Last-Event-ID": stream.read_to_end().events[-1].last_event_id}
        assert ask(shop, "GET", topics(first, second), headers=final).status == 204
        with Exchange(shop.address, topics(first, second, "inventory"), final) as stream:
            (made,) = make_events(shop, 1)
            assert stream.read_events(1)[0].last_event_id == made.last_event_id

    def test_without_an_id_an_ended_order_is_told_again_from_its_start(self, shop: Server):
        target, events = ended_order(shop)
        with Exchange(shop.address, target) as stream:
            assert stream.read_to_end().events == events

    def test_an_id_of_another_customer_s_run_shows_nothing_of_that_run(self, shop: Server):
        customers = ["user-456", next_customer(shop)]
        with Exchange(shop.address, recommendations(customers[1])) as stream:
            foreign = stream.read_to_end().events
        with Exchange(shop.address, RECOMMENDATIONS, {"Last-Event-ID": foreign[0].last_event_id}) as stream:
            events = stream.read_to_end().events
        assert events[0].type == "gap"
        assert not {event.last_event_id for event in events[1:]} & {event.last_event_id for event in foreign}


def next_customer(server: Server) -> str:
    """Return a customer who isn't the public demo one."""
    log = server.open_event_log()
    try:
        id = log.query(lambda connection: connection.execute(text("SELECT id FROM customers WHERE id <> 'user-456'")).scalar())
    finally:
        log.close()
    return str(id)
