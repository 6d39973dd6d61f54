"""The current batch of rows in a model: prefills prompts, and replaces finished rows by waiting ones.

In: rows with their prompts, then the token chosen for each. Out: the logits of the next token. A prompt with several
draws is prefilled once. The decoder (`padded.py`) chooses tokens and decides when a row ends.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from crescent.engines.memory import cache_bytes_per_token, free_bytes
from crescent.engines.transformers.blocks import attention_by_blocks, blocks_of, in_blocks, is_supported
from crescent.engines.transformers.cache import ROOM, cache_argument, can_grow, compact, exchange, growing_cache, place
from crescent.engines.transformers.packed import PackedLinears
from crescent.engines.transformers.rows import Row

CACHE_SHARE = 0.25  # of free memory for a batch's cache: while rows are exchanged there are two caches
PROMPT_TOKENS = 16_384  # per prefill pass, padding included
MIN_FREED_SHARE = 1 / 8  # share of rows that must have ended before waiting rows replace them
MOST_ROOM = 2048  # columns reserved for future tokens
WIDER = 1.5  # a batch wider than this multiple of what its rows need is copied to that width
SLACK_TOKENS = 64  # tokens of padding that cost as much as reading the weights once more
BLOCK_BYTES = 1 << 18  # bytes of padding in one layer that cost as much as another call
LEAST_BYTES = 32 << 20  # bytes read in the time of one step of the smallest model
MANY = 1 / 4  # share of rows: if none wait, the batch shrinks once this many have ended


@dataclass(slots=True)
class Batch:
    """Rows in the model: `logits` [rows, vocabulary] determine the next token, at `positions` [rows]."""

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
        """Number of filled columns."""
        return self.cache.get_seq_length()


Ids = tuple[int, ...]
Part = tuple[Batch, torch.Tensor]
"""A batch, and the indices of rows to take from it [rows]; an index may repeat."""


class Batcher:
    """Feeds rows into a model, at most `max_rows` at a time. `rows` is the number of rows in it, or being added when
    memory ran out."""

    def __init__(self, model: PreTrainedModel, pad_id: int, max_rows: int) -> None:
        self.max_rows, self.rows = max_rows, 0
        self._model, self._pad_id = model, pad_id
        self._grows, self._cache_argument = can_grow(model.config), cache_argument(model)
        self._grouped = self._grows and is_supported(model)
        self._linears = PackedLinears(model)
        self._weight_bytes = model.num_parameters() * model.dtype.itemsize
        self._token_bytes = cache_bytes_per_token(model.config, model.dtype.itemsize)

    def attention(self) -> AbstractContextManager[None]:
        """The model's attention while it decodes."""
        return attention_by_blocks(self._model) if self._grouped else nullcontext()

    def exchange(self, batch: Batch | None, waiting: list[Row]) -> Batch | None:
        """Returns the batch with finished rows replaced by waiting ones (removed from the list), if that is worth a
        pass."""
        if batch is None or not batch.live:
            if not waiting:
                return None
            return self._begin(self._take(waiting, 0, self._fitting(waiting[0].longest)))
        live = batch.live
        ended = len(batch.rows) - len(live)
        many = ended >= max(1, MANY * len(batch.rows))
        if not (waiting and self._grows):
            return self._keep(batch, live) if many else batch
        longest = max([waiting[0].longest, *(batch.rows[index].longest for index in live)])
        room = self._fitting(longest, len(batch.rows) * batch.width) - len(live)
        if room < max(1, MIN_FREED_SHARE * self.max_rows) and not many:
            return batch
        if room < max(1, MIN_FREED_SHARE * len(live)) or self._pads_too_much(batch, live, waiting, room):
            return self._keep(batch, live) if many else batch
        rows = self._take(waiting, len(live), room)
        parts = self._read(rows)
        used, new = int(batch.mask[live].sum(dim=1).max()), max(part.width for part, _ in parts)
        if len(rows) <= ended and new <= batch.width <= WIDER * max(used, new):
            return self._place(batch, rows, parts)
        kept = torch.tensor(live, device=self._model.device)
        return _gather([*(batch.rows[at] for at in live), *rows], [(batch, kept), *parts])

    def step(self, batch: Batch, tokens: torch.Tensor) -> None:
        """Feeds the chosen tokens. Finished rows are computed but ignored; their positions do not advance."""
        self.rows = len(batch.rows)
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
        blocks = None
        if self._grouped:
            lengths = [0 if row.finish is not None else row.length for row in batch.rows]
            blocks = blocks_of(lengths, BLOCK_BYTES * len(batch.cache.layers) / self._token_bytes)
        with in_blocks(blocks):
            batch.logits = self._forward(tokens.unsqueeze(1), batch.mask, batch.positions.unsqueeze(1), batch.cache)
        going = torch.tensor([row.finish is None for row in batch.rows], device=tokens.device)
        batch.positions = batch.positions + going.long()

    def _begin(self, rows: list[Row]) -> Batch:
        parts = self._read(rows)
        if self._grows:
            return _gather(rows, parts)
        [(prompts, index)] = parts
        return self._select(prompts, index, rows) if len(prompts.rows) < len(rows) else prompts

    def _pads_too_much(self, batch: Batch, live: list[int], waiting: list[Row], room: int) -> bool:
        """True if waiting rows are so much shorter that each step would read more padding than weights."""
        if self._grouped:
            return False
        used = max(batch.rows[index].length for index in live)
        padding = min(room, len(waiting)) * (used - len(waiting[0].prompt_ids)) * self._token_bytes
        return padding > max(self._weight_bytes, LEAST_BYTES)

    def _take(self, waiting: list[Row], live: int, room: int) -> list[Row]:
        """Removes and returns the first waiting rows that fit: `room` besides `live` others. If caches cannot be
        merged, only those whose prompts are prefilled in one pass."""
        count = min(len(waiting), max(1, room))
        if not self._grows:
            first = self._passes(list(dict.fromkeys(row.prompt_ids for row in waiting[:count])))[0]
            count = sum(row.prompt_ids in first for row in waiting[:count])
        taken = waiting[:count]
        del waiting[:count]
        self.rows = live + count
        return taken

    def _fitting(self, longest: int, held: int = 0) -> int:
        """How many rows of `longest` tokens fit into the batch, whose cache holds `held` tokens now."""
        budget = CACHE_SHARE * (free_bytes(self._model.device) + held * self._token_bytes)
        return int(max(1, min(self.max_rows, budget // (self._token_bytes * (longest + ROOM)))))

    def _passes(self, prompts: list[Ids]) -> list[set[Ids]]:
        """Distinct prompts, longest first, grouped into prefill passes: at most `PROMPT_TOKENS` each and (if caches can
        be merged) of such similar length that padding costs less than another pass."""
        slack = SLACK_TOKENS * max(1.0, LEAST_BYTES / self._weight_bytes) if self._grows else float("inf")
        passes: list[set[Ids]] = []
        width, padding = 0, 0
        for prompt in prompts:
            padding += width - len(prompt)
            if not passes or padding > slack or (len(passes[-1]) + 1) * width > PROMPT_TOKENS:
                passes.append(set())
                width, padding = len(prompt), 0
            passes[-1].add(prompt)
        return passes

    def _read(self, rows: list[Row]) -> list[Part]:
        """Prefills the distinct prompts of the rows pass by pass; each part says which prompt belongs to which row."""
        parts, start = [], 0
        for prompts in self._passes(list(dict.fromkeys(row.prompt_ids for row in rows))):
            stop = start
            while stop < len(rows) and rows[stop].prompt_ids in prompts:
                stop += 1
            parts.append(self._read_together(rows[start:stop]))
            start = stop
        return parts

    def _read_together(self, rows: list[Row]) -> Part:
        """One prefill pass over the distinct prompts of rows."""
        distinct: dict[Ids, int] = {}
        for row in rows:
            distinct.setdefault(row.prompt_ids, len(distinct))
        width, device = max(map(len, distinct)), self._model.device
        ids = torch.tensor([(self._pad_id,) * (width - len(prompt)) + prompt for prompt in distinct], device=device)
        lengths = torch.tensor([len(prompt) for prompt in distinct], device=device)
        mask = (torch.arange(width, device=device) >= width - lengths.unsqueeze(1)).long()
        cache = growing_cache(self._model.config) if self._grows else DynamicCache(config=self._model.config)
        logits = self._forward(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0), cache)
        index = torch.tensor([distinct[row.prompt_ids] for row in rows], device=device)
        return Batch(rows[: len(distinct)], cache, mask, logits, lengths), index

    def _keep(self, batch: Batch, live: list[int]) -> Batch:
        """The batch without its finished rows: the last live rows move into their places."""
        if not self._grows:
            return self._select(batch, torch.tensor(live, device=self._model.device), [batch.rows[at] for at in live])
        count = len(live)
        free = [at for at in range(count) if batch.rows[at].finish is not None]
        moved = [at for at in live if at >= count]
        order = list(range(count))
        for to, at in zip(free, moved, strict=True):
            order[to] = at
        width = max((batch.rows[at].length for at in moved), default=0)
        compact(batch.cache, free, moved, min(width, batch.width), count)
        index = torch.tensor(order, device=self._model.device)
        rows = [batch.rows[at] for at in order]
        return Batch(rows, batch.cache, batch.mask[index], batch.logits[index], batch.positions[index])

    def _select(self, batch: Batch, index: torch.Tensor, rows: list[Row]) -> Batch:
        """Selects rows of a batch whose cache does not grow."""
        cache: Any = batch.cache
        cache.batch_select_indices(index)
        return Batch(rows, batch.cache, batch.mask[index], batch.logits[index], batch.positions[index])

    def _place(self, batch: Batch, rows: list[Row], parts: Sequence[Part]) -> Batch:
        """The batch with `rows` in the places of finished ones, starting from the end, where the shorter rows are. Only
        the prefilled columns are copied."""
        free = [at for at, row in enumerate(batch.rows) if row.finish is not None][-len(rows) :]
        for slot, row in zip(free, rows, strict=True):
            batch.rows[slot] = row
        start = 0
        for prompts, index in parts:
            slots = torch.tensor(free[start : start + len(index)], device=self._model.device)
            start += len(index)
            place(batch.cache, slots, prompts.cache, index)
            batch.mask[slots] = _last(prompts.mask, batch.width)[index]
            batch.logits[slots], batch.positions[slots] = prompts.logits[index], prompts.positions[index]
        return batch

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last token."""
        model: Any = self._model
        with self._linears.in_use():
            return model(
                input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1,
                **{self._cache_argument: cache},
            ).logits[:, -1]  # fmt: skip


def _gather(rows: list[Row], parts: Sequence[Part]) -> Batch:
    """Merges rows of several batches into one, no wider than necessary."""
    width = max(int(part.mask[index].sum(dim=1).max()) for part, index in parts)
    room = ROOM
    if parts[0][0].mask.device.type == "cpu":  # unused room is free there
        room = min(MOST_ROOM, max(row.limit - len(row.tokens) for row in rows))
    return Batch(
        rows,
        exchange([(part.cache, index) for part, index in parts], width, room),
        torch.cat([_last(part.mask, width)[index] for part, index in parts]),
        torch.cat([part.logits[index] for part, index in parts]),
        torch.cat([part.positions[index] for part, index in parts]),
    )


def _last(mask: torch.Tensor, width: int) -> torch.Tensor:
    """The last `width` columns of a mask, padded with zeros in front if it has fewer."""
    missing = width - mask.shape[1]
    return torch.nn.functional.pad(mask, (missing, 0)) if missing > 0 else mask[:, -width:]
