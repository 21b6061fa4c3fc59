"""Admission: who is refused, and that every place is given back."""

from petstore.sse import Admission


def test_there_are_as_many_places_as_were_said():
    admission = Admission(2)
    admission.take()
    assert admission.refusal() is None
    admission.take()
    assert admission.refusal() == "full"
    admission.give_back()
    assert admission.refusal() is None
    assert admission.open == 1


def test_no_holder_has_more_than_his_share_and_nobody_else_is_refused_for_it():
    admission = Admission(10, max_per_holder=2)
    admission.take(["ip 1", "user 1"])
    admission.take(["ip 1"])
    assert admission.refusal(["ip 1"]) == "too-many"
    assert admission.refusal(["ip 1", "user 2"]) == "too-many"
    assert admission.refusal(["ip 2", "user 1"]) is None
    admission.give_back(["ip 1"])
    assert admission.refusal(["ip 1"]) is None


def test_without_a_share_a_holder_may_have_all_places():
    admission = Admission(3)
    admission.take(["ip 1"])
    admission.take(["ip 1"])
    assert admission.refusal(["ip 1"]) is None


def test_those_who_have_left_are_forgotten():
    admission = Admission(10, max_per_holder=1)
    for n in range(100):
        admission.take([f"ip {n}"])
        admission.give_back([f"ip {n}"])
    assert admission._held == {}
