"""A key-value cache with spare columns at its end, whose rows can be replaced while others continue.

In: keys and values of new tokens. Out: those of all tokens so far. `transformers.DynamicCache` copies the whole cache
at every step, and again whenever a row leaves; here a step writes one column, and replacing rows takes one copy. Rows
are aligned at their end: each row has its tokens in the last columns, and an attention mask hides the columns before.
"""

import math
from collections.abc import Sequence
from inspect import signature
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

from crescent.core.errors import OutOfMemory

ROOM = 64  # columns for future tokens, allocated at a time


class GrowingLayer(CacheLayerMixin):
    """Keys and values [rows, heads, columns, head size] of one layer, as views of buffers with free columns."""

    is_sliding = False

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Keeps the first tokens without a copy; room is made when more arrive."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.hold(key_states, value_states, key_states.shape[-2])

    def hold(self, keys: torch.Tensor, values: torch.Tensor, length: int) -> None:
        """Uses these buffers, of which `length` columns are filled."""
        self._keys, self._values, self._length = keys, values, length
        self.keys, self.values, self.is_initialized = keys[:, :, :length], values[:, :, :length], True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes the new columns; returns keys and values of all columns."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        start, length = self._length, self._length + key_states.shape[-2]
        if length > self._keys.shape[-2]:
            self._keys, self._values = _wider(self._keys, length + ROOM), _wider(self._values, length + ROOM)
        self._keys[:, :, start:length] = key_states
        self._values[:, :, start:length] = value_states
        self.hold(self._keys, self._values, length)
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def place(self, slots: torch.Tensor, new: "GrowingLayer", indices: torch.Tensor) -> None:
        """See the function `place`."""
        columns = slice(self._length - new.get_seq_length(), self._length)
        self._keys[slots, :, columns] = new._keys[indices, :, : new._length]
        self._values[slots, :, columns] = new._values[indices, :, : new._length]

    def compact(self, to: Sequence[int], moved: Sequence[int], width: int, count: int) -> None:
        """See the function `compact`."""
        if moved:
            columns = slice(self._length - width, self._length)
            self._keys[to, :, columns] = self._keys[moved, :, columns]
            self._values[to, :, columns] = self._values[moved, :, columns]
        self.hold(self._keys[:count], self._values[:count], self._length)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """(length, offset) of the attention mask."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Number of filled columns."""
        return self._length if self.is_initialized else 0

    def get_max_length(self) -> int:
        """-1: no maximum."""
        return -1


def can_grow(config: Any) -> bool:
    """True if all layers of a model keep plain keys and values (the mask then handles sliding windows)."""
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    chunked = "chunked_attention" in (getattr(config.get_text_config(decoder=True), "layer_types", None) or ())
    return kinds <= {DynamicLayer, DynamicSlidingWindowLayer} and not chunked


def cache_argument(model: PreTrainedModel) -> str:
    """The name of the cache argument of `forward`: `past_key_values` before transformers 5.24 and in models outside
    it."""
    return "cache" if "cache" in signature(model.forward).parameters else "past_key_values"


def growing_cache(config: Any) -> Cache:
    return Cache(layers=[GrowingLayer() for _ in DynamicCache(config=config).layers])


def exchange(parts: Sequence[tuple[Cache, torch.Tensor]], width: int, room: int = ROOM) -> Cache:
    """Merges rows of several caches into one: from each part, the rows `indices` and their last `width` columns.

    A narrower part is aligned at the end; columns before it are zeros, which the mask must hide. `room` more columns
    are allocated: on a CPU, columns that are never written take no memory.
    """
    layers = []
    for number in range(len(parts[0][0].layers)):
        sources: list[tuple[Any, torch.Tensor]] = [(cache.layers[number], indices) for cache, indices in parts]
        layer = GrowingLayer()
        keys = _aligned([(source.keys, indices) for source, indices in sources], width, room)
        layer.dtype, layer.device = keys.dtype, keys.device
        layer.hold(keys, _aligned([(source.values, indices) for source, indices in sources], width, room), width)
        layers.append(layer)
    return Cache(layers=layers)


def place(cache: Cache, slots: torch.Tensor, new: Cache, indices: torch.Tensor) -> None:
    """Writes rows `indices` of another cache, which is no wider, over the rows `slots`, aligned at the end.

    Columns before them keep their old content, which the mask must hide.
    """
    for mine, theirs in zip(cache.layers, new.layers, strict=True):
        assert isinstance(mine, GrowingLayer) and isinstance(theirs, GrowingLayer)
        mine.place(slots, theirs, indices)


def compact(cache: Cache, to: Sequence[int], moved: Sequence[int], width: int, count: int) -> None:
    """Moves rows, whose tokens are in the last `width` columns, to the places `to` and keeps the first `count` rows.
    Nothing else is copied."""
    for layer in cache.layers:
        assert isinstance(layer, GrowingLayer)
        layer.compact(list(to), list(moved), width, count)


def _aligned(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], width: int, room: int) -> torch.Tensor:
    """Copies rows of several buffers into one with `width` + `room` columns, aligned at column `width`."""
    first = parts[0][0]
    rows = sum(len(indices) for _, indices in parts)
    buffer, row = _zeros(first, (rows, first.shape[1], width + room, first.shape[3])), 0
    for old, indices in parts:
        mine, used = buffer[row : row + len(indices)], min(width, old.shape[2])
        torch.index_select(old[:, :, old.shape[2] - used :], 0, indices, out=mine[:, :, width - used : width])
        row += len(indices)
    return buffer


def _wider(buffer: torch.Tensor, columns: int) -> torch.Tensor:
    rows, heads, filled, size = buffer.shape
    wide = _zeros(buffer, (rows, heads, columns, size))
    wide[:, :, :filled] = buffer
    return wide


def _zeros(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros, because what the mask hides must not be NaN (0 times NaN is NaN). On a CPU these are untouched pages of
    the operating system, which take neither time nor memory until written; torch would write them all."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    count = math.prod(shape) * like.element_size()
    try:
        pages = mmap(-1, count, flags=MAP_PRIVATE | MAP_ANONYMOUS)
    except OSError as error:
        raise OutOfMemory(f"{count:,} bytes of keys and values: {error}") from error
    return torch.frombuffer(pages, dtype=like.dtype).view(shape)
