"""Decodes with the library's continuous batching: paged memory, no padding, a new row as soon as one has ended.

In: rows with their prompts. Out: the same rows, completed. Sampling uses the library's generator, seeded by the rows:
the same call gives other text if its batches form differently. `mean_logprob` is that of the distribution sampled from,
so at temperatures other than 1 it is not the model's own.
"""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from typing import Any

from transformers import GenerationConfig, PreTrainedModel

from crescent.core.errors import OutOfMemory, RunError
from crescent.core.progress import TOKENS
from crescent.engines import Sampling
from crescent.engines.attention import is_soft_capped
from crescent.engines.memory import cache_bytes_per_token, free_bytes, halve_batch, is_out_of_memory
from crescent.engines.transformers.cache import can_grow
from crescent.engines.transformers.rows import Row, Work, torch_seed

PAGE_TOKENS = {"cpu": 32, "cuda": 256}  # read by flash attention at once; small where more gains nothing
CACHE_SHARE = {"cpu": 0.25, "cuda": 0.8}  # of free memory; the library's default on a CPU took 7.5 GB
PASS_TOKENS = {"cpu": 1024, "cuda": 8192}  # tokens of prompts and answers in one pass
HINT = "Use a smaller model, dtype bfloat16, or fewer max_new_tokens."
STREAMED = 64  # rows that show whether completions end at stop strings
FEW = 1 / 50  # share of such rows up to which tokens are not streamed: these rows are decoded to their end, then cut
POLL = 1.0  # seconds after which a dead decoder is noticed


class ContinuousBatchingError(RuntimeError):
    """The library's continuous batching failed for any reason: a missing import, changed arguments, its thread."""


def why_not(model: PreTrainedModel) -> str | None:
    """Why the library cannot batch this model continuously, or None."""
    if not hasattr(model, "generate_batch") or not can_grow(model.config):
        return f"{type(model).__name__} keeps more than keys and values"
    if model.device.type not in PAGE_TOKENS:
        return f"it does not run on {model.device.type}"
    if is_soft_capped(model.config):
        return "its attention is soft-capped, and the library's paged attention ignores that"
    return None


def why_not_drawn(sampling: Sampling) -> str | None:
    """Why the library cannot draw so in continuous batches, or None. It leaves the penalty out with a warning."""
    if sampling.repetition_penalty == 1:
        return None
    return f"the library's continuous batching leaves out repetition_penalty, which is {sampling.repetition_penalty}"


def has_flash_attention() -> bool:
    """True if a kernel is available that makes continuous batching worthwhile on a GPU."""
    try:
        from transformers.utils.import_utils import is_flash_attn_2_available, is_flash_attn_3_available

        return any(found(kernels_fallback_ok=True) for found in (is_flash_attn_3_available, is_flash_attn_2_available))
    except (ImportError, TypeError):  # transformers 5.13 does not support kernels from the hub
        return False


