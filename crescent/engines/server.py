"""Generation by any OpenAI-compatible server (vLLM, SGLang, llama.cpp, ...), one or several.

In: prompts. Out: completions, in order. Hundreds of requests are in flight; a server that is gone is asked again until
it is back, so that a restart loses nothing. Before the first request the servers are asked what they honour: one that
ignores sampling is refused, one that ignores `n` is asked for one sample at a time. It loads no model.
"""

import asyncio
import hashlib
import logging
import os
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI

from crescent.engines import Completion, Finished, FinishReason, Prompt, Sampling

log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between two attempts, doubling
_HOT = Sampling(temperature=2.0, max_new_tokens=32)
_FAULTS = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError, openai.ConflictError)


@dataclass(frozen=True, slots=True)
class Limits:
    """How the servers are used; none of it changes a result."""

    in_flight: int = 256
    samples_per_request: int = 16
    patience_seconds: float = 600.0
    timeout_seconds: float = 600.0


@dataclass(slots=True)
class _Endpoint:
    """One server, with the requests it is working on."""

    url: str
    client: AsyncOpenAI
    busy: int = 0
    rest_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    """Samples of one prompt, asked for together: draw number i of them belongs at `indices[i]`."""

    prompt: Prompt
    indices: tuple[int, ...]
    seed: int


@dataclass(slots=True)
class _Honours:
    """What the servers were found to do."""

    n: bool = True
    logprobs: bool = True
    told: set[str] = field(default_factory=set)


class ServerEngine:
    """See `crescent.engines.Engine`. Never deterministic: batches form on the server."""

    deterministic = False

    def __init__(self, urls: Sequence[str], model: str, identity: str, limits: Limits | None = None) -> None:
        self.identity, self._urls, self._model, self._limits = identity, tuple(urls), model, limits or Limits()
        self._honours: _Honours | None = None

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """One completion for each prompt, in order.

        Raises ValueError, with the mend, for a server that is not there for `patience_seconds`, does not have the
        model, refuses a request, or ignores sampling.
        """
        asked = [Prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        return asyncio.run(self._generate(asked, sampling, finished)) if asked else []

    def close(self) -> None:
        """Nothing is held."""

    async def _generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None
    ) -> list[Completion]:
        async with AsyncExitStack() as stack:
            key = os.environ.get("OPENAI_API_KEY", "none")
            seconds = self._limits.timeout_seconds
            clients = [AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=seconds) for url in self._urls]
            places = [
                _Endpoint(url, await stack.enter_async_context(client))
                for url, client in zip(self._urls, clients, strict=True)
            ]
            work = _Work(self._model, places, self._limits)
            if self._honours is None:
                for place in places:
                    await work.check_model(place)
                await work.find_out(prompts[0])
                self._honours = work.honours
            work.honours = self._honours
            return await work.all(prompts, sampling, finished)


