"""Generation by any OpenAI-compatible server (vLLM, SGLang, llama.cpp, ...), one or several.

In: prompts. Out: completions, in order. Hundreds of requests are in flight; a server that is gone is asked again until
it is back, so that a restart loses nothing (`endpoints.py`). Before its first request each server is asked what it
honours (`capabilities.py`): one that ignores sampling is refused, one that ignores `n` is asked for one sample at a
time.
The work begins soon after the first server is found fit, and the others join as they are. It loads no model; where the
model's tokenizer is on this machine, it counts what a server does not.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import openai
from openai import AsyncOpenAI, BaseModel

from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.encoding import seed_of
from crescent.engines.server.capabilities import SEED_BITS, Honours, Request, check_model, check_top_p, find_out
from crescent.engines.server.endpoints import Endpoint, Endpoints, Limits, Unusable, reason
from crescent.engines.server.response_parser import Reader
from crescent.engines.weights import Weights, tokenizer_if_here, turn_if_here


class ServerEngine:
    """See `crescent.engines.Engine`. Never deterministic: batches form on the server."""

    deterministic = False

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        identity: str,
        limits: Limits | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.identity, self._urls, self._model, self._limits = identity, tuple(urls), model, limits or Limits()
        self._weights = weights
        self._reader: Reader | None = None
        self._honours = Honours()

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """One completion for each prompt, in order.

        Raises ValueError, with the mend, for a server that is not there for `patience_seconds`, does not have the
        model, refuses a request, cuts prompts, or ignores sampling.
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
                Endpoint(url, await stack.enter_async_context(client))
                for url, client in zip(self._urls, clients, strict=True)
            ]
            if self._reader is None:
                tokenizer = tokenizer_if_here(self._weights) if self._weights else None
                self._reader = Reader(tokenizer, self._weights is not None and self._weights.thinking_tokens > 0)
                if self._weights and tokenizer:
                    self._honours.end = _unlisted_end(self._weights, tokenizer)
            arguments = self._weights.chat_template_kwargs if self._weights else None
            work = _Work(self._model, self._limits, self._honours, self._reader, arguments)
            return await work.all(places, prompts, sampling, finished)


