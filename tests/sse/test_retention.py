"""Retention: what is too old goes, a slice at a time, and the log is left alone when there is nothing to do."""

import petstore.sse.retention
from petstore.sse import COMPLETE, Retention
from petstore.sse.retention import PAUSE_S
from tests.sse.event_log_contract import append, everything

A_DAY_S, A_MOMENT_S = 86_400.0, 1e-5


def test_what_is_young_stays(log):
    events = append(log, *"aaa")
    assert Retention(log, A_DAY_S).trim() == PAUSE_S
    assert everything(log) == events


def test_what_is_old_goes_in_slices_without_a_pause_between_them(log, monkeypatch):
    monkeypatch.setattr(petstore.sse.retention, "SLICE", 4)
    append(log, *"a" * 10)
    retention = Retention(log, A_MOMENT_S)
    assert [retention.trim(), retention.trim()] == [0.0, 0.0]
    assert len(everything(log)) == 2
    retention.trim()
    assert everything(log) == []


def test_a_slice_of_ends_is_passed_over_like_any_other(log, monkeypatch):
    monkeypatch.setattr(petstore.sse.retention, "SLICE", 2)
    for topic in "abcd":
        append(log, topic, type=COMPLETE)
    append(log, "e")
    retention = Retention(log, A_MOMENT_S)
    while not retention.trim():
        pass
    assert [event.topic for event in everything(log)] == list("abcd")


def test_a_short_retention_is_looked_after_more_often(log):
    assert Retention(log, 10.0).trim() == 1.0