class _Work:
    """One call of `generate`."""

    def __init__(self, model: str, places: Sequence[_Endpoint], limits: Limits) -> None:
        self._model, self._places, self._limits = model, places, limits
        self._room = asyncio.Semaphore(limits.in_flight)
        self.honours = _Honours()

    async def check_model(self, place: _Endpoint) -> None:
        """Raises ValueError if the server does not serve the model."""
        listed = await self._patiently(place, lambda one: one.client.models.list())
        names = [model.id for model in listed.data]
        if self._model not in names:
            raise ValueError(f"engine.model: {place.url} does not serve {self._model!r}; it has {', '.join(names)}")

    async def find_out(self, prompt: Prompt) -> None:
        """Whether n samples come for n asked, and differ. At temperature 2 equal samples mean that it was ignored."""
        asked = 4
        together = _Request(prompt, tuple(range(asked)), 1)
        for place in self._places:
            made = await self._samples(together, _HOT, place)
            if len(made) < asked or len({one.text for one in made}) == 1:
                self.honours.n = False
                alone = [_Request(prompt, (index,), 1 + index) for index in range(asked)]
                made = [one for request in alone for one in await self._samples(request, _HOT, place)]
            if len({one.text for one in made}) == 1 and made[0].text:
                raise ValueError(
                    f"{place.url} ignores temperature: {asked} samples at temperature 2 are all {made[0].text[:40]!r}. "
                    "Let it sample (transformers serve: do_sample in the model's generation_config.json)."
                )

    async def all(self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None) -> list[Completion]:
        """Every completion, in order."""
        completions: list[Completion | None] = [None] * len(prompts)

        async def run(request: _Request) -> None:
            async with self._room:
                made = await self._samples(request, sampling, None)
            for index, completion in zip(request.indices, made, strict=False):
                completions[index] = completion
                if finished is not None:
                    finished(index, completion)
            for missing in request.indices[len(made) :]:
                await run(_Request(request.prompt, (missing,), _seed(sampling.seed, prompts[missing])))

        try:
            async with asyncio.TaskGroup() as group:
                for request in self._requests(prompts, sampling):
                    group.create_task(run(request))
        except* Exception as errors:
            raise _first(errors) from None
        return [completion for completion in completions if completion is not None]

    def _requests(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[_Request]:
        """Draws of one text together where the server honours n; greedy draws are one."""
        size = self._limits.samples_per_request if self.honours.n and sampling.temperature > 0 else 1
        alike: dict[tuple[str, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            alike.setdefault((prompt.text, prompt.rendered), []).append(index)
        parts = [part[at : at + size] for part in alike.values() for at in range(0, len(part), size)]
        return [_Request(prompts[part[0]], tuple(part), _seed(sampling.seed, prompts[part[0]])) for part in parts]

    async def _samples(self, request: _Request, sampling: Sampling, place: _Endpoint | None) -> list[Completion]:
        """What one request brings: at most as many completions as it has indices."""
        options: dict[str, Any] = {
            "model": self._model, "n": len(request.indices), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "max_tokens": sampling.max_new_tokens, "seed": request.seed,
        }  # fmt: skip
        if sampling.stop:
            options["stop"] = list(sampling.stop)
        for _ in range(4):  # once as it is, then without what the server does not take
            try:
                answer = await self._patiently(place, lambda one: self._send(one, request.prompt, options))
                return self._completions(answer, request, sampling, "max_tokens" in options)
            except openai.BadRequestError as error:
                reason = str(error).lower()
                if "logprob" in reason and self.honours.logprobs:
                    self.honours.logprobs = False
                elif ("context" in reason or "max_tokens" in reason) and options.pop("max_tokens", None):
                    continue
                elif "context" in reason or "too long" in reason:
                    return [Completion("", "length", 0, 0, 0.0) for _ in request.indices]
                else:
                    raise ValueError(f"the server refuses a request: {_reason(error)}") from None
        raise AssertionError("each reason is met once")

    async def _send(self, place: _Endpoint, prompt: Prompt, options: dict[str, Any]) -> Any:
        if prompt.rendered:
            extra: dict[str, Any] = {"logprobs": 0} if self.honours.logprobs else {}
            return await place.client.completions.create(prompt=prompt.text, **options, **extra)
        extra = {"logprobs": True} if self.honours.logprobs else {}
        turn: Any = [{"role": "user", "content": prompt.text}]
        return await place.client.chat.completions.create(messages=turn, **options, **extra)

    async def _patiently(self, place: _Endpoint | None, ask: Any) -> Any:
        """Asks one server, or the least busy, again and again while it is not there."""
        begun, wait = time.monotonic(), FIRST_WAIT
        while True:
            chosen = place or min(self._places, key=lambda one: (one.rest_until > time.monotonic(), one.busy))
            chosen.busy += 1
            try:
                return await ask(chosen)
            except _FAULTS as error:
                chosen.rest_until = time.monotonic() + wait
                if time.monotonic() - begun > self._limits.patience_seconds:
                    raise ValueError(
                        f"{chosen.url} has not answered for {self._limits.patience_seconds:.0f} s ({_reason(error)}). "
                        "Start it again, or give another engine.urls; the same command then goes on."
                    ) from None
                self._tell(chosen.url, f"{chosen.url} is not answering ({_reason(error)}); asking again until it does")
            except (openai.NotFoundError, openai.AuthenticationError, openai.PermissionDeniedError) as error:
                raise ValueError(
                    f"{chosen.url} refuses: {_reason(error)}. Look at engine.urls, engine.model."
                ) from None
            finally:
                chosen.busy -= 1
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(LONGEST_WAIT, 2 * wait)

    def _completions(self, answer: Any, request: _Request, sampling: Sampling, limited: bool) -> list[Completion]:
        usage, made = answer.usage, []
        choices = sorted(answer.choices, key=lambda choice: choice.index)[: len(request.indices)]
        for choice in choices:
            text = (choice.text if request.prompt.rendered else choice.message.content) or ""
            logprobs = _logprobs(choice, request.prompt.rendered)
            tokens = len(logprobs) if logprobs else round((usage.completion_tokens if usage else 0) / len(choices))
            mean = round(sum(logprobs) / len(logprobs), 2) if logprobs else 0.0
            finish: FinishReason = "length" if choice.finish_reason == "length" else "stop"
            if finish == "length" and limited and 0 < tokens < sampling.max_new_tokens:
                self._tell("cut", (
                    f"a server cut a completion after {tokens} tokens although {sampling.max_new_tokens} were asked "
                    "for: it has a limit of its own; raise it there"
                ))  # fmt: skip
            for stop in sampling.stop:
                text = text.split(stop, 1)[0]
            made.append(Completion(text, finish, usage.prompt_tokens if usage else 0, tokens, mean + 0.0))
        return made

    def _tell(self, what: str, message: str) -> None:
        """A warning, once."""
        if what not in self.honours.told:
            self.honours.told.add(what)
            log.warning("%s", message)


def _logprobs(choice: Any, rendered: bool) -> list[float]:
    """Nats of each new token, as the server gives them; none where it gives none."""
    if choice.logprobs is None:
        return []
    if rendered:
        return [value for value in choice.logprobs.token_logprobs or [] if value is not None]
    return [token.logprob for token in choice.logprobs.content or []]


def _seed(seed: int, prompt: Prompt) -> int:
    """A number for the server's generator: another for each (seed, text, draw)."""
    text = f"{seed}:{prompt.draw}:{prompt.text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0][:200].rstrip(".")


def _first(errors: BaseExceptionGroup) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
