"""The boundary between a run, which is kept, told and stopped, and what makes its content.

Must not know how an event is stored, nor who is there to see it.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from petstore.ai.run import Run
from petstore.sse import Event


@dataclass(frozen=True, slots=True)
class Made:
    """Something that is final: an event's type and data. `amount` is what it adds to the run's `made`."""

    type: str
    data: Mapping[str, Any]
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a generation: what `complete` tells besides what every run does."""

    data: Mapping[str, Any]


Batch = Sequence[Made | Result]


class Generation(Protocol):
    """One generation under way. `engine` is at work, in `phase`; `total` is how much it will make, or None if nobody knows.

    `tokens` is what it has cost by now, including what nobody is told: tools that were called, lines that were dropped.
    """

    engine: str
    phase: str
    total: int | None
    tokens: int

    def batches(self) -> Generator[Batch, None, None]:
        """Yield what was made, each batch as soon as it should be told; in the end one with a Result as its last item.

        An empty batch says that there is nothing new, at least every second while it waits, and at once after `poke`. Closing
        the generator ends all that was begun, even the call of a model. Raises EngineFailed, when it can't go on.
        """

    def poke(self) -> None:
        """Have it yield an empty batch soon, if it waits. Called from any thread or greenlet."""


Generate = Callable[[Run, Sequence[Event]], Generation]
"""Begins the generation of a run, or goes on after the events that were made before. Runs no query and waits for nothing."""
