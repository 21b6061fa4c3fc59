"""What a follower gets without asking the database: only what follows without a hole, and never instead of another's events."""

from petstore.sse import Event, SqlEventLog
from petstore.sse.commits import MAX_EVENTS, Commits
from tests.sse.event_log_contract import append, ids

TOGETHER = 100


def events(*numbers: int) -> list[Event]:
    return [Event(number, "a", "news", "{}") for number in numbers]


class TestCommits:
    def test_what_follows_without_a_hole_is_taken_together(self):
        commits = Commits()
        commits.add(10, events(11, 12))
        commits.add(12, events(15))
        assert ids(commits.take(10, TOGETHER)) == [11, 12, 15]

    def test_the_order_of_noting_does_not_matter(self):
        commits = Commits()
        commits.add(12, events(15))
        commits.add(10, events(11, 12))
        assert ids(commits.take(10, TOGETHER)) == [11, 12, 15]

    def test_nothing_is_told_beyond_a_hole(self):
        commits = Commits()
        commits.add(10, events(11))
        commits.add(12, events(15))
        assert ids(commits.take(10, TOGETHER)) == [11]
        assert commits.take(9, TOGETHER) == []

    def test_more_than_was_asked_for_is_left_to_the_database(self):
        commits = Commits()
        commits.add(10, events(11, 12, 13))
        assert commits.take(10, 2) == []

    def test_what_nobody_takes_does_not_pile_up(self):
        commits = Commits()
        for number in range(3 * MAX_EVENTS):
            commits.add(number, events(number + 1))
            assert len(commits._following) <= MAX_EVENTS + 1


class TestFollowing:
    """Two logs on one database, as in two processes, and one of them followed."""

    def test_own_events_come_without_the_database(self, log, monkeypatch):
        log.wait(0)
        head = log.head()
        written = append(log, "a", "b")
        assert log.wait(1)
        monkeypatch.setattr(log, "query", None)
        assert log.read(None, head, TOGETHER) == written

    def test_anothers_events_before_ours_are_not_left_out(self, log, open_log):
        self.follow(log, [open_log(), log])

    def test_anothers_events_after_ours_are_not_left_out(self, log, open_log):
        self.follow(log, [log, open_log()])

    def test_anothers_events_between_ours_are_not_left_out(self, log, open_log):
        self.follow(log, [log, open_log(), log, log])

    def test_anothers_ring_is_heard_beside_many_of_ours(self, log, open_log):
        # More than a bell holds.
        self.follow(log, [*[log] * 30, open_log(), *[log] * 30])

    def test_without_a_ring_the_database_is_asked(self, log, open_log, monkeypatch):
        log.wait(0)
        head = log.head()
        (ours,) = append(log, "a")
        assert log.wait(1)
        monkeypatch.setattr(log._doorbell, "ring", lambda: None)
        other = open_log()
        monkeypatch.setattr(other._doorbell, "ring", lambda: None)
        (others,) = append(other, "a")
        assert not log.wait(0.01)
        assert log.read(None, head, TOGETHER) == [ours, others]

    def follow(self, log: SqlEventLog, writers: list[SqlEventLog]) -> None:
        log.wait(0)
        head = log.head()
        written = [event for writer in writers for event in append(writer, "a")]
        read: list[Event] = []
        # As the feed does: a read for each wake.
        while log.wait(0):
            read += log.read(None, read[-1].id if read else head, TOGETHER)
        assert read == written
