"""Admission: who is refused, and that every place is given back."""

import pytest

from petstore.sse import Admission


def test_there_are_as_many_places_as_were_said():
    admission = Admission(2)
    with admission.place(), admission.place():
        assert admission.refusal() == "full"
    assert admission.refusal() is None
    assert admission.open == 0


def test_no_holder_has_more_than_his_share_and_nobody_else_is_refused_for_it():
    admission = Admission(10, max_per_holder=2)
    with admission.place(["ip 1", "user 1"]), admission.place(["ip 1"]):
        assert admission.refusal(["ip 1"]) == "too-many"
        assert admission.refusal(["ip 1", "user 2"]) == "too-many"
        assert admission.refusal(["ip 2", "user 1"]) is None
    assert admission.refusal(["ip 1"]) is None


def test_without_a_share_a_holder_may_have_all_places():
    admission = Admission(3)
    with admission.place(["ip 1"]), admission.place(["ip 1"]):
        assert admission.refusal(["ip 1"]) is None


def test_a_place_is_given_back_whatever_ends_the_stream():
    admission = Admission(1, max_per_holder=1)
    for error in (ZeroDivisionError, GeneratorExit, KeyboardInterrupt):
        with pytest.raises(error), admission.place(["ip 1"]):
            raise error
        assert (admission.open, admission.refusal(["ip 1"])) == (0, None)


def test_those_who_have_left_are_forgotten():
    admission = Admission(10, max_per_holder=1)
    for n in range(100):
        with admission.place([f"ip {n}"]):
            pass
    assert admission._held == {}
