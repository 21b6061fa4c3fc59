"""How an answer looks on the wire: OpenAI's completion and its chunks, and the Modern PetstoreAPI's casing of them.

Must not know how an answer is made, nor a request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from petstore.ai import DELTA
from petstore.sse import COMPLETE, DEFAULT_TYPE, ERROR, Event, dump, encode, encode_comment

DONE = encode(DEFAULT_TYPE, "[DONE]")

_REFUSALS = {"draining": "this server is about to end; ask again, and another one answers"}


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion, and the dialect of its stream (see `petstore.sse.Dialect`).

    `pet_url` is where a pet is shown, with PET_ID for its id. The stream has neither ids nor `retry:`, on which OpenAI's clients
    fail. An answer that comes to nothing ends with an `error` and without `[DONE]`, so nobody takes half of one for the whole.
    """

    id: str
    created: int
    model: str
    pet_url: str
    upstream: bool = False
    include_usage: bool = False

    def begin(self) -> bytes:
        return encode_comment("open") + self._chunk({"role": "assistant", "content": ""})

    def frame(self, event: Event) -> bytes:
        if event.type == DELTA:
            return self._chunk({"content": event.value()["content"]})
        if event.type == ERROR:
            return self._error("the answer came to nothing; ask again", "run_failed")
        return self._end(event.value()) if event.type == COMPLETE else b""

    def control(self, type: str, data: Mapping[str, Any]) -> bytes:
        reason = str(data.get("reason", type))
        return self._error(_REFUSALS.get(reason, "the stream can't go on"), reason)

    def render(self, text: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole completion; `data` is that of the run's end."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if not self.upstream:
            message |= {"refusal": None, "annotations": self._annotations(data["sources"], text)}
        choice = {"index": 0, "message": message, **self._finish(data["finishReason"])}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage(data["usage"])}

    def _end(self, data: Mapping[str, Any]) -> bytes:
        if "finishReason" not in data:
            return self._error(f"the run was stopped: {data['reason']}", "run_stopped")
        frames = [self._chunk({"annotations": self._annotations(data["sources"])})] if data["sources"] else []
        frames.append(self._chunk({}, data["finishReason"]))
        if self.include_usage:
            usage = {"choices": [], "usage": self._usage(data["usage"])}
            frames.append(encode(DEFAULT_TYPE, dump({**self._head("chat.completion.chunk"), **usage})))
        return b"".join([*frames, DONE])

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        # Upstream's own documents have both names and both casings in streams, so its clients get both.
        finish = {"finish_reason": None if finish_reason is None else finish_reason.lower()}
        if self.upstream and finish_reason is not None:
            finish |= {"finishReason": finish_reason}
        choice = {"index": 0, "delta": delta, **finish}
        usage = {"usage": None} if self.include_usage else {}
        return encode(DEFAULT_TYPE, dump({**self._head("chat.completion.chunk"), "choices": [choice], **usage}))

    def _error(self, message: str, code: str) -> bytes:
        return encode(DEFAULT_TYPE, dump({"error": {"message": message, "type": "server_error", "param": None, "code": code}}))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _finish(self, reason: str) -> dict[str, Any]:
        return {"finishReason": reason} if self.upstream else {"finish_reason": reason.lower(), "logprobs": None}

    def _usage(self, usage: Mapping[str, int]) -> Mapping[str, int]:
        if self.upstream:
            return usage
        names = {"promptTokens": "prompt_tokens", "completionTokens": "completion_tokens", "totalTokens": "total_tokens"}
        return {names[name]: count for name, count in usage.items()}

    def _annotations(self, sources: Sequence[Mapping[str, str]], text: str | None = None) -> list[dict[str, Any]]:
        annotations = []
        for source in sources:
            # Of a stream the text is gone by now; some clients don't take a citation without a place in it.
            start = -1 if text is None else text.find(source["name"])
            place = {"start_index": max(0, start), "end_index": 0 if start < 0 else start + len(source["name"])}
            citation = {"title": source["name"], "url": self.pet_url.replace("PET_ID", source["petId"]), **place}
            annotations.append({"type": "url_citation", "url_citation": citation})
        return annotations
