"""Decoding in padded batches whose finished rows make room for waiting ones.

In: rows with their prompts. Out: the same rows, written. Longest prompts come first, so that little is padded and
memory is refused at once or never; a prompt that is drawn several times is read once. On a CPU in float32 the text of a
row does not depend on its batch (see `sampling.py`).
"""

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from crescent.engines.cache import ROOM, can_grow, exchange, growing_cache
from crescent.engines.memory import cache_bytes_per_token, free_bytes
from crescent.engines.rows import Row, Work
from crescent.engines.sampling import choose

log = logging.getLogger(__name__)
CACHE_SHARE = 0.25  # of free memory that a batch's cache may take: while rows are exchanged there are two of it
PROMPT_TOKENS = 16_384  # read in one pass, padding included
FEW = 1 / 8  # a share of rows: as many must have ended before waiting ones take their places
LEAST_BYTES = 32 << 20  # read in the time that a step of the smallest model takes
MANY = 1 / 4  # a share of rows: with none waiting, the batch is made smaller when as many have ended


@dataclass(slots=True)
class _Batch:
    """Rows in the model: `logits` [rows, vocabulary] choose the next token, at `positions` [rows]."""

    rows: list[Row]
    cache: Cache
    mask: torch.Tensor
    logits: torch.Tensor
    positions: torch.Tensor

    @property
    def live(self) -> list[int]:
        return [index for index, row in enumerate(self.rows) if row.finish is None]

    @property
    def width(self) -> int:
        """Columns that are filled."""
        return self.cache.get_seq_length()


