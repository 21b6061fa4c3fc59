"""A stream's bytes as a client must read them: the standard's own examples, then whatever the bytes may be cut into."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from petstore.sse import Decoder, Received
from petstore.sse.event import encode, encode_comment, encode_retry

ONE_LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
DATA = st.text(st.characters(exclude_categories=["Cs"]))
SENT = st.lists(st.tuples(ONE_LINE, DATA, st.none() | st.integers(0, 10**16)), max_size=5)
LINES = st.lists(
    st.sampled_from(
        ["data", "data:", "data: x", "data:  y", "id: 1", "id", "id: a\0b", "event: e", "event", "retry: 5", ":", "", "", "z: 1"]
    )
)


def decode(stream: str | bytes) -> list[Received]:
    return Decoder().feed(stream.encode() if isinstance(stream, str) else stream)


def decode_in_pieces(stream: bytes, cuts: list[int]) -> tuple[list[Received], Decoder]:
    decoder, received = Decoder(), []
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(places):
        received += decoder.feed(stream[start:end])
    return received, decoder


def data_of(stream: str | bytes) -> list[str]:
    return [received.data for received in decode(stream)]


class TestExamplesOfTheStandard:
    def test_data_on_many_lines(self):
        assert decode("data: YHOO\ndata: +2\ndata: 10\n\n") == [Received("message", "YHOO\n+2\n10", "")]

    def test_four_blocks(self):
        stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"
        first_two = [Received("message", "first event", "1"), Received("message", "second event", "")]
        assert decode(stream) == first_two, "the end of the stream does not dispatch the last event"
        assert decode(stream + "\n") == [*first_two, Received("message", " third event", "")]

    def test_empty_data(self):
        assert data_of("data\n\ndata\ndata\n\ndata:") == ["", "\n"]

    def test_the_space_after_the_colon_is_ignored_if_present(self):
        assert data_of("data:test\n\ndata: test\n\n") == ["test", "test"]

    def test_names(self):
        stream = "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n"
        assert [(received.type, received.data) for received in decode(stream)] == [
            ("add", "73857293"),
            ("remove", "2153"),
            ("add", "113411"),
        ]


class TestLines:
    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
    def test_may_end_in_three_ways(self, end):
        assert data_of(f"data: a{end}data: b{end}{end}data: c{end}{end}") == ["a\nb", "c"]

    def test_may_end_in_different_ways_in_one_stream(self):
        assert data_of("data: a\rdata: b\r\ndata: c\n\r\ndata: d\n\r") == ["a\nb\nc", "d"]

    def test_cr_and_lf_in_two_chunks_are_one_end(self):
        decoder = Decoder()
        assert decoder.feed(b"data: a\r") == []
        assert decoder.feed(b"\n") == []
        assert decoder.feed(b"data: b\r") == []
        assert [received.data for received in decoder.feed(b"\n\r")] == ["a\nb"]
        assert decoder.feed(b"\n") == []

    def test_cr_and_lf_are_one_end_with_nothing_between_them_but_an_empty_chunk(self):
        decoder = Decoder()
        assert [decoder.feed(chunk) for chunk in (b"data: a\r", b"", b"\n", b"data: b\n")] == [[], [], [], []]
        assert [received.data for received in decoder.feed(b"\n")] == ["a\nb"]

    def test_an_event_is_told_at_its_cr_without_waiting_for_an_lf(self):
        assert data_of("data: a\r\r") == ["a"]

    @pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
    def test_do_not_end_at_other_separators(self, odd):
        assert data_of(f"data: a{odd}b\n\n") == [f"a{odd}b"]


class TestEncoding:
    def test_one_byte_order_mark_at_the_start_is_ignored(self):
        assert data_of("\ufeffdata: a\n\n") == ["a"]
        assert decode("\ufeff\ufeffdata: a\n\n") == [], "a second one belongs to the name of the field"
        assert data_of("data: \ufeffa\n\n") == ["\ufeffa"]

    def test_a_byte_order_mark_in_pieces_is_ignored(self):
        decoder = Decoder()
        for byte in "\ufeffdata: a\n".encode():
            assert decoder.feed(bytes([byte])) == []
        assert [received.data for received in decoder.feed(b"\n")] == ["a"]

    def test_a_byte_order_mark_later_on_is_not(self):
        assert data_of("data: a\n\n\ufeffdata: b\n\n") == ["a"]

    def test_a_character_cut_anywhere_is_one_character(self):
        stream = "data: 🐶é\n\n".encode()
        for cut in range(len(stream)):
            received, _ = decode_in_pieces(stream, [cut])
            assert [one.data for one in received] == ["🐶é"]

    def test_bytes_that_are_not_utf8_spoil_only_themselves(self):
        assert data_of(b"data: a\xff\xc3(b\n\ndata: c\n\n") == ["a\ufffd\ufffd(b", "c"]


class TestFields:
    def test_an_id_with_nul_is_ignored(self):
        assert decode("id: 1\nid: 2\0\ndata: a\n\n") == [Received("message", "a", "1")]

    def test_an_id_holds_until_another_comes(self):
        assert [received.last_event_id for received in decode("id: 1\ndata\n\ndata\n\nid: 2\n\ndata\n\n")] == ["1", "1", "2"]

    def test_an_id_of_an_event_that_was_cut_off_is_not_yet_held(self):
        decoder = Decoder()
        decoder.feed(b"data: a\nid: 1\n\ndata: b\nid: 2\n")
        assert decoder.last_event_id == "1"

    def test_a_type_without_data_is_forgotten(self):
        assert decode("event: x\n\ndata: a\n\n") == [Received("message", "a", "")]

    def test_the_last_type_counts_and_an_empty_one_is_message(self):
        assert [received.type for received in decode("event: a\nevent: b\ndata\n\nevent: a\nevent\ndata\n\n")] == ["b", "message"]

    def test_names_are_exact(self):
        assert decode("Data: a\n data: b\ndata : c\ndata\u0430: d\n\n") == []

    def test_only_the_first_colon_and_one_space_divide(self):
        assert data_of("data: a: b\n\ndata::c\n\ndata:\td\n\n") == ["a: b", ":c", "\td"]

    def test_comments_are_counted_and_never_told(self):
        decoder = Decoder()
        assert decoder.feed(b": heartbeat\n:\n:data: a\n\n") == []
        assert decoder.comments == 3

    @pytest.mark.parametrize(("text", "retry_ms"), [("2000", 2000), ("0", 0), ("007", 7), ("9" * 15, 10**15 - 1)])
    def test_retry_is_told(self, text, retry_ms):
        decoder = Decoder()
        decoder.feed(f"retry: {text}\n".encode())
        assert decoder.retry_ms == retry_ms

    @pytest.mark.parametrize("text", ["", "-1", "+1", "1.5", "1s", " 1", "1 ", "٣", "²", "1_0", "0x1", "9" * 16, "9" * 5000])
    def test_a_retry_of_anything_but_digits_is_ignored(self, text):
        decoder = Decoder()
        decoder.feed(f"retry: 10\nretry: {text}\n".encode())
        assert decoder.retry_ms == 10


class TestRoundTrip:
    @given(SENT)
    @example([("", "", 0)])
    @example([("x", "\r\n\r", 1), ("\ufeff", "\ufeff", 2)])
    def test_what_is_encoded_is_decoded_however_it_is_cut(self, sent):
        stream = b"".join(encode_retry(7) + encode_comment("c") + encode(*one) for one in sent)
        expected, last_event_id = [], ""
        for type, data, id in sent:
            last_event_id = last_event_id if id is None else str(id)
            expected.append(Received(type or "message", re.sub("\r\n|\r", "\n", data), last_event_id))
        assert decode(stream) == expected
        for cut in range(len(stream)):
            received, decoder = decode_in_pieces(stream, [cut])
            assert received == expected
            assert (decoder.last_event_id, decoder.retry_ms or 7) == (last_event_id, 7)
        assert decode_in_pieces(stream, list(range(len(stream))))[0] == expected

    @given(LINES, st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=1), st.lists(st.integers(0, 10**6)))
    def test_any_lines_mean_the_same_however_they_end_and_are_cut(self, lines, ends, cuts):
        # CR, then an empty line that ends with LF, would be one CRLF.
        ends = ends if "\r" not in ends else [end if end != "\n" else "\r\n" for end in ends]
        stream = "".join(line + ends[index % len(ends)] for index, line in enumerate(lines)).encode()
        plain = "".join(line + "\n" for line in lines)
        assert decode(stream) == decode(plain)
        assert decode_in_pieces(stream, cuts)[0] == decode(plain)

    @given(st.binary(), st.lists(st.integers(0, 10**6)))
    def test_no_bytes_break_it_and_cuts_never_matter(self, stream, cuts):
        assert decode_in_pieces(stream, cuts)[0] == decode(stream)


def test_a_long_line_in_small_chunks_costs_what_its_length_is():
    # Joined again with every chunk, these three megabytes would be 300 gigabytes of copying.
    decoder, chunk = Decoder(), b"x" * 16
    decoder.feed(b"data: ")
    for _ in range(200_000):
        decoder.feed(chunk)
    (received,) = decoder.feed(b"\n\n")
    assert len(received.data) == 3_200_000
