"""What the advisors look up costs little where nothing can be found, and one search at a time where something can."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, event

from app import link_to_pet
from petstore.ai import Advisor
from petstore.ai.engine import Halt, Message, Question, Role
from petstore.ai.lookup import Lookup
from petstore.shop import Shop
from petstore.sse import EventLog


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Collects what is asked of the database about pets."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM pets" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def test_words_that_are_no_breed_and_no_name_are_looked_for_in_memory(log: EventLog, statements: list[str]):
    advisor = Advisor(link_to_pet)
    for message in ("abcdefgh ijklmnop qrstuvwx yzabcdef", "Qwertz Uiopasd fghjkl", "Hello", "Show me the orders of user-456"):
        list(advisor.answer(Shop(log), Question((Message(Role.USER, message),)), Halt()))
    assert len(statements) == 1, "the shop's words, once"
    assert "LIKE" not in statements[0]


def test_searches_wait_for_each_other_and_leave_other_readers_free(log: EventLog):
    lookup, together = Lookup(), threading.Barrier(2)
    met: list[bool] = []

    def search(_connection: Connection) -> None:
        try:
            together.wait(0.2)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)

    threads = [threading.Thread(target=lookup.query, args=(Shop(log), search)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [False] * 4
