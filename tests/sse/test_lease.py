"""Leases: one holder at a time whatever happens, and the jobs that run under them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import petstore.sse.lease
from petstore.sse import Job, LogUnavailable
from petstore.sse.lease import LEASE_S, Lease
from tests.sse.conftest import OpenLog
from tests.sse.other_process import PATIENCE_S, OtherProcess, eventually


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves this process's clocks on."""
    offset_s = 0.0
    real_time, real_time_ns, real_monotonic = time.time, time.time_ns, time.monotonic
    monkeypatch.setattr(time, "time", lambda: real_time() + offset_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + int(offset_s * 1e9))
    monkeypatch.setattr(time, "monotonic", lambda: real_monotonic() + offset_s)

    def move_on(by_s: float) -> None:
        nonlocal offset_s
        offset_s += by_s

    return move_on


class TestLease:
    def test_the_first_to_ask_has_it_and_keeps_it(self, log, open_log):
        one, other = Lease(log, "work"), Lease(open_log(), "work")
        assert one.take()
        assert not other.take()
        assert one.take()

    def test_two_objects_of_one_process_are_two_holders(self, log):
        assert Lease(log, "work").take()
        assert not Lease(log, "work").take()

    def test_leases_of_different_names_are_independent(self, log):
        assert Lease(log, "work").take()
        assert Lease(log, "other work").take()

    def test_one_that_was_released_is_free_at_once(self, log):
        one, other = Lease(log, "work"), Lease(log, "work")
        assert one.take()
        one.release()
        assert other.take()
        assert not one.take()

    def test_only_its_holder_can_release_it(self, log):
        one, other, third = (Lease(log, "work") for _ in range(3))
        assert one.take()
        assert not other.take()
        other.release()
        assert not third.take()

    def test_one_that_lost_it_can_not_release_the_next_one_s(self, log, clock):
        one, other, third = (Lease(log, "work") for _ in range(3))
        assert one.take()
        clock(LEASE_S + 0.1)
        assert other.take()
        one.release()
        assert not third.take()

    def test_it_expires_by_itself(self, log, clock):
        one, other = Lease(log, "work"), Lease(log, "work")
        assert one.take()
        clock(LEASE_S * 0.9)
        assert not other.take()
        clock(LEASE_S * 0.2)
        assert other.take()
        assert not one.take()

    def test_a_holder_that_asks_in_time_never_loses_it(self, log, clock):
        one, other = Lease(log, "work"), Lease(log, "work")
        for _ in range(20):
            assert one.take()
            clock(LEASE_S / 2)
            assert not other.take()

    def test_a_holder_that_has_slept_asks_the_log_again(self, log, clock):
        one, other = Lease(log, "work"), Lease(log, "work")
        assert one.take()
        clock(10 * LEASE_S)
        assert other.take()
        assert not one.take()

    def test_one_that_was_taken_by_a_clock_that_was_ahead_is_not_waited_for(self, log, clock):
        ahead, other = Lease(log, "work"), Lease(log, "work")
        clock(3600)
        assert ahead.take()
        clock(-3600)
        assert other.take()

    def test_a_log_that_is_gone_says_so(self, log, database, clock):
        lease = Lease(log, "work")
        assert lease.take()
        database.rename(database.with_name("away"))
        assert lease.take(), "it was taken a moment ago"
        clock(LEASE_S / 2)
        with pytest.raises(LogUnavailable):
            lease.take()
        with pytest.raises(LogUnavailable):
            lease.release()
        database.with_name("away").rename(database)
        assert lease.take()

    def test_releasing_what_was_never_held_needs_no_log(self, log, database):
        database.unlink()
        Lease(log, "work").release()

    def test_of_many_threads_that_ask_at_once_one_gets_it(self, log, open_log: OpenLog):
        logs = [log, open_log(), open_log()]
        for name in map(str, range(10)):
            leases = [Lease(logs[n % 3], name) for n in range(9)]
            with ThreadPoolExecutor(9) as pool:
                assert sum(pool.map(Lease.take, leases)) == 1

    def test_of_many_processes_one_at_a_time_has_it(self, open_log: OpenLog, tmp_path):
        def work(tell: Any, name: str) -> int:
            lease, turns = Lease(open_log(), "work"), 0
            until = time.monotonic() + PATIENCE_S
            while turns < 10 and time.monotonic() < until:
                if lease.take():
                    # "x": fails if another holder is in here.
                    with (tmp_path / "inside").open("x"):
                        turns += 1
                    (tmp_path / "inside").unlink()
                    lease.release()
            return turns

        processes = [OtherProcess(work, name) for name in "abc"]
        assert [process.end() for process in processes] == [10, 10, 10]

    def test_one_that_was_made_before_a_fork_is_another_one_in_each_process(self, open_log: OpenLog):
        lease, log = Lease(open_log(), "work"), open_log()
        child = OtherProcess(lambda tell: lease.take())
        assert child.end() is True
        assert not lease.take()
        log.close()

    def test_that_of_a_process_that_was_killed_goes_to_another(self, open_log: OpenLog, clock):
        def work(tell: Any) -> None:
            tell(Lease(open_log(), "work").take())
            time.sleep(PATIENCE_S)

        holder = OtherProcess(work)
        assert holder.next() is True
        holder.kill()
        lease = Lease(open_log(), "work")
        assert not lease.take()
        clock(LEASE_S + 0.1)
        assert lease.take()


