"""The ring: what it holds, what it lets go, and that it never answers for a stretch that it doesn't hold whole."""

from hypothesis import given
from hypothesis import strategies as st

from petstore.sse import Event
from petstore.sse.ring import Ring

EVERYTHING = 1_000_000


def event(id: int, topic: str = "a", size: int = 1) -> Event:
    return Event(id, topic, "news", "x" * size)


def filled(*events: Event, head: int = 0, max_events: int = 100, max_bytes: int = 1000) -> Ring:
    ring = Ring(head, max_events, max_bytes)
    ring.add(events)
    return ring


def ids(events: list[Event] | None) -> list[int] | None:
    return None if events is None else [one.id for one in events]


def test_it_answers_with_what_lies_above_the_cursor():
    ring = filled(event(11), event(12), event(15))
    assert ids(ring.after("a", 11, 10)) == [12, 15]
    assert ids(ring.after("a", 13, 10)) == [15]
    assert ids(ring.after("a", 0, 2)) == [11, 12]


def test_nothing_new_and_out_of_reach_are_two_answers():
    ring = filled(event(11), head=10)
    assert ring.after("a", 11, 10) == []
    assert ring.after("a", 99, 10) == []
    assert ring.after("b", 10, 10) == []
    assert ring.after("a", 9, 10) is None


def test_a_new_ring_reaches_back_to_the_head_that_it_was_made_at():
    ring = Ring(10)
    assert (ring.floor, ring.head) == (10, 10)
    assert ring.after("a", 10, 10) == []
    assert ring.after("a", 9, 10) is None


def test_topics_come_merged_in_the_order_of_ids():
    ring = filled(*(event(id, "abc"[id % 3]) for id in range(1, 10)))
    assert ids(ring.after("abc", 0, 100)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert ids(ring.after("ca", 2, 3)) == [3, 5, 6]
    assert ring.after("", 0, 100) == []


def test_it_holds_no_more_events_than_it_may():
    ring = filled(*(event(id) for id in range(1, 8)), max_events=3)
    assert (ring.floor, ring.head) == (4, 7)
    assert ring.after("a", 3, 10) is None
    assert ids(ring.after("a", 4, 10)) == [5, 6, 7]


def test_it_holds_no_more_bytes_than_it_may():
    ring = filled(event(1, size=40), event(2, size=40), event(3, size=40), max_bytes=100)
    assert ring.floor == 1
    assert ids(ring.after("a", 1, 10)) == [2, 3]


def test_an_event_larger_than_the_whole_ring_is_not_kept_and_not_forgotten():
    ring = filled(event(1), event(2, size=101), max_bytes=100)
    assert (ring.floor, ring.head) == (2, 2)
    assert ring.after("a", 1, 10) is None
    assert ring.after("a", 2, 10) == []
    ring.add([event(3)])
    assert ids(ring.after("a", 2, 10)) == [3]


def test_the_floor_rises_for_every_topic_with_the_oldest_of_any():
    ring = filled(event(1, "a"), event(2, "b"), event(3, "b"), event(4, "b"), max_events=2)
    assert ring.after("a", 1, 10) is None, "how should it know that nothing of this topic was dropped?"
    assert ring.after("a", 2, 10) == []


def test_a_topic_whose_events_are_all_dropped_leaves_nothing_behind():
    ring = Ring(0, max_events=2)
    for id in range(1, 2000):
        ring.add([event(id, f"orders/{id}")])
    assert len(ring._topics) == 2


def test_the_cost_of_an_answer_is_that_of_its_page():
    # Many streams far behind at once: with a walk over the whole backlog for each page these would be a billion steps.
    ring = filled(*(event(id) for id in range(1, 20_001)), max_events=20_000, max_bytes=EVERYTHING)
    for cursor in range(0, 20_000, 2):
        assert ids(ring.after("a", cursor, 2)) == [cursor + 1, cursor + 2]


def test_what_the_log_no_longer_has_is_forgotten():
    ring = filled(*(event(id) for id in range(1, 6)))
    ring.forget(3)
    assert (ring.floor, ids(ring.after("a", 3, 10))) == (3, [4, 5])
    assert ring.after("a", 2, 10) is None
    ring.forget(2)
    assert ring.floor == 3
    ring.forget(100)
    assert (ring.floor, ring.head, ring.after("a", 5, 10)) == (5, 5, [])
    ring.add([event(6)])
    assert ids(ring.after("a", 5, 10)) == [6]


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=6), max_size=12),
    st.integers(1, 6),
    st.integers(1, 80),
    st.sets(st.sampled_from("abcd")),
    st.integers(1, 4),
)
def test_it_agrees_with_a_plain_list_of_all_events(batches, max_events, max_bytes, topics, limit):
    ring, appended, id = Ring(100, max_events, max_bytes), [], 100
    for batch in batches:
        events = [event(id := id + 1 + size % 3, topic, size) for topic, size in batch]
        ring.add(events)
        appended += events
        assert ring.head == id
        held = [one for one in appended if one.id > ring.floor]
        assert len(held) <= max_events
        assert sum(len(one.data) for one in held) <= max_bytes
        for cursor in range(99, id + 2):
            expected = [one for one in held if one.id > cursor and one.topic in topics][:limit]
            assert ring.after(topics, cursor, limit) == (None if cursor < ring.floor else expected)
        dropped = [one for one in appended if one.id <= ring.floor]
        if dropped:
            assert ring.floor == dropped[-1].id
            with_one_more = [dropped[-1], *held]
            assert len(with_one_more) > max_events or sum(len(one.data) for one in with_one_more) > max_bytes
