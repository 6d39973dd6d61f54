"""Memory layout of one step's sequences: padded, or packed end to end.

In: examples and a limit in tokens. Out: groups of examples that fit in memory together, and values computed from the
logits of each target token of a group. Both layouts give the same values up to rounding. They are independent of what
is minimised (`objective.py`), the optimiser and the order of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from crescent.training.data import IGNORED, Example, collate
from crescent.training.head import Select, Term, is_large, takes_chunks, values_in_chunks, vectors_of
from crescent.training.packing import Segments, attention_of, check_separate, packed_attention
from crescent.training.wrapped import base_of


class Layout(Protocol):
    """A way to lay out sequences in memory."""

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """`examples` in groups of at most `max_tokens` in memory, including padding; a longer example is alone. An
        example's losing response is in its group."""
        ...

    def prepare(self, model: Any) -> Any:
        """A context in which `model` can be trained in this layout."""
        ...

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int, needs_reference: bool = False) -> None:
        """Checks the first step, with at most `max_tokens` in memory at once. `needs_reference`: `values` will be given
        the reference. Raises UserError if `model` cannot be trained in this layout."""
        ...

    def values(
        self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any, term: Term,
        beside: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """What `term` makes of each target token of `sequences`, in their order: [targets, values]. `beside` is what
        `beside` returned for the same sequences."""
        ...

    def beside(self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        """What `values` needs of `model` as the reference: the vectors that predict the target tokens [targets,
        hidden], or where logits are changed after the head, the logits."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """Inputs of the forward pass, the target tokens, and what takes the positions that predict them from logits, or
    from the input of the head."""

    inputs: dict[str, Any]
    targets: torch.Tensor
    select: Select


class _Head:
    """Whether the logits of many positions are computed in chunks. A team's processes decide alike: they see one
    step."""

    def __init__(self) -> None:
        self._takes_chunks = False

    def look(self, model: Any, examples: Sequence[Example], positions: int, needs_reference: bool) -> None:
        """Tries chunks once if a step of so many positions, or a reference, may need them."""
        needed = needs_reference or is_large(model, positions)
        self._takes_chunks = needed and takes_chunks(model, [one.ids for one in examples])

    def values(self, model: Any, row: _Row, term: Term, beside: torch.Tensor | None) -> torch.Tensor:
        if self._takes_chunks and (beside is not None or is_large(model, len(row.targets))):
            return values_in_chunks(model, row.inputs, row.select, row.targets, term, beside)
        return term(row.select(model(**row.inputs).logits).float(), row.targets, beside)

    def beside(self, model: Any, row: _Row) -> torch.Tensor:
        if self._takes_chunks:
            return vectors_of(model, row.inputs, row.select)
        return row.select(model(**row.inputs).logits).float()


class PaddedLayout:
    """One sequence per row, padded on the right."""

    def __init__(self) -> None:
        self._head = _Head()

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """Groups neighbours: the plan sorts a step by length, so neighbours need little padding."""
        groups: list[list[Example]] = []
        longest = rows = 0
        for example in examples:
            longest, rows = max(longest, example.longest), rows + len(example.sequences)
            if groups and longest * rows <= max_tokens:
                groups[-1].append(example)
            else:
                groups.append([example])
                longest, rows = example.longest, len(example.sequences)
        return groups

    def prepare(self, model: Any) -> Any:
        """No-op context."""
        return attention_of(model)

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int, needs_reference: bool = False) -> None:
        """Works for any causal model, whose attention never looks to the right, where all padding is."""
        longest, rows = max(one.longest for one in examples), sum(len(one.sequences) for one in examples)
        self._head.look(model, examples, max(longest, min(max_tokens, longest * rows)), needs_reference)

    def values(
        self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any, term: Term,
        beside: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Computes logits only from the first position that predicts a target of any row."""
        return self._head.values(model, self._rows(model, sequences, pad_id, device), term, beside)

    def beside(self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        return self._head.beside(model, self._rows(model, sequences, pad_id, device))

    def _rows(self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any) -> _Row:
        ids, labels = collate(sequences, pad_id, device)
        first = min(one.prompt_tokens for one in sequences)  # no logits are needed before the token that predicts the
        assert first > 0, "a chat template renders a prompt of at least one token"  # first target
        keeps, inputs = takes_logits_to_keep(model), {"input_ids": ids, "use_cache": False}
        if keeps:
            inputs["logits_to_keep"] = ids.shape[1] - first + 1
        skipped = 0 if keeps else first - 1
        wanted = labels[:, first:] != IGNORED
        return _Row(inputs, labels[:, first:][wanted], lambda found: found[:, skipped:-1][wanted])


class PackedLayout:
    """All sequences end to end in one row; positions restart with each, and attention stays within each."""

    def __init__(self) -> None:
        self._head = _Head()

    def groups(self, examples: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        """Few rows of at most `max_tokens`: longest first, each into the first row with room."""
        rows: list[list[int]] = []
        room: list[int] = []
        for index in sorted(range(len(examples)), key=lambda index: -examples[index].tokens):
            length = examples[index].tokens
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

    def check(self, model: Any, examples: Sequence[Example], max_tokens: int, needs_reference: bool = False) -> None:
        """Two sequences packed must score as they do alone."""
        check_separate(model, [one.ids for example in examples for one in example.sequences])
        lengths = [example.tokens for example in examples]
        self._head.look(model, examples, max(*lengths, min(max_tokens, sum(lengths))), needs_reference)

    def values(
        self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any, term: Term,
        beside: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Computes logits only at the positions that predict a target."""
        return self._head.values(model, self._row(model, sequences, device), term, beside)

    def beside(self, model: Any, sequences: Sequence[Example], pad_id: int, device: Any) -> torch.Tensor:
        return self._head.beside(model, self._row(model, sequences, device))

    def _row(self, model: Any, sequences: Sequence[Example], device: Any) -> _Row:
        segments = Segments.of([len(one.ids) for one in sequences], device)
        ids = torch.tensor([[token for one in sequences for token in one.ids]], device=device)
        keep: list[int] = []
        targets: list[int] = []
        start = 0
        for one in sequences:
            keep += range(start + one.prompt_tokens - 1, start + len(one.ids) - 1)
            targets += one.ids[one.prompt_tokens :]
            start += len(one.ids)
        places = torch.tensor(keep, device=device)
        inputs = {"input_ids": ids, "position_ids": segments.positions, "use_cache": False, "segments": segments}
        chosen: torch.Tensor | slice = places
        if takes_logits_to_keep(model):
            inputs["logits_to_keep"], chosen = places, slice(None)
        return _Row(inputs, torch.tensor(targets, device=device), lambda found: found[0, chosen])


def takes_logits_to_keep(model: Any) -> bool:
    """True if the model can compute logits for selected positions only."""
    import inspect

    base = base_of(model)
    return "logits_to_keep" in inspect.signature(base.forward).parameters
