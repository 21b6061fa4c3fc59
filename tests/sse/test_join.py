"""The join of replay and live, in every order of things that hypothesis can think of.

A world without time: a log, a feed with a tiny ring and streams do one step each when they're told to, a socket takes what it's
told to take, a client is cut where it's told to be. Whatever the order, every client gets every event of its topics once, in
order. Other steps also happen where a greenlet can be switched away from: while the log is read, and between two turns of the
pump; for a stream without an outlet, as in a server with threads, while the ring is asked, too.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

import petstore.sse.feed
import petstore.sse.pump
import petstore.sse.subscription
from petstore.sse import COMPLETE, Decoder, Event, Feed
from petstore.sse.broadcast import Broadcast
from petstore.sse.event import dump
from petstore.sse.observer import Silence
from petstore.sse.outlet import chunk
from petstore.sse.pump import Pump
from petstore.sse.ring import Ring
from petstore.sse.selection import Selection
from petstore.sse.subscription import Subscription
from tests.sse.client import take_chunks

TOPICS = "abcd"


class Tape:
    """The order of things: numbers that say what comes next. At its end every choice is the first one."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)
        self.at_its_end = False

    def number(self, limit: int) -> int:
        number = next(self._numbers, None)
        self.at_its_end = number is None
        return (number or 0) % limit

    def choose(self, choices: Sequence[Any]) -> Any:
        return choices[self.number(len(choices))]


class ScriptedLog:
    """What a feed needs of a log, in memory; `between` is called where others may come in between."""

    def __init__(self, between: Callable[[], None]) -> None:
        self.events: list[Event] = []
        self.finals: dict[str, int] = {}
        self._between = between

    def head(self) -> int:
        return self.events[-1].id if self.events else 100

    def trimmed(self) -> int:
        return 0

    def read(self, topics: Collection[str] | None, after: int, limit: int) -> list[Event]:
        self._between()
        found = [event for event in self.events if event.id > after and (topics is None or event.topic in topics)][:limit]
        self._between()
        return found


class ScriptedRing(Ring):
    """A tiny ring that others may come in between asking and answering of."""

    between: Callable[[], None]

    def after(self, topics: Collection[str], cursor: int, limit: int) -> list[Event] | None:
        self.between()
        found = super().after(topics, cursor, limit)
        self.between()
        return found


def even(event: Event) -> bool:
    """Say whether an event is wanted, for streams that don't want all."""
    return event.id % 2 == 0


class Client:
    """A stream's loop, its socket, and the client behind it, which reads what has arrived when it's told to."""

    def __init__(self, world: "World", topics: str, wanted: Any, through_outlet: bool, resumes: bool) -> None:
        self.world = world
        self.selection = Selection(tuple(topics), wanted=wanted)
        self.through_outlet = through_outlet
        self.cursor = 100 if resumes else world.feed.ring.head
        self.expected_after = self.cursor
        self.received: list[int] = []
        self.stepping = False
        self.connect()

    def connect(self) -> None:
        # Any that is free, such as that of somebody who has just left.
        free = {*range(6)} - {client.descriptor for client in self.world.clients if client is not self}
        self.descriptor: int = self.world.tape.choose(sorted(free))
        self.network = bytearray()
        self.decoder = Decoder()
        self.body = bytearray()
        self.running = {topic for topic in self.selection.topics if not 0 < self.world.log.finals.get(topic, 0) <= self.cursor}
        self.runnable = bool(self.running)
        self.subscription: Subscription = self.world.feed.subscribe(self.selection, self.cursor, self.wake)

    def wake(self) -> None:
        self.runnable = True

    def send(self, data: bytes) -> int:
        """What the bare socket does: takes all, some, or nothing."""
        taken = int(self.world.tape.choose([len(data), 0, self.world.tape.number(len(data)), len(data)]))
        self.network += data[:taken]
        return taken

    def step(self) -> None:
        """One turn of the loop in `Stream`: it waits in the end, or goes on next time."""
        subscription = self.subscription
        subscription.unpark()
        self.runnable, self.stepping = False, True
        if subscription.rest is not None:
            self.network += subscription.rest
            subscription.rest = None
        with self.world.interleaved(others_in_ring=not self.through_outlet):
            events = subscription.take()
        self.stepping = False
        if subscription is not self.subscription:
            return  # It was cut meanwhile.
        if events:
            self.network += chunk(b"".join(self.selection.frames(events)))
            self.running.difference_update(event.topic for event in events if event.ends)
            self.runnable = bool(self.running)
            if not self.running:
                self.world.feed.leave(subscription)
        else:
            subscription.park(self if self.through_outlet else None)  # type: ignore[arg-type]

    def receive(self, count: int) -> None:
        self.body += self.network[:count]
        del self.network[:count]
        for event in self.decoder.feed(b"".join(take_chunks(self.body))):
            self.received.append(int(event.last_event_id))
            self.cursor = self.received[-1]

    def cut(self) -> None:
        """Lose what is still on its way, and come back with the last id that was received."""
        self.world.feed.leave(self.subscription)
        self.connect()


