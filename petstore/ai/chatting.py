"""The generation of a chat's answer, by a language model where there is one, and by the embedded advisor where not.

A model that fails before it has said anything is replaced by the advisor. One that fails in the middle isn't: the advisor
would go on with another answer. Must not know runs.
"""

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from petstore.ai.engine import EMBEDDED, MODEL, Ending, Engine, Halt, Message, Question, Role, count_tokens
from petstore.ai.error import EngineFailed
from petstore.ai.generation import Batch, Generation, Made, Result
from petstore.ai.reading import ReadingGeneration
from petstore.ai.run import Run
from petstore.shop import Shop
from petstore.sse import Event, EventLog

DELTA = "delta"
"""The type of the events that carry a piece of the answer."""

logger = logging.getLogger(__name__)


class Chatting:
    """Begins generations of answers (see `generation.Generate`). `silence_s` is how long a model may say nothing."""

    def __init__(self, log: EventLog, advisor: Engine, model: Engine | None = None, silence_s: float = 0.0) -> None:
        self._log = log
        self._advisor = advisor
        self._model = model
        self._silence_s = silence_s

    def __call__(self, run: Run, done: Sequence[Event]) -> Generation:
        model = self._model if run.engine == MODEL else None
        return _Answer(run, Shop(self._log, run.tenant), self._advisor, model, self._silence_s)


class _Answer(ReadingGeneration):
    """See `generation.Generation` for the contract."""

    def __init__(self, run: Run, shop: Shop, advisor: Engine, model: Engine | None, silence_s: float) -> None:
        super().__init__()
        self.engine = EMBEDDED if model is None else MODEL
        self.phase = "thinking"
        self.total: int | None = None
        self._question = question_from(run.request)
        self._spoken = False
        self._shop = shop
        self._advisor = advisor
        self._model = model
        self._silence_s = silence_s

    def batches(self) -> Generator[Batch, None, None]:
        if self._model is not None:
            try:
                yield from self._by_model(self._model)
                return
            except EngineFailed as error:
                if self._spoken:
                    raise
                logger.warning("the advisor answers instead of the model: %s", error)
                yield []  # While it's known whose tokens those are that led to nothing.
                self.engine = EMBEDDED
                yield []  # From now on another worker could go on with it, should the advisor's turn be long in coming.
        yield self._by_advisor()

    def _by_model(self, model: Engine) -> Generator[Batch, None, None]:
        with closing(self._read(lambda halt: model.answer(self._shop, self._question, halt), self._silence_s)) as batches:
            for items in batches:
                text = "".join(item for item in items if isinstance(item, str))
                made: list[Made | Result] = [self._made(text)] if text else []
                made += [_result(item) for item in items if isinstance(item, Ending)]
                yield made

    def _by_advisor(self) -> Batch:
        """Return the whole answer, which takes no time: so it's told in one transaction, and nobody ever has to go on with it."""
        made: list[Made | Result] = []
        for item in self._advisor.answer(self._shop, self._question, Halt()):
            if isinstance(item, Ending):
                made.append(_result(item))
            else:
                piece = self._made(item)
                self.tokens += piece.amount
                made.append(piece)
        return made

    def _made(self, text: str) -> Made:
        self.phase = "answering"
        self._spoken = True
        return Made(DELTA, {"content": text}, count_tokens(text))


def question_from(request: Mapping[str, Any]) -> Question:
    """Return what a run of chat was asked."""
    messages = tuple(Message(Role(message["role"]), message["content"]) for message in request["messages"])
    return Question(messages, request["maxTokens"], request["temperature"])


def request_for(question: Question, model: str) -> dict[str, Any]:
    """Return what a run keeps: the question, and the name by which the client called us."""
    return {
        "messages": [{"role": message.role.value, "content": message.content} for message in question.messages],
        "maxTokens": question.max_tokens,
        "temperature": question.temperature,
        "model": model,
    }


def _result(ending: Ending) -> Result:
    usage = ending.usage
    return Result(
        {
            "finishReason": ending.finish_reason.upper(),
            "usage": {
                "promptTokens": usage.prompt_tokens,
                "completionTokens": usage.completion_tokens,
                "totalTokens": usage.prompt_tokens + usage.completion_tokens,
            },
            "sources": [{"petId": source.pet_id, "name": source.name} for source in ending.sources],
        }
    )
