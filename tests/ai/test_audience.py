"""Who is there: counted by runs, and told when the last one leaves."""

from petstore.ai.audience import Audience
from petstore.sse import Observer

CHAT, OTHER = ("chat/1",), ("recommendations/2", "inventory")


class Notes:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def opened(self, *_: object) -> None:
        self.told.append("opened")

    def ended(self, *_: object) -> None:
        self.told.append("ended")

    def refused(self, *_: object) -> None:
        self.told.append("refused")

    def delivered(self, *_: object) -> None:
        self.told.append("delivered")

    def lagged(self, *_: object) -> None:
        self.told.append("lagged")


def audience() -> tuple[Audience, list[str]]:
    notes = Notes()
    observer: Observer = notes
    audience = Audience(observer)
    audience.on_leave = lambda: notes.told.append("all left")
    return audience, notes.told


def test_a_run_has_somebody_until_the_last_one_has_left():
    here, told = audience()
    here.opened(CHAT, (), False, 0)
    here.opened(CHAT, (), False, 0)
    here.opened(OTHER, (), False, 0)
    assert sorted(here.present()) == ["1", "2"]
    here.ended(CHAT, (), "left", 1.0, 0)
    assert sorted(here.present()) == ["1", "2"]
    assert here.take_left() == []
    here.ended(CHAT, (), "stuck", 1.0, 0)
    assert here.present() == ["2"]
    assert here.take_left() == ["1"]
    assert here.take_left() == [], "told once"
    assert told == ["opened"] * 3 + ["ended"] * 2 + ["all left"]


def test_who_stayed_to_the_end_has_not_left_early():
    here, told = audience()
    here.opened(CHAT, (), False, 0)
    here.ended(CHAT, (), "complete", 1.0, 0)
    assert here.present() == here.take_left() == []
    assert "all left" not in told


def test_who_comes_back_before_it_was_noted_has_not_left():
    here, _ = audience()
    here.opened(CHAT, (), False, 0)
    here.ended(CHAT, (), "left", 1.0, 0)
    here.opened(CHAT, (), True, 0)
    assert here.take_left() == []
    assert here.present() == ["1"]


def test_all_else_is_passed_on_and_other_topics_are_nobody_s_run():
    here, told = audience()
    here.refused("full")
    here.delivered(1, 1)
    here.lagged(0.1)
    here.opened(("inventory",), (), False, 0)
    here.ended(("inventory",), (), "left", 1.0, 0)
    assert told == ["refused", "delivered", "lagged", "opened", "ended"]
    assert here.present() == here.take_left() == []