class _Work:
    """One call of `generate`."""

    def __init__(
        self, model: str, limits: Limits, honours: Honours, reader: Reader, arguments: Mapping[str, Any] | None
    ) -> None:
        self._model, self._limits, self._honours, self._reader = model, limits, honours, reader
        self._template = {"chat_template_kwargs": dict(arguments)} if arguments else {}
        self._endpoints = Endpoints(limits, honours.told)

    async def all(
        self, places: Sequence[Endpoint], prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None
    ) -> list[Completion]:
        """Every completion, in order. However many prompts there are, `in_flight` tasks work through them."""
        completions: list[Completion | None] = [None] * len(prompts)
        waiting: deque[Request] = deque()

        async def work() -> None:
            while waiting:
                request = waiting.popleft()
                made = await self.samples(request, sampling, None)
                for index, completion in zip(request.indices, made, strict=False):
                    completions[index] = completion
                    if finished is not None:
                        finished(index, completion)
                for missing in request.indices[len(made) :]:
                    waiting.append(self._request(prompts, (missing,), sampling))

        try:
            async with asyncio.TaskGroup() as group:
                joining = [group.create_task(self._join(place, prompts, sampling)) for place in places]
                begun = time.monotonic()
                await asyncio.wait(joining, return_when=asyncio.FIRST_COMPLETED)
                # As long again for the others: else the first is given `in_flight` requests before they are there.
                await asyncio.wait(joining, timeout=time.monotonic() - begun)
                waiting.extend(self._requests(prompts, sampling))
                count = min(self._limits.in_flight, len(prompts))
                await asyncio.wait([group.create_task(work()) for _ in range(count)])
                for task in joining:  # what is not there by now is not needed any more
                    task.cancel()
        except* Exception as errors:
            raise _first(errors) from None
        return [completion for completion in completions if completion is not None]

    async def _join(self, place: Endpoint, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        """Has a server share the work from now on, once it is known what it honours."""
        honours, url = self._honours, place.url
        if url in honours.plain:
            place.plain = honours.plain[url]
        else:
            await check_model(self._endpoints, place, self._model, honours)
            await find_out(self.samples, place, prompts, honours)
            honours.plain[url] = place.plain
        self._reader.context = honours.context
        if sampling.top_p < 1 and url not in honours.narrow:
            await check_top_p(self.samples, place, prompts, honours)
        self._endpoints.places.append(place)

    def _requests(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Request]:
        """Draws of one text together where the server honours n; greedy draws are one each."""
        together = sampling.temperature > 0 and not self._honours.single
        size = self._limits.samples_per_request if together else 1
        alike: dict[tuple[str, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            alike.setdefault((prompt.text, prompt.rendered), []).append(index)
        parts = [part[at : at + size] for part in alike.values() for at in range(0, len(part), size)]
        return [self._request(prompts, tuple(part), sampling) for part in parts]

    def _request(self, prompts: Sequence[Prompt], indices: tuple[int, ...], sampling: Sampling) -> Request:
        first = prompts[indices[0]]
        return Request(first, indices, seed_of(sampling.seed, first, SEED_BITS))

    async def samples(self, request: Request, sampling: Sampling, place: Endpoint | None) -> list[Completion]:
        """What one request brings: at most as many completions as it has indices."""
        options: dict[str, Any] = {
            "model": self._model, "n": len(request.indices), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "max_tokens": sampling.max_new_tokens, "seed": request.seed,
        }  # fmt: skip
        if any(sampling.stop) and not self._reader.thinks:  # else they would end the thought
            options["stop"] = [stop for stop in sampling.stop if stop]
        for _ in range(4):  # once as it is, then without what the server does not take
            logprobs = self._honours.logprobs
            send = partial(self._send, prompt=request.prompt, options=options, logprobs=logprobs)
            try:
                answer = await self._endpoints.ask(send, place)
                limited, end = "max_tokens" in options, self._honours.end
                cut = sampling if end is None else replace(sampling, stop=(*sampling.stop, end[1]))
                return self._reader.read(answer, request, cut, limited, self._endpoints.tell)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                text = str(error).lower()
                if "logprob" in text and logprobs:  # of hundreds that were sent together, each is told so
                    self._honours.logprobs = False
                elif ("context" in text or "max_tokens" in text) and options.pop("max_tokens", None):
                    continue
                elif "context" in text or "too long" in text:
                    tokens = self._reader.prompt_tokens(request.prompt) or 0
                    return [Completion("", "length", tokens, 0, 0.0) for _ in request.indices]
                else:
                    raise ValueError(f"the server refuses a request: {reason(error)}") from None
        raise AssertionError("each reason is met once")

    async def _send(self, place: Endpoint, prompt: Prompt, options: dict[str, Any], logprobs: bool) -> Any:
        """The answer of one server, in the form that the client promises. Raises Unusable for another form."""
        options = {**options, "extra_body": place.plain}
        if self._honours.end is not None and "stop_token_ids" not in place.plain:
            options["stop"] = [*options.get("stop", ()), self._honours.end[1]]
        if place.url in self._honours.single:
            options["n"] = 1
        if prompt.rendered:
            extra: dict[str, Any] = {"logprobs": 0} if logprobs else {}
            # As ids where they can be made: a server puts a second begin-of-sequence token before rendered text.
            text: Any = self._reader.ids(prompt) or prompt.text
            answer: Any = await place.client.completions.create(prompt=text, **options, **extra)
        else:
            extra = {"logprobs": True} if logprobs else {}
            turn: Any = [{"role": "user", "content": prompt.text}]
            options["extra_body"] = {**place.plain, **self._template}
            answer = await place.client.chat.completions.create(messages=turn, **options, **extra)
        if not isinstance(answer, BaseModel):  # the client hands on what is no JSON, such as a proxy's page
            raise Unusable(f"no JSON: {str(answer).strip()[:60]!r}")
        choices = getattr(answer, "choices", None)
        if not choices or not (prompt.rendered or all(choice.message for choice in choices)):
            raise Unusable(f"an answer without choices: {answer.model_dump_json(exclude_none=True)[:60]}")
        return answer


def _unlisted_end(weights: Weights, tokenizer: Any) -> tuple[int, str] | None:
    """The end of turn that a server is to be told of, as id and as text: one that the model does not list."""
    end = turn_if_here(weights).unlisted
    return None if end is None else (end, str(tokenizer.convert_ids_to_tokens(end)))


def _first(errors: BaseExceptionGroup) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
