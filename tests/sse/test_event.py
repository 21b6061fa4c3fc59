"""An event's bytes: the order of its fields, what can't break out of its frame, and that each form is built once."""

import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petstore.sse import COMPLETE, DEFAULT_TYPE, ERROR, Decoder, Draft, Event, Form, Received
from petstore.sse.error import InvalidEvent
from petstore.sse.event import dump, encode, encode_comment, encode_control, encode_retry

NAMED, UNNAMED = Form(), Form(named=False)
MULTIPLEXED = Form(with_topic=True)

ONE_LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def event(type: str = "stock-change", **data: object) -> Event:
    return Event(1773397800123456, "inventory", type, dump(data))


def read_back(frame: bytes) -> list[Received]:
    return Decoder().feed(frame)


def test_the_fields_go_out_as_event_data_id():
    assert event(petId="p1", oldStock=3).encode(NAMED) == (
        b'event: stock-change\ndata: {"petId":"p1","oldStock":3}\nid: 1773397800123456\n\n'
    )


def test_the_default_type_is_not_written_out():
    assert event(DEFAULT_TYPE, status="SHIPPED").encode(NAMED) == b'data: {"status":"SHIPPED"}\nid: 1773397800123456\n\n'


def test_an_unnamed_event_of_any_type_is_a_message():
    frame = event(COMPLETE, total=3).encode(UNNAMED)
    assert not frame.startswith(b"event")
    assert read_back(frame) == [Received("message", '{"total":3}', "1773397800123456")]


def test_the_error_that_ends_a_topic_has_its_id_and_the_one_that_ends_a_stream_has_none():
    for form in (NAMED, UNNAMED, MULTIPLEXED):
        assert event(ERROR, title="failed").encode(form).endswith(b"\nid: 1773397800123456\n\n")
        assert b"\nid:" not in encode_control(ERROR, {"title": "failed"}, form)


@pytest.mark.parametrize(
    ("data", "expected"),
    [({}, {"topic": "inventory"}), ({"n": 1}, {"topic": "inventory", "n": 1}), ({"a": {}}, {"topic": "inventory", "a": {}})],
)
def test_a_multiplexed_event_names_its_topic_first(data, expected):
    (received,) = read_back(event(**data).encode(MULTIPLEXED))
    assert list(json.loads(received.data).items()) == list(expected.items())


@given(st.text(), st.dictionaries(st.text().filter(lambda key: key != "topic"), ANY_JSON, max_size=4))
def test_a_topic_of_any_text_leaves_the_data_whole(topic, data):
    (received,) = read_back(Event(1, topic, "x", dump(data)).encode(MULTIPLEXED))
    value = json.loads(received.data)
    assert value.pop("topic") == topic
    assert value == json.loads(dump(data))


def test_a_frame_is_built_once_for_each_form():
    sent = event(n=1)
    frames = [sent.encode(Form(named, with_topic)) for named in (True, False) for with_topic in (True, False)]
    assert len(set(frames)) == 4
    for _ in range(2):
        again = [sent.encode(Form(named, with_topic)) for named in (True, False) for with_topic in (True, False)]
        assert all(one is other for one, other in zip(frames, again, strict=True))


def test_events_are_values_whatever_was_encoded():
    one, other = event(n=1), event(n=1)
    one.encode(NAMED)
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(FrozenInstanceError):
        one.id = 2  # type: ignore[misc]


@pytest.mark.parametrize("type", ["a\nb", "a\rb", "a\0b", "\n", "x\r\ndata: forged", "end\n\n"])
def test_a_type_that_would_break_out_of_its_line_is_refused(type):
    with pytest.raises(InvalidEvent) as caught:
        encode(type, "{}")
    assert caught.value.field == "type"
    with pytest.raises(InvalidEvent):
        encode_control(type, {})