class TestJob:
    @pytest.fixture
    def start(self, monkeypatch):
        """Return a function that starts a job; all are stopped after the test."""
        monkeypatch.setattr(petstore.sse.lease, "LEASE_S", 0.3)
        monkeypatch.setattr(petstore.sse.lease, "RETRY_S", 0.01)
        jobs: list[Job] = []

        def start(log: Any, work: Any) -> Job:
            jobs.append(Job(log, "work", work))
            jobs[-1].start()
            return jobs[-1]

        yield start
        for job in jobs:
            job.stop()

    def test_works_again_and_again(self, log, start):
        done: list[int] = []
        start(log, lambda: done.append(1) or 0.0)
        eventually(lambda: len(done) >= 5)

    def test_works_in_one_place_at_a_time_and_all_get_it_in_the_end(self, log, open_log: OpenLog, start, monkeypatch):
        # So long that nobody's lease expires in the middle of a step, because the machine is busy.
        monkeypatch.setattr(petstore.sse.lease, "LEASE_S", 1.0)
        inside = threading.Lock()
        done: list[str] = []
        firsts: list[str] = []
        two_at_once: list[str] = []

        def worker(name: str) -> Any:
            def work() -> float:
                # Noted, not asserted: a job catches what its work raises, and goes on.
                if not inside.acquire(blocking=False):
                    two_at_once.append(name)
                    return 0.01
                done.append(name)
                time.sleep(0.01)  # For another one to come in, if it can.
                inside.release()
                return 0.01

            return work

        jobs = {name: start(one, worker(name)) for name, one in (("a", log), ("b", open_log()), ("c", open_log()))}
        for _ in range(3):
            eventually(lambda: len(done) >= 5)
            firsts.append(done[0])
            jobs[done[0]].stop()
            done.clear()
        assert two_at_once == []
        assert sorted(firsts) == ["a", "b", "c"]

    def test_keeps_its_lease_while_nothing_is_due(self, log, start):
        done: list[int] = []
        start(log, lambda: done.append(1) or 60.0)
        eventually(lambda: done)
        lease, until = Lease(log, "work"), time.monotonic() + 3 * petstore.sse.lease.LEASE_S
        while time.monotonic() < until:
            assert not lease.take()
            time.sleep(0.02)
        assert done == [1]

    def test_goes_on_after_an_exception(self, log, start, caplog):
        done: list[int] = []

        def work() -> float:
            done.append(1)
            if len(done) == 1:
                raise ZeroDivisionError
            return 0.0

        start(log, work)
        eventually(lambda: len(done) >= 3)
        assert "job work failed" in caplog.text

    @pytest.mark.parametrize("rest_s", [0.01, 60.0])
    def test_looks_at_once_what_is_due_when_the_log_is_back(self, log, database, start, caplog, rest_s):
        done: list[int] = []
        start(log, lambda: done.append(1) or rest_s)
        eventually(lambda: done)
        database.rename(database.with_name("away"))
        eventually(lambda: "waits" in caplog.text)
        done.clear()
        database.with_name("away").rename(database)
        eventually(lambda: done)

    def test_whoever_gets_the_lease_looks_at_once_what_is_due(self, log, open_log: OpenLog, start):
        done: list[str] = []
        jobs = {name: start(one, lambda name=name: done.append(name) or 60.0) for name, one in (("a", log), ("b", open_log()))}
        eventually(lambda: done)
        jobs[done[0]].stop()
        eventually(lambda: len(done) == 2)
        assert set(done) == {"a", "b"}

    def test_stop_waits_for_the_step_and_gives_the_lease_back(self, log, start):
        entered, go_on, finished = threading.Event(), threading.Event(), []

        def work() -> float:
            entered.set()
            go_on.wait(PATIENCE_S)
            finished.append(1)
            return 60.0

        job = start(log, work)
        assert entered.wait(PATIENCE_S)
        stopping = threading.Thread(target=job.stop)
        stopping.start()
        go_on.set()
        stopping.join()
        assert finished == [1]
        assert Lease(log, "work").take()

    def test_one_that_was_never_started_can_be_stopped(self, log):
        Job(log, "work", lambda: 1.0).stop()
