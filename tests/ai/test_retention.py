"""What is forgotten of runs: all of a closed account's, however many there are, and nobody else's."""

import sqlite3

from petstore.ai import Message, Question, Role, RunKind, Runs, forget_customer, request_for
from petstore.ai.retention import BATCH, forget_old
from petstore.shop import Shop
from petstore.sse import EventLog, Transaction
from tests.ai.conftest import Count

QUESTION = request_for(Question((Message(Role.USER, "a quiet cat"),)), "pet-advisor-1")


def test_all_runs_of_a_customer_are_forgotten_and_no_others(log: EventLog, runs: Runs, meter: Count):
    shop, elsewhere = Shop(log), Shop(log, "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01")
    theirs = [runs.start(shop, RunKind.CHAT, QUESTION, "user-456") for _ in range(BATCH + 1)]
    guest = runs.start(shop, RunKind.CHAT, QUESTION)
    forget_customer(elsewhere, "user-456", meter)
    assert runs.find(theirs[0].topic) is not None, "another shop's customer has the same name"
    forget_customer(shop, "user-456", meter)
    assert [run.id for run in theirs if runs.find(run.topic) is not None] == []
    assert log.read([run.topic for run in theirs], 0, 10) == []
    assert log.read([guest.topic], 0, 1)
    assert runs.find(guest.topic) is not None


def test_old_runs_are_found_along_an_index(log: EventLog):
    """Otherwise each look would read every run there is, under the write lock."""
    seen: list[str] = []

    def look(transaction: Transaction) -> None:
        driver = transaction.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(seen.append)
        forget_old(log, transaction, 1)
        driver.set_trace_callback(None)
        (statement,) = (text for text in seen if text.startswith("SELECT runs"))
        plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert [row[3].split(" (")[0] for row in plan] == ["SEARCH runs USING INDEX runs_status_created"]

    log.write(look)