@pytest.mark.parametrize("type", ["a\nb", "a\rb", "a\0b"])
def test_a_draft_of_such_a_type_is_refused_before_it_can_reach_the_log(type):
    with pytest.raises(InvalidEvent):
        Draft("inventory", type, {})


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n"])
def test_a_line_end_in_data_can_not_end_the_event(end):
    frame = encode("x", f"first{end}id: 9{end}event: forged", 7)
    assert [received.last_event_id for received in read_back(frame)] == ["7"]
    assert read_back(frame)[0].type == "x"
    assert read_back(frame)[0].data == f"first{end}id: 9{end}event: forged".replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("odd", ["\0", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\ufeff", "🐶", " "])
def test_odd_characters_in_data_are_data(odd):
    data = f"{odd}a{odd}b{odd}"
    assert read_back(encode("x", data, 1)) == [Received("x", data, "1")]
    (received,) = read_back(event(text=data).encode(NAMED))
    assert json.loads(received.data) == {"text": data}


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ude00\ud83d"])
def test_a_lone_surrogate_spoils_one_character_and_nothing_else(text):
    (received,) = read_back(encode("x", text, 1))
    assert len(received.data) == len(text)
    (received,) = read_back(event(text=text, rest="kept").encode(NAMED))
    assert json.loads(received.data)["rest"] == "kept"
    dump({"text": text}).encode()
    encode_comment(text)
    encode_control("gap", {"requestedId": text})


@given(st.dictionaries(st.text(), ANY_JSON))
def test_dumped_data_is_one_line_that_every_database_can_store(data):
    text = dump(data)
    assert not {"\r", "\n", "\0"} & set(text)
    text.encode()
    assert isinstance(json.loads(text), dict)


def test_what_json_can_not_say_is_refused():
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            dump({"price": value})


def test_an_empty_data_is_still_an_event():
    assert read_back(encode("x", "", 1)) == [Received("x", "", "1")]


def test_a_control_event_moves_no_cursor():
    decoder = Decoder()
    decoder.feed(event(n=1).encode(NAMED))
    (gap,) = decoder.feed(encode_control("gap", {"requestedId": "x\n\nid: 5\n\n"}))
    assert gap.last_event_id == "1773397800123456"
    assert json.loads(gap.data) == {"requestedId": "x\n\nid: 5\n\n"}


def test_a_control_event_for_a_client_that_wants_no_names_says_in_its_data_what_it_is():
    (gap,) = read_back(encode_control("gap", {"oldestId": 1}, UNNAMED))
    assert (gap.type, json.loads(gap.data)) == ("message", {"event": "gap", "oldestId": 1})
    (gap,) = read_back(encode_control("gap", {"oldestId": 1}, MULTIPLEXED))
    assert (gap.type, json.loads(gap.data)) == ("gap", {"oldestId": 1})


def test_a_comment_or_a_retry_is_one_line_with_no_blank_line_after_it():
    assert encode_comment("heartbeat") == b": heartbeat\n"
    assert encode_retry(2000) == b"retry: 2000\n"


@pytest.mark.parametrize("text", ["a\nb", "\r", "a\0"])
def test_a_comment_that_is_not_one_line_is_refused(text):
    with pytest.raises(InvalidEvent) as caught:
        encode_comment(text)
    assert caught.value.field == "comment"


@given(ONE_LINE)
def test_comments_between_events_change_nothing(text):
    frames = event(n=1).encode(NAMED) + encode_comment(text) + encode_retry(1) + event(n=2).encode(NAMED)
    assert [json.loads(received.data) for received in read_back(frames)] == [{"n": 1}, {"n": 2}]


def test_a_topic_is_shown_without_the_suffix_that_sorts_it_on_our_side():
    form = Form(with_topic=True, topic_suffix="/7f9c")
    assert b'data: {"topic":"inventory","a":1}\n' in Event(1, "inventory/7f9c", "message", '{"a":1}').encode(form)
    assert b'data: {"topic":"orders/1","a":1}\n' in Event(1, "orders/1", "message", '{"a":1}').encode(form)
    assert form.shown("inventory/7f9c") == form.shown("inventory") == "inventory"
