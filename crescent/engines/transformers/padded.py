"""Decodes in padded batches, where waiting rows replace finished ones.

In: rows with their prompts. Out: the same rows, completed. The longest prompts come first, so that there is little
padding and an OOM happens at once or never. On a CPU in float32 the text of a row does not depend on its batch (see
`sampling.py`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from crescent.core.progress import TOKENS
from crescent.engines import Sampling
from crescent.engines.memory import halve_batch, is_out_of_memory
from crescent.engines.transformers.batch import Batch, Batcher
from crescent.engines.transformers.rows import Row, Work, torch_seed
from crescent.engines.transformers.sampling import choose, penalised

HINT = "Use a smaller model, dtype bfloat16, or fewer max_new_tokens."


class PaddedDecoder:
    """Decodes rows with a model; `ends` [any] are the tokens that end a turn. `reference`: close calls are decided
    again on the row alone."""

    def __init__(self, model: PreTrainedModel, pad_id: int, ends: torch.Tensor, max_rows: int, reference: bool) -> None:
        self._model, self._ends, self._reference = model, ends, reference
        self._batcher = Batcher(model, pad_id, max_rows)

    def run(self, rows: Sequence[Row], work: Work) -> None:
        """Completes all rows. Raises OutOfMemory if a single row does not fit."""
        self._generator = torch.Generator(self._model.device).manual_seed(torch_seed(rows))
        while waiting := sorted((row for row in rows if row.finish is None), key=_longest_first):
            fits = True
            try:
                with torch.inference_mode(), self._batcher.attention():
                    self._decode(waiting, work)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                fits = False
            if not fits:
                what = f"rows (prompts of up to {len(waiting[0].prompt_ids)} tokens)"
                self._batcher.max_rows = halve_batch(self._batcher.rows, what, HINT, self._model.device)
            for row in waiting:
                if row.finish is None:
                    row.begin_again()

    def _decode(self, waiting: list[Row], work: Work) -> None:
        waiting, batch = list(waiting), None
        while True:
            batch = self._batcher.exchange(batch, waiting)
            if batch is None:
                return
            tokens = self._next_tokens(batch, work)
            self._finish(batch, tokens, work)
            if not batch.live and not waiting:
                return
            if batch.live:
                self._batcher.step(batch, tokens)

    def _next_tokens(self, batch: Batch, work: Work) -> torch.Tensor:
        """The next token of each row [rows]; close calls of live rows are decided again on the row alone."""
        sampling, live, logits = work.sampling, batch.live, batch.logits.float()
        waits = self._waits(batch, live) if sampling.temperature > 0 else None
        tokens, close = choose(_penalised(logits, batch.rows, sampling), waits, sampling)
        if self._reference and close.any():
            for index in set(live) & set(close.nonzero().flatten().tolist()):
                row, its_waits = batch.rows[index], None if waits is None else waits[[index]]
                alone = _penalised(self._logits_alone(row)[-1:], [row], sampling)
                tokens[index] = choose(alone, its_waits, sampling)[0][0]
        logprobs = logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=-1)
        chosen, nats = tokens.tolist(), logprobs.tolist()
        TOKENS.add(len(live))
        for index in live:
            batch.rows[index].tokens.append(chosen[index])
            batch.rows[index].logprob += nats[index]
        return tokens

    def _waits(self, batch: Batch, live: Sequence[int]) -> torch.Tensor:
        """Exponential random numbers [rows, vocabulary]: each live row's own, or the device's without `reference`."""
        if not self._reference:
            return torch.empty_like(batch.logits, dtype=torch.float32).exponential_(generator=self._generator)
        waits = np.ones(batch.logits.shape)
        for index in live:
            batch.rows[index].wait(waits[index])
        return torch.from_numpy(waits)

    def _finish(self, batch: Batch, tokens: torch.Tensor, work: Work) -> None:
        """Hands out the rows that ended with these tokens."""
        ended = torch.isin(tokens, self._ends).tolist()
        for index in batch.live:
            row = batch.rows[index]
            if ended[index] or work.stops_at(row):
                row.finish = "stop"
            elif len(row.tokens) >= row.limit:
                row.finish = "length"
            if row.finish is not None:
                work.hand_out(row, self._mean_logprob(row))

    def _mean_logprob(self, row: Row) -> float:
        mean = row.logprob / len(row.tokens)
        near_an_edge = abs(abs(mean) * 100 % 1 - 0.5) < 1e-3  # of rounding: a different batch could round the other way
        if self._reference and near_an_edge:
            logits = self._logits_alone(row)[len(row.prompt_ids) - 1 : -1]
            chosen = logits.gather(1, torch.tensor(row.tokens, device=logits.device).unsqueeze(1)).squeeze(1)
            return float((chosen - logits.logsumexp(dim=-1)).double().mean())
        return mean

    def _logits_alone(self, row: Row) -> torch.Tensor:
        """Logits [prompt + tokens written, vocabulary] of one row without padding or cache: the reference."""
        model: Any = self._model
        ids = torch.tensor([row.prompt_ids + tuple(row.tokens)], device=self._model.device)
        return model(input_ids=ids, use_cache=False).logits[0].float()


def _penalised(logits: torch.Tensor, rows: Sequence[Row], sampling: Sampling) -> torch.Tensor:
    """Logits [rows, vocabulary] after the penalty for repetition."""
    if sampling.repetition_penalty == 1:
        return logits
    seen = np.stack([row.seen(logits.shape[-1]) for row in rows])
    return penalised(logits, torch.from_numpy(seen).to(logits.device), sampling.repetition_penalty)


def _longest_first(row: Row) -> tuple[int, tuple[int, ...], int]:
    return -len(row.prompt_ids), row.prompt_ids, row.index
