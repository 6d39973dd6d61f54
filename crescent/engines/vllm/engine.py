"""Generates with a vLLM engine managed by this process: its scheduler, paged KV cache and prefix caching.

In: prompts. Out: completions, in order. vLLM runs the model in a process of its own, so closing it frees all memory.
This side tokenises, requests all draws of a prompt together, and hands out each completion as soon as it is finished.
An adapter is applied while decoding (LoRA), not merged. It does not train or score.

Every draw has its own seed: with one seed for the whole engine, a run that resumes in a new process would draw the same
"new" samples again. Batches form as requests arrive and change the last bits of logits, so text is not reproducible.
"""

import gc
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from crescent.core.errors import UserError
from crescent.core.progress import TOKENS
from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.encoding import encode, seed_of
from crescent.engines.guard import Guard
from crescent.engines.stops import Texts, spells_special
from crescent.engines.thoughts import open_thought_of, why_thinking
from crescent.engines.turns import closing_tokens, without_end
from crescent.engines.vllm.process import Capacity, model_context, start
from crescent.engines.weights import Weights, load_config, load_tokenizer

SEED_BITS = 62  # leaves room to count draws up from a seed within 64 bits
QUEUED = 4  # samples queued in vLLM, as a multiple of those decoded together


@dataclass(frozen=True, slots=True)
class _Request:
    """Consecutive draws of one prompt: sample i belongs to the prompts at `places[i]` (greedy draws share one
    sample)."""

    prompt: Prompt
    ids: list[int]
    limit: int
    places: tuple[tuple[int, ...], ...]


