"""Generates with one or several OpenAI-compatible servers (vLLM, SGLang, llama.cpp, ...).

In: prompts. Out: completions, in order. Hundreds of requests are in flight; a server that is unreachable is retried
until it is back, so a restart loses nothing (`endpoints.py`). Each server is probed before its first request
(`capabilities.py`): one that ignores sampling is refused, one that ignores `n` gets requests for single samples.

Work begins soon after the first server passes its probes; others join as they pass. No model is loaded; if the model's
tokenizer is on this machine, it counts the tokens that a server does not report.
"""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from typing import Any

from openai import AsyncOpenAI

from crescent.core.errors import UserError
from crescent.core.progress import TOKENS
from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.dates import DATE_VARIABLE
from crescent.engines.encoding import seed_of
from crescent.engines.identity import is_date_read, turn_if_here
from crescent.engines.model_files import folder_if_here
from crescent.engines.server.capabilities import (
    SEED_BITS,
    Request,
    ServerCapabilities,
    check_honoured,
    check_model,
    check_repeats,
    find_out,
)
from crescent.engines.server.endpoints import Endpoint, Endpoints, Limits
from crescent.engines.server.requester import Requester
from crescent.engines.server.response_parser import Reader
from crescent.engines.weights import Weights, load_config, tokenizer_if_here

DATED = (
    "{url} puts the chat template on itself, and prints a date of its own, most often today's, where model.date_string "
    "is {date}: equal settings may give other results on another day. Serve the model with vLLM, SGLang or llama.cpp, "
    "for which prompts are rendered here, or with a chat template that has the date written out"
)
NO_TOKENIZER = (
    "eval.engine=server renders the prompts of benchmarks here, and tokenizer and config.json of {model} are not on "
    "this machine: download them (without its weights), or leave the model out of the scores with eval.models"
)


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
        self._honours = ServerCapabilities()

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, with which evaluation renders its prompts. Raises UserError if it is not here."""
        tokenizer = tokenizer_if_here(self._weights) if self._weights else None
        if tokenizer is None:
            raise UserError(NO_TOKENIZER.format(model=self._weights.name if self._weights else self._model))
        return tokenizer

    @property
    def config(self) -> Any:
        """The model's configuration. Raises UserError if it is not on this machine."""
        folder = folder_if_here(self._weights) if self._weights else None
        if self._weights is None or folder is None:
            raise UserError(NO_TOKENIZER.format(model=self._weights.name if self._weights else self._model))
        return load_config(self._weights.in_folder(folder))

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """Returns one completion per prompt, in order.

        Raises UserError if a server is unreachable for `patience_seconds`, does not have the model, refuses a request,
        truncates prompts, or ignores sampling.
        """
        asked = [Prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        return asyncio.run(self._generate(asked, sampling, finished)) if asked else []

    def close(self) -> None:
        """No-op: nothing is held."""

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
                    self._reader.prints_date = is_date_read(self._weights, folder_if_here(self._weights))
            work = _Work(self._model, self._limits, self._honours, self._reader, self._weights)
            return await work.all(places, prompts, sampling, finished)


class _Work:
    """One call of `generate`."""

    def __init__(
        self,
        model: str,
        limits: Limits,
        honours: ServerCapabilities,
        reader: Reader,
        weights: Weights | None,
    ) -> None:
        self._model, self._limits, self._honours, self._reader = model, limits, honours, reader
        self._endpoints, self._weights = Endpoints(limits, honours.told), weights
        arguments = weights.chat_template_kwargs if weights else None
        self._requester = Requester(model, self._endpoints, honours, reader, arguments)

    async def all(
        self, places: Sequence[Endpoint], prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None
    ) -> list[Completion]:
        """Returns all completions, in order. `in_flight` tasks work through the prompts, however many there are."""
        completions: list[Completion | None] = [None] * len(prompts)
        waiting: deque[Request] = deque()

        async def work() -> None:
            while waiting:
                request = waiting.popleft()
                made = await self._requester.samples(request, sampling, None)
                for index, completion in zip(request.indices, made, strict=False):
                    completions[index] = completion
                    TOKENS.add(completion.new_tokens)
                    if finished is not None:
                        finished(index, completion)
                for missing in request.indices[len(made) :]:
                    waiting.append(self._request(prompts, (missing,), sampling))

        try:
            async with asyncio.TaskGroup() as group:
                joining = [group.create_task(self._join(place, prompts, sampling)) for place in places]
                begun = time.monotonic()
                await asyncio.wait(joining, return_when=asyncio.FIRST_COMPLETED)
                # Wait as long again for the others: else the first gets `in_flight` requests before they are there.
                await asyncio.wait(joining, timeout=time.monotonic() - begun)
                waiting.extend(self._requests(prompts, sampling))
                count = min(self._limits.in_flight, len(prompts))
                await asyncio.wait([group.create_task(work()) for _ in range(count)])
                for task in joining:  # servers that have not joined by now are not needed any more
                    task.cancel()
        except* Exception as errors:
            raise _first(errors) from None
        return [completion for completion in completions if completion is not None]

    async def _join(self, place: Endpoint, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        """Probes a server, then lets it share the work."""
        honours, url = self._honours, place.url
        if url in honours.plain:
            place.plain = honours.plain[url]
        else:
            await check_model(self._endpoints, place, self._model, honours)
            self._tell_of_dates(url)
            await find_out(self._requester.samples, place, prompts, honours)
            honours.plain[url] = place.plain
        self._reader.context = honours.context
        await check_honoured(self._requester.samples, place, honours, sampling)
        if self._asks_again(prompts, sampling) and url not in honours.fresh:
            await check_repeats(self._requester.samples, place, honours)
        self._endpoints.places.append(place)

    def _tell_of_dates(self, url: str) -> None:
        """Warns of a server that puts dates of its own into prompts."""
        weights = self._weights
        if weights is None or not self._reader.prints_date or self._honours.terms_of(url).takes_ids:
            return
        if DATE_VARIABLE not in (weights.chat_template_kwargs or {}):
            self._endpoints.tell(f"date {url}", DATED.format(url=url, date=weights.date_string))

    def _asks_again(self, prompts: Sequence[Prompt], sampling: Sampling) -> bool:
        """True if draws of one text are spread over several requests, including those of earlier calls."""
        count, first = Counter[str](), dict[str, int]()
        for prompt in prompts:
            count[prompt.text] += 1
            first[prompt.text] = min(prompt.draw, first.get(prompt.text, prompt.draw))
        spread = max(count.values()) > self._limits.samples_per_request or any(first.values())
        return spread and sampling.temperature > 0

    def _requests(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Request]:
        """Groups draws of one text if all servers honour n; greedy draws are single requests."""
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


def _unlisted_end(weights: Weights, tokenizer: Any) -> tuple[int, str] | None:
    """The end of turn (id, text) that a server must be told about because the model does not list it."""
    end = turn_if_here(weights).unlisted
    return None if end is None else (end, str(tokenizer.convert_ids_to_tokens(end)))


def _first(errors: BaseExceptionGroup) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
