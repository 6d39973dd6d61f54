"""Memory layout of one step's sequences: padded, or packed end to end.

In: examples and a limit in tokens. Out: groups of examples that fit in memory together, and the loss of a group. Both
layouts give the same loss up to rounding. They are independent of the optimiser and the order of training.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch.nn.functional import cross_entropy

from crescent.training.data import IGNORED, Example, collate
from crescent.training.head import is_large, summed_loss_in_chunks, takes_chunks
from crescent.training.packing import Segments, attention_of, check_separate, packed_attention
from crescent.training.wrapped import base_of


class Layout(Protocol):
    """A way to lay out sequences in memory."""

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """`examples` in groups of at most `max_tokens` in memory, including padding; a longer example is alone."""
        ...

    def prepare(self, model: Any) -> Any:
        """A context in which `model` can be trained in this layout."""
        ...

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int) -> None:
        """Checks the first step, with at most `max_tokens` in memory at once. Raises UserError if `model` cannot be
        trained in this layout."""
        ...

    def summed_loss(self, model: Any, examples: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        """Nats, summed over the target tokens of `examples`; a scalar."""
        ...


class _Head:
    """Whether the loss of many positions is computed in chunks. A team's processes decide alike: they see one step."""

    def __init__(self) -> None:
        self._takes_chunks = False

    def look(self, model: Any, examples: Sequence[Example], positions: int) -> None:
        """Tries chunks once if a step of so many positions may need them."""
        self._takes_chunks = is_large(model, positions) and takes_chunks(model, [one.ids for one in examples])

    def in_chunks(self, model: Any, positions: int) -> bool:
        return self._takes_chunks and is_large(model, positions)


class PaddedLayout:
    """One sequence per row, padded on the right."""

    def __init__(self) -> None:
        self._head = _Head()

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """Groups neighbours: the plan sorts a step by length, so neighbours need little padding."""
        groups: list[list[Example]] = []
        longest = 0
        for example in examples:
            longest = max(longest, len(example.ids))
            if groups and longest * (len(groups[-1]) + 1) <= max_tokens:
                groups[-1].append(example)
            else:
                groups.append([example])
                longest = len(example.ids)
        return groups

    def prepare(self, model: Any) -> Any:
        """No-op context."""
        return attention_of(model)

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int) -> None:
        """Works for any causal model, whose attention never looks to the right, where all padding is."""
        longest = max(len(example.ids) for example in examples)
        self._head.look(model, examples, max(longest, min(max_tokens, longest * len(examples))))

    def summed_loss(self, model: Any, examples: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        """Computes logits only from the first position that predicts a target of any row."""
        ids, labels = collate(examples, pad_id, device)
        first = min(example.prompt_tokens for example in examples)  # no logits are needed before the token that
        assert first > 0, "a chat template renders a prompt of at least one token"  # predicts the first target
        keeps, inputs = takes_logits_to_keep(model), {"input_ids": ids, "use_cache": False}
        if keeps:
            inputs["logits_to_keep"] = ids.shape[1] - first + 1
        skipped = 0 if keeps else first - 1
        if self._head.in_chunks(model, labels[:, first:].numel()):
            wanted = labels[:, first:] != IGNORED
            return summed_loss_in_chunks(
                model, inputs, lambda hidden: hidden[:, skipped:-1][wanted], labels[:, first:][wanted]
            )
        logits = model(**inputs).logits[:, skipped:]
        return cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=IGNORED, reduction="sum"
        )


class PackedLayout:
    """All sequences end to end in one row; positions restart with each, and attention stays within each."""

    def __init__(self) -> None:
        self._head = _Head()

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """Few rows of at most `max_tokens`: longest first, each into the first row with room."""
        rows: list[list[int]] = []
        room: list[int] = []
        for index in sorted(range(len(examples)), key=lambda index: -len(examples[index].ids)):
            length = len(examples[index].ids)
            row = next((at for at, left in enumerate(room) if left >= length), None)
            if row is None:
                row = len(rows)
                rows.append([])
                room.append(max_tokens)
            rows[row].append(index)
            room[row] -= length
        return [[examples[index] for index in sorted(row)] for row in rows]

    def prepare(self, model: Any) -> Any:
        """Attention stays within each sequence inside the context."""
        return packed_attention(model)

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int) -> None:
        """Two sequences packed must score as they do alone."""
        check_separate(model, [example.ids for example in examples])
        lengths = [len(example.ids) for example in examples]
        self._head.look(model, examples, max(*lengths, min(max_tokens, sum(lengths))))

    def summed_loss(self, model: Any, examples: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        """Computes logits only at the positions that predict a target."""
        segments = Segments.of([len(example.ids) for example in examples], device)
        ids = torch.tensor([[token for example in examples for token in example.ids]], device=device)
        keep: list[int] = []
        targets: list[int] = []
        start = 0
        for example in examples:
            keep += range(start + example.prompt_tokens - 1, start + len(example.ids) - 1)
            targets += example.ids[example.prompt_tokens :]
            start += len(example.ids)
        places = torch.tensor(keep, device=device)
        arguments = {"input_ids": ids, "position_ids": segments.positions, "use_cache": False, "segments": segments}
        chosen: torch.Tensor | slice = places
        if takes_logits_to_keep(model):
            arguments["logits_to_keep"], chosen = places, slice(None)
        wanted = torch.tensor(targets, device=device)
        if self._head.in_chunks(model, len(targets)):
            return summed_loss_in_chunks(model, arguments, lambda hidden: hidden[0, chosen], wanted)
        return cross_entropy(model(**arguments).logits[0, chosen].float(), wanted, reduction="sum")


def takes_logits_to_keep(model: Any) -> bool:
    """True if the model can compute logits for selected positions only."""
    import inspect

    base = base_of(model)
    return "logits_to_keep" in inspect.signature(base.forward).parameters