class VllmEngine:
    """See `crescent.engines.Engine`. Not deterministic: the batch of a sample depends on what else is decoded."""

    deterministic = False

    def __init__(self, weights: Weights, identity: str, capacity: Capacity) -> None:
        self.identity, self._capacity, self._name = identity, capacity, weights.name
        self.tokenizer, self.config = load_tokenizer(weights), load_config(weights)
        self._ends = closing_tokens(self.tokenizer)
        self._thinks = weights.thinking_tokens > 0 or why_thinking(self.tokenizer) is not None
        self.context = model_context(weights)
        self._asked = 0
        self._guard = Guard()
        try:
            self._llm, self._adapter = start(weights, capacity, self._guard)
        except BaseException:
            self._guard.finish()
            raise
        self._most = int(self._llm.model_config.max_model_len)

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """Returns one completion per prompt, in order.

        A prompt that fills the model's context gets an empty completion with finish_reason "length". Raises UserError
        if `engine.max_model_len` is too short for a prompt and its answer although the model is not, and if vLLM's
        process dies.
        """
        from vllm.v1.engine.exceptions import EngineDeadError  # pyright: ignore

        asked = [Prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        completions: list[Completion | None] = [None] * len(asked)

        def hand_out(places: Sequence[int], made: Completion) -> None:
            for place in places:
                completions[place] = made
                if finished is not None:
                    finished(place, made)

        requests = []
        for request in self._requests(asked, sampling):
            if request.limit > 0:
                requests.append(request)
                continue
            for places in request.places:
                hand_out(places, Completion("", "length", len(request.ids), 0, 0.0))
        try:
            with closing(self._run(requests, sampling)) as samples:
                for places, made in samples:
                    TOKENS.add(made.new_tokens)
                    hand_out(places, made)
        except EngineDeadError:
            raise UserError(
                "vLLM's process died (its own messages are above; usually an out-of-memory error). Finished work is "
                "kept. Lower engine.max_batch or engine.gpu_memory_utilization; the same command then resumes."
            ) from None
        return [completion for completion in completions if completion is not None]

    def close(self) -> None:
        """Ends vLLM's process, which frees all its memory."""
        self._llm.engine_core.shutdown()
        self._guard.finish()
        del self._llm
        gc.collect()

    def _requests(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[_Request]:
        """Groups draws of one text, consecutive draws in one request; prompts in the order of their first
        occurrence."""
        alike: dict[tuple[str, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            alike.setdefault((prompt.text, prompt.rendered), []).append(index)
        requests = []
        for indices in alike.values():
            first = prompts[indices[0]]
            ids = encode(first, self.tokenizer)
            limit = min(sampling.max_new_tokens, self.context - len(ids))
            if len(ids) + limit > self._most and limit > 0:
                raise UserError(self._too_long(len(ids), limit))
            if sampling.temperature == 0:
                requests.append(_Request(first, ids, limit, (tuple(indices),)))
                continue
            for run in _consecutive(sorted(indices, key=lambda index: prompts[index].draw), prompts):
                requests.append(_Request(prompts[run[0][0]], ids, limit, tuple(run)))
        return requests

    def _too_long(self, prompt: int, new: int) -> str:
        needed = f"a prompt of {prompt} tokens and {new} new ones need {prompt + new}, which {self._name} has room for"
        if self._capacity.max_model_len is not None:
            return f"engine.max_model_len is {self._most}: {needed}. Raise it, or set it to null."
        return (
            f"vLLM's cache has room for {self._most} tokens: {needed}. Raise engine.gpu_memory_utilization (GPU) or "
            "engine.kv_cache_gib, use more GPUs (engine.tensor_parallel_size), or lower max_new_tokens."
        )

    def _run(
        self, requests: Sequence[_Request], sampling: Sampling
    ) -> Generator[tuple[tuple[int, ...], Completion], None, None]:
        """Yields each sample as it is finished. Keeps vLLM's queue full, but no longer than that."""
        waiting, open_requests, samples = iter(requests), dict[str, _Request](), 0
        texts = Texts(self.tokenizer, sampling)
        exhausted = False
        try:
            while open_requests or not exhausted:
                while not exhausted and samples < QUEUED * self._capacity.max_batch:
                    request = next(waiting, None)
                    if request is None:
                        exhausted = True
                        break
                    name = self._add(request, sampling)
                    open_requests[name], samples = request, samples + len(request.places)
                for answer in self._llm.step() if open_requests else ():
                    request = open_requests[answer.request_id]
                    for output in answer.outputs:
                        if output.finish_reason is not None:
                            samples -= 1
                            yield request.places[output.index], self._completion(output, request, texts)
                    if answer.finished:
                        del open_requests[answer.request_id]
        finally:
            if open_requests:  # interrupted: leave the engine idle, ready for the next call
                with suppress(Exception):  # its process may be gone; report the original interruption
                    self._llm.abort_request(list(open_requests))

    def _add(self, request: _Request, sampling: Sampling) -> str:
        from vllm import SamplingParams  # pyright: ignore

        self._asked += 1
        name = str(self._asked)
        stops = [] if self._thinks else [stop for stop in sampling.stop if stop]  # they would end the thought
        parameters = SamplingParams(
            n=len(request.places), temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=request.limit,
            top_k=sampling.top_k or -1, min_p=sampling.min_p, repetition_penalty=sampling.repetition_penalty,
            stop=stops, detokenize=bool(stops), logprobs=0,
            seed=None if sampling.temperature == 0 else seed_of(sampling.seed, request.prompt, SEED_BITS),
            stop_token_ids=sorted(self._ends),  # besides those that the model lists
            # of the text that stop strings are matched in
            skip_special_tokens=not spells_special(sampling.stop, self.tokenizer),
        )  # fmt: skip
        self._llm.add_request(name, {"prompt_token_ids": request.ids}, parameters, lora_request=self._adapter)
        return name

    def _completion(self, output: Any, request: _Request, texts: Texts) -> Completion:
        tokens, opened = list(output.token_ids), open_thought_of(request.ids, self.tokenizer)
        text = texts.text(without_end(tokens, self._ends), opened)
        mean = round((output.cumulative_logprob or 0.0) / max(1, len(tokens)), 2) + 0.0
        return Completion(text, str(output.finish_reason), len(request.ids), len(tokens), mean)


def _consecutive(indices: Sequence[int], prompts: Sequence[Prompt]) -> Iterator[list[tuple[int, ...]]]:
    """Groups consecutive draws n, n + 1, ...; prompts that ask for the same draw share a sample."""
    run: list[tuple[int, ...]] = []
    last = None
    for index in indices:
        draw = prompts[index].draw
        if run and draw == last:
            run[-1] = (*run[-1], index)
        elif run and last is not None and draw == last + 1:
            run.append((index,))
        else:
            if run:
                yield run
            run = [(index,)]
        last = draw
    if run:
        yield run