class ToClients(Broadcast):
    """Sends to the clients of a world, by their numbers, of which there are few."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def send(self, descriptors: Sequence[int], data: bytes) -> dict[int, int]:
        clients = {client.descriptor: client for client in self.world.clients}
        taken = {descriptor: clients[descriptor].send(data) for descriptor in descriptors}
        return {descriptor: size for descriptor, size in taken.items() if size < len(data)}


class World:
    """Everything, and the steps that it can do."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.depth = 0
        self.collecting = False
        self.others_in_ring = True
        self.log = ScriptedLog(self.something_else)
        self.feed = Feed(self.log)  # type: ignore[arg-type]
        self.feed.pump = Pump(Silence(), ToClients(self))
        ring = ScriptedRing(100, max_events=1 + tape.number(4), max_bytes=1000)
        ring.between = lambda: self.something_else() if self.others_in_ring else None
        self.feed.ring = ring
        self.feed.start = lambda: None  # type: ignore[method-assign]
        self.clients: list[Client] = []

    @contextmanager
    def interleaved(self, others_in_ring: bool) -> Iterator[None]:
        before, self.others_in_ring = self.others_in_ring, others_in_ring
        yield
        self.others_in_ring = before

    def something_else(self) -> None:
        if self.depth < 2:
            self.depth += 1
            for _ in range(self.tape.choose([0, 0, 1, 2, 5])):
                self.do_something()
            self.depth -= 1

    def do_something(self) -> None:
        self.tape.choose([self.append, self.collect, self.step, self.step, self.receive, self.cut, self.arrive])()

    def append(self) -> None:
        for _ in range(1 + self.tape.number(4)):
            id, topic = self.log.head() + 1 + self.tape.number(3), self.tape.choose(TOPICS)
            ends = topic != "a" and self.tape.number(8) == 7
            if topic not in self.log.finals:
                self.log.events.append(Event(id, topic, COMPLETE if ends else "news", dump({"id": id})))
                if ends:
                    self.log.finals[topic] = id

    def collect(self) -> None:
        if not self.collecting:  # There is one feed.
            self.collecting = True
            self.feed._collect()
            self.collecting = False

    def step(self) -> None:
        runnable = [client for client in self.clients if client.runnable and not client.stepping]
        if runnable:
            self.tape.choose(runnable).step()

    def receive(self) -> None:
        if self.clients:
            self.tape.choose(self.clients).receive(self.tape.number(200))

    def cut(self) -> None:
        if self.clients:
            client = self.tape.choose(self.clients)
            client.cut()
            client.stepping = False

    def arrive(self) -> None:
        if len(self.clients) < 5:
            topics, wanted = self.tape.choose(["a", "b", "ab", "bcd"]), self.tape.choose([None, None, even])
            self.clients.append(Client(self, topics, wanted, self.tape.choose([True, False]), self.tape.choose([True, False])))

    def come_to_rest(self) -> None:
        """Let everything go on until nothing does. A stream that waits in vain is never stepped."""
        self.feed._collect()
        while any(client.runnable for client in self.clients):
            for client in self.clients:
                if client.runnable:
                    client.step()
        for client in self.clients:
            client.receive(len(client.network))


@settings(max_examples=1000)
@given(st.binary(min_size=50, max_size=400), st.integers(1, 3), st.integers(1, 3))
def test_nothing_is_lost_doubled_or_reordered_in_any_order_of_things(numbers, page, turn):
    world = World(tape := Tape(numbers))
    turns = SimpleNamespace(sleep=lambda _: world.something_else())
    with (
        patch.object(petstore.sse.subscription, "PAGE", page),
        patch.object(petstore.sse.feed, "COLLECT", 3),
        patch.object(petstore.sse.pump, "TURN", turn),
        patch.object(petstore.sse.subscription, "MAX_PAGE", 30),
        patch.object(petstore.sse.pump, "gevent", turns),
    ):
        world.arrive()
        while not tape.at_its_end:
            world.do_something()
        world.come_to_rest()
    for client in world.clients:
        of_topics = [event for event in world.log.events if event.topic in client.selection.topics]
        wanted = [event for event in of_topics if event.ends or not client.selection.wanted or client.selection.wanted(event)]
        assert client.received == [event.id for event in wanted if event.id > client.expected_after]
    for client in world.clients:
        world.feed.leave(client.subscription)
    assert (world.feed.pump._groups, world.feed.pump._topics) == ({}, {})