class PaddedDecoder:
    """Decodes rows with a model; `ends` [any] are the tokens that end a turn. `reference` decides close calls alone."""

    def __init__(self, model: PreTrainedModel, pad_id: int, ends: torch.Tensor, max_rows: int, reference: bool) -> None:
        self._model, self._pad_id, self._ends, self._reference = model, pad_id, ends, reference
        self._grows, self._max_rows = can_grow(model.config), max_rows
        self._weight_bytes = model.num_parameters() * model.dtype.itemsize
        self._token_bytes = cache_bytes_per_token(model.config, model.dtype.itemsize)

    def run(self, rows: Sequence[Row], work: Work) -> None:
        """Writes all rows. Raises MemoryError where one alone does not fit."""
        while waiting := sorted((row for row in rows if row.finish is None), key=_longest_first):
            try:
                with torch.inference_mode():
                    self._decode(waiting, work)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._shrink(min(self._max_rows, len(waiting)), waiting[0])
            for row in waiting:
                if row.finish is None:
                    row.begin_again()

    def _shrink(self, rows: int, longest: Row) -> None:
        """After memory ran out with so many rows: half of them from now on."""
        if rows == 1:
            raise MemoryError(
                f"out of memory for one prompt of {len(longest.prompt_ids)} tokens. "
                "Use a smaller model, dtype bfloat16, or fewer max_new_tokens."
            )
        self._max_rows = rows // 2
        log.warning("out of memory with %d rows in a batch; going on with %d", rows, self._max_rows)
        gc.collect()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _decode(self, waiting: list[Row], work: Work) -> None:
        waiting, batch = list(waiting), None
        while True:
            batch = self._exchange(batch, waiting)
            if batch is None:
                return
            tokens = self._next_tokens(batch, work)
            self._finish(batch, tokens, work)
            if not batch.live and not waiting:
                return
            if batch.live:
                self._step(batch, tokens)

    def _exchange(self, batch: _Batch | None, waiting: list[Row]) -> _Batch | None:
        """The batch with waiting rows, taken from the list, in place of finished ones, where that is worth a copy."""
        if batch is None or not batch.live:
            return self._read(self._take(waiting, waiting[0].longest, 0)) if waiting else None
        live = batch.live
        ended = len(batch.rows) - len(live)
        if not (waiting and self._grows):
            return batch if ended < max(1, MANY * len(batch.rows)) else self._keep(batch, live)
        longest = max([waiting[0].longest, *(batch.rows[index].longest for index in live)])
        room = self._fitting(longest) - len(live)
        if room < max(1, FEW * self._max_rows) and ended < max(1, MANY * len(batch.rows)):
            return batch
        if room < max(1, FEW * len(live)) or self._pads_too_much(batch, live, waiting, room):
            return batch if ended < max(1, MANY * len(batch.rows)) else self._keep(batch, live)
        return self._join(batch, live, self._read(self._take(waiting, longest, len(live))))

    def _pads_too_much(self, batch: _Batch, live: list[int], waiting: list[Row], room: int) -> bool:
        """Whether waiting rows are so much shorter that each step would read more padding than weights."""
        used = max(len(batch.rows[index].prompt_ids) + len(batch.rows[index].tokens) for index in live)
        padding = min(room, len(waiting)) * (used - len(waiting[0].prompt_ids)) * self._token_bytes
        return padding > max(self._weight_bytes, LEAST_BYTES)

    def _take(self, waiting: list[Row], longest: int, live: int) -> list[Row]:
        """The first waiting rows that fit beside `live` others, and whose prompts are read in one pass."""
        count = min(len(waiting), max(1, self._fitting(longest) - live))
        width, prompts = len(waiting[0].prompt_ids), 0
        for at in range(count):
            prompts += at == 0 or waiting[at].prompt_ids != waiting[at - 1].prompt_ids
            if at and prompts * width > PROMPT_TOKENS:
                count = at
                break
        taken = waiting[:count]
        del waiting[:count]
        return taken

    def _fitting(self, longest: int) -> int:
        """How many rows of `longest` tokens may be in the batch."""
        budget = CACHE_SHARE * free_bytes(self._model.device)
        return int(max(1, min(self._max_rows, budget // (self._token_bytes * (longest + ROOM)))))

    def _read(self, rows: list[Row]) -> _Batch:
        """A new batch, its prompts read, each distinct one once."""
        distinct: dict[tuple[int, ...], int] = {}
        for row in rows:
            distinct.setdefault(row.prompt_ids, len(distinct))
        width, device = max(map(len, distinct)), self._model.device
        ids = torch.tensor([(self._pad_id,) * (width - len(prompt)) + prompt for prompt in distinct], device=device)
        lengths = torch.tensor([len(prompt) for prompt in distinct], device=device)
        mask = (torch.arange(width, device=device) >= width - lengths.unsqueeze(1)).long()
        cache = growing_cache(self._model.config) if self._grows else DynamicCache(config=self._model.config)
        logits = self._forward(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0), cache)
        index = torch.tensor([distinct[row.prompt_ids] for row in rows], device=device)
        batch = _Batch(rows, cache, mask, logits, lengths)
        return self._select(batch, index, rows) if len(distinct) < len(rows) else batch

    def _keep(self, batch: _Batch, live: list[int]) -> _Batch:
        """The batch without its finished rows."""
        return self._select(batch, torch.tensor(live, device=self._model.device), [batch.rows[at] for at in live])

    def _select(self, batch: _Batch, index: torch.Tensor, rows: list[Row]) -> _Batch:
        mask = batch.mask[index]
        if self._grows:
            width = min(batch.width, int(mask[:, : batch.width].sum(dim=1).max()))
            cache, mask = exchange([(batch.cache, index)], width), mask[:, batch.width - width : batch.width]
        else:
            cache = batch.cache
            cache.batch_select_indices(index)
        return _Batch(rows, cache, mask, batch.logits[index], batch.positions[index])

    def _join(self, old: _Batch, live: list[int], new: _Batch) -> _Batch:
        """One batch of the live rows of one and all of another."""
        kept = torch.tensor(live, device=self._model.device)
        every = torch.arange(len(new.rows), device=self._model.device)
        old_mask, new_mask = old.mask[kept, : old.width], new.mask[:, : new.width]
        width = int(max(old_mask.sum(dim=1).max(), new_mask.sum(dim=1).max()))
        cache = exchange([(old.cache, kept), (new.cache, every)], width)
        mask = torch.cat([_last(old_mask, width), _last(new_mask, width)])
        rows = [*(old.rows[index] for index in live), *new.rows]
        return _Batch(
            rows,
            cache,
            mask,
            torch.cat([old.logits[kept], new.logits]),
            torch.cat([old.positions[kept], new.positions]),
        )

    def _step(self, batch: _Batch, tokens: torch.Tensor) -> None:
        """Feeds the chosen tokens. Finished rows go along and are not looked at; their positions stand still."""
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
        batch.logits = self._forward(tokens.unsqueeze(1), batch.mask, batch.positions.unsqueeze(1), batch.cache)
        going = torch.tensor([row.finish is None for row in batch.rows], device=tokens.device)
        batch.positions = batch.positions + going.long()

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last token."""
        model: Any = self._model
        return model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip

    def _next_tokens(self, batch: _Batch, work: Work) -> torch.Tensor:
        """The next token of each row [rows]; close calls of live rows are decided again on the row alone."""
        sampling, live, logits = work.sampling, batch.live, batch.logits.float()
        uniform = torch.zeros(len(batch.rows), dtype=torch.float64)
        if sampling.temperature > 0:
            for index in live:
                row = batch.rows[index]
                uniform[index] = float(row.uniform[len(row.tokens)])
        tokens, close = choose(logits, uniform, sampling.temperature, sampling.top_p)
        if self._reference and close.any():
            for index in close.nonzero().flatten().tolist():
                if batch.rows[index].finish is None:
                    alone = self._logits_alone(batch.rows[index])[-1:]
                    tokens[index] = choose(alone, uniform[index : index + 1], sampling.temperature, sampling.top_p)[0][
                        0
                    ]
        logprobs = logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=-1)
        chosen, nats = tokens.tolist(), logprobs.tolist()
        for index in live:
            batch.rows[index].tokens.append(chosen[index])
            batch.rows[index].logprob += nats[index]
        return tokens

    def _finish(self, batch: _Batch, tokens: torch.Tensor, work: Work) -> None:
        """Hands out the rows that ended with these tokens."""
        ended = torch.isin(tokens, self._ends).tolist()
        for index in batch.live:
            row = batch.rows[index]
            if ended[index] or work.stops.reached(row.tokens):
                row.finish = "stop"
            elif len(row.tokens) >= row.limit:
                row.finish = "length"
            if row.finish is not None:
                work.hand_out(row, self._mean_logprob(row))

    def _mean_logprob(self, row: Row) -> float:
        mean = row.logprob / len(row.tokens)
        if (
            self._reference and abs(abs(mean) * 100 % 1 - 0.5) < 1e-3
        ):  # too near a rounding edge to be told from a batch
            logits = self._logits_alone(row)[len(row.prompt_ids) - 1 : -1]
            chosen = logits.gather(1, torch.tensor(row.tokens, device=logits.device).unsqueeze(1)).squeeze(1)
            return float((chosen - logits.logsumexp(dim=-1)).double().mean())
        return mean

    def _logits_alone(self, row: Row) -> torch.Tensor:
        """Logits [prompt + tokens written, vocabulary] of one row with no padding and no cache: the reference."""
        model: Any = self._model
        ids = torch.tensor([row.prompt_ids + tuple(row.tokens)], device=self._model.device)
        return model(input_ids=ids, use_cache=False).logits[0].float()


def _longest_first(row: Row) -> tuple[int, tuple[int, ...], int]:
    return -len(row.prompt_ids), row.prompt_ids, row.index


def _last(mask: torch.Tensor, width: int) -> torch.Tensor:
    """The last `width` columns of a mask, zeros before them where it has fewer."""
    missing = width - mask.shape[1]
    return torch.nn.functional.pad(mask, (missing, 0)) if missing > 0 else mask[:, -width:]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()
