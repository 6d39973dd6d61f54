"""Likelihoods of choices by the harness's own HFLM: on a model in this process, or on those of workers.

In: slices of the harness's requests. Out: (index of the slice, its results), as slices are finished. A slice has the
same batches wherever it is scored, and so the same results. After an out-of-memory error it is scored again with half
the batch size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import resolve_max_length

from crescent.core.errors import UserError
from crescent.engines.memory import halve_batch, is_out_of_memory
from crescent.evaluation.context_length import count_cut
from crescent.evaluation.loglikelihood_journal import Scored

HINT = "Use a smaller model or model.dtype=bfloat16, or stop other processes that use the memory."
NO_MODEL = "this engine computes no likelihoods: choose engine=transformers, or eval.engine=transformers"


class Likelihoods(Protocol):
    """What scores slices of requests. `method` is loglikelihood or loglikelihood_rolling."""

    def count_cut(self, requests: Sequence[Instance], title: str) -> tuple[int, int]:
        """(prompts that lose their beginning, prompts). Raises UserError for a choice longer than the context."""
        ...

    def each(self, method: str, slices: Sequence[Sequence[Instance]]) -> Iterator[tuple[int, Scored]]: ...


def likelihoods_of(engine: Any, batch: int, on_rows: Callable[[int], None]) -> Likelihoods:
    """The scorer of an engine. `on_rows` is called with the number of prompts of each batch that a model in this
    process has read. Raises UserError for an engine without a model.
    """
    if hasattr(engine, "on_workers"):
        return RemoteLikelihoods(engine, batch)
    if getattr(engine, "model", None) is None:
        raise UserError(NO_MODEL)
    return LocalLikelihoods(engine, batch, on_rows)


class LocalLikelihoods:
    """On the model of an engine in this process."""

    def __init__(self, engine: Any, batch: int, on_rows: Callable[[int], None] = lambda count: None) -> None:
        self._model, self._tokenizer, self._batch, self._on_rows = engine.model, engine.tokenizer, batch, on_rows
        self._inner = self._build()

    def count_cut(self, requests: Sequence[Instance], title: str) -> tuple[int, int]:
        """See `Likelihoods`."""
        return count_cut(self._inner, requests, title)

    def each(self, method: str, slices: Sequence[Sequence[Instance]]) -> Iterator[tuple[int, Scored]]:
        """Scores one slice after the other."""
        for index, one in enumerate(slices):
            while (made := _unless_out_of_memory(getattr(self._inner, method), list(one))) is None:
                size = min(self._batch, len(one))
                self._batch = halve_batch(size, "choices", HINT, self._model.device)
                self._inner = self._build()
            yield index, made

    def _build(self) -> HFLM:
        build: Any = HFLM  # its decorator hides its parameters from type checkers
        inner = build(
            pretrained=self._model,
            tokenizer=self._tokenizer,
            backend="causal",
            batch_size=self._batch,
            max_length=resolve_max_length(self._model.config, self._tokenizer),
        )
        call = inner._model_call

        def counted_call(rows: Any, *given: Any, **named: Any) -> Any:
            logits = call(rows, *given, **named)
            self._on_rows(len(rows))
            return logits

        inner._model_call = counted_call
        return inner


class RemoteLikelihoods:
    """On the models of workers: `engine.on_workers(use, shards)` runs a function on an engine in a worker."""

    def __init__(self, engine: Any, batch: int) -> None:
        self._engine, self._batch = engine, batch

    def count_cut(self, requests: Sequence[Instance], title: str) -> tuple[int, int]:
        """See `Likelihoods`. Counted by one worker, because it takes the harness's model."""
        [(_, counts)] = self._engine.on_workers(_cut, [(_Slice("", tuple(map(_bare, requests)), 1), title)])
        return counts

    def each(self, method: str, slices: Sequence[Sequence[Instance]]) -> Iterator[tuple[int, Scored]]:
        """Scores slices on all workers, in order of completion."""
        return self._engine.on_workers(_score, [_Slice(method, tuple(map(_bare, one)), self._batch) for one in slices])


@dataclass(frozen=True, slots=True)
class _Slice:
    method: str
    requests: tuple[Instance, ...]
    batch: int


def _bare(request: Instance) -> Instance:
    """The request without its item, which need not travel."""
    return Instance(request.request_type, {}, request.args, 0)


def _score(engine: Any, part: _Slice) -> Scored:
    [(_, made)] = LocalLikelihoods(engine, part.batch).each(part.method, [part.requests])
    return made


def _cut(engine: Any, asked: tuple[_Slice, str]) -> tuple[int, int]:
    return LocalLikelihoods(engine, asked[0].batch).count_cut(asked[0].requests, asked[1])


def _unless_out_of_memory(score: Any, part: list[Instance]) -> Scored | None:
    """The harness model's results for the requests; None after an out-of-memory error."""
    try:
        return score(part, disable_tqdm=True)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