class ContinuousDecoder:
    """Decodes rows with a model; `ends` are the tokens that end a turn, `max_rows` are decoded together."""

    def __init__(self, model: PreTrainedModel, pad_id: int, ends: Sequence[int], max_rows: int) -> None:
        self._model, self._pad_id, self._ends, self._max_rows = model, pad_id, list(ends), max_rows
        self._seen: dict[tuple[str, ...], tuple[int, int]] = {}  # by stop strings: rows, and those that ended at one

    def run(self, rows: Sequence[Row], work: Work) -> None:
        """Completes all rows. Raises ContinuousBatchingError if the library fails, OutOfMemory if a single row does not
        fit; rows handed out before stay valid."""
        while left := [row for row in rows if row.finish is None]:
            fits = True
            try:
                self._decode(left, work)
            except ContinuousBatchingError as error:
                if not is_out_of_memory(error):
                    raise
                fits = False
            if not fits:
                self._max_rows = halve_batch(min(self._max_rows, len(left)), "rows", HINT, self._model.device)
            for row in left:
                if row.finish is None:
                    row.begin_again()

    def _decode(self, rows: Sequence[Row], work: Work) -> None:
        waiting = {str(number): row for number, row in enumerate(rows)}
        with closing(self._results(waiting, work)) as results:
            for made in results:
                if made.request_id in waiting and self._take(waiting[made.request_id], made, work):
                    del waiting[made.request_id]

    def _results(self, waiting: Mapping[str, Row], work: Work) -> Generator[Any, None, None]:
        """Yields the library's results until no row is `waiting`. Only errors of the library become
        ContinuousBatchingError: errors of the caller, which consumes the results, do not pass through here."""
        rows, streaming = list(waiting.values()), self._streams(work)
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)  # errors are raised here
        try:
            with _own_attention(self._model), self._manager(rows, work.sampling) as manager:
                # shared prefixes together
                for name, row in sorted(waiting.items(), key=lambda item: item[1].prompt_ids):
                    manager.add_request(list(row.prompt_ids), name, row.limit, streaming=streaming)
                while waiting:
                    made = manager.get_result(timeout=POLL)
                    if made is None:
                        if not manager.is_running():
                            raise RunError(f"it ended with {len(waiting)} of {len(rows)} rows unwritten")
                        continue
                    if made.error is not None:
                        raise RunError(str(made.error))
                    yield made
                    if made.request_id not in waiting and not made.is_finished():
                        manager.cancel_request(made.request_id)
        except MemoryError:
            raise
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "no reason given")
            raise ContinuousBatchingError(f"{type(error).__name__}: {reason}") from error

    def _manager(self, rows: Sequence[Row], sampling: Sampling) -> Any:
        """The library's manager for these rows, as a context. Imported lazily: releases differ, and padded batches do
        not need it."""
        from transformers.generation.continuous_batching.utils import WorkloadHints

        hints = WorkloadHints(
            max_prompt_length=max(len(row.prompt_ids) for row in rows),
            max_generated_length=max(row.limit for row in rows), num_requests=len(rows),
        )  # fmt: skip
        model: Any = self._model
        return model.continuous_batching_context_manager(
            generation_config=self._generation(sampling), continuous_batching_config=self._memory(rows), timeout=5,
            workload_hints=hints,
        )  # fmt: skip

    def _streams(self, work: Work) -> bool:
        """True if tokens are read one by one, because many completions end at a stop string. Each token read costs this
        process time that the model waits for, so otherwise finished rows are cut.
        """
        rows, stopped = self._seen.get(work.sampling.stop, (0, 0))
        return work.has_stops and (rows < STREAMED or stopped > FEW * rows)

    def _take(self, row: Row, made: Any, work: Work) -> bool:
        """Updates a row with its new tokens, up to a stop string. If the row ends there, hands it out and returns
        True."""
        new = list(made.generated_tokens)[len(row.tokens) :]
        TOKENS.add(len(new))
        stopped = False
        for token in new:
            row.tokens.append(token)
            if stopped := token not in self._ends and work.stops_at(row):
                break
        if not row.tokens:
            return False
        if row.tokens[-1] in self._ends or stopped:
            row.finish = "stop"
        elif made.is_finished():
            row.finish = "length"
        else:
            return False
        rows, others = self._seen.get(work.sampling.stop, (0, 0))
        self._seen[work.sampling.stop] = rows + 1, others + stopped
        count = len(row.tokens)
        work.hand_out(row, sum(made.logprobs[:count]) / count if made.logprobs else 0.0)
        return True

    def _generation(self, sampling: Sampling) -> GenerationConfig:
        drawn: dict[str, Any] = {
            "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
            "min_p": sampling.min_p or None,
        }  # fmt: skip
        return GenerationConfig(
            do_sample=sampling.temperature > 0, max_new_tokens=sampling.max_new_tokens, eos_token_id=self._ends,
            pad_token_id=self._pad_id, **(drawn if sampling.temperature > 0 else {}),
        )  # fmt: skip

    def _memory(self, rows: Sequence[Row]) -> Any:
        """A ContinuousBatchingConfig with blocks for as many rows as fit, never the library's own share of memory."""
        from transformers import ContinuousBatchingConfig

        kind = self._model.device.type
        page = PAGE_TOKENS[kind]
        pages_a_row = -(-max(row.longest for row in rows) // page) + 1
        bytes_a_page = page * cache_bytes_per_token(self._model.config, self._model.dtype.itemsize)
        affordable = int(CACHE_SHARE[kind] * free_bytes(self._model.device) // bytes_a_page)
        if affordable < pages_a_row:
            raise OutOfMemory(
                f"out of memory for one prompt of {max(len(row.prompt_ids) for row in rows)} tokens. {HINT}"
            )
        together = min(self._max_rows, len(rows))
        known: Any = {field.name for field in fields(ContinuousBatchingConfig)}
        size = "page_size" if "page_size" in known else "block_size"  # its name before transformers 5.18
        named: dict[str, Any] = {size: page}
        return ContinuousBatchingConfig(
            **named, num_blocks=min(affordable, together * pages_a_row), max_requests_per_batch=together,
            max_batch_tokens=max(PASS_TOKENS[kind], together), return_logprobs=True, seed=torch_seed(rows),
        )  # fmt: skip


@contextmanager
def _own_attention(model: Any) -> Iterator[None]:
    """Restores the model's attention afterwards: the library sets one for paged memory, and leaves it set if its
    preparation fails."""
    before = model.config._attn_implementation
    try:
        yield
    finally:
        if model.config._attn_implementation != before:
            model.set_attn_implementation(before)
