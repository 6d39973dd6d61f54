"""Converts question-and-response pairs to token ids and labels with the model's own chat template.

In: `QAPair`s and a tokenizer. Out: `Example`s whose loss covers exactly the response and its end-of-turn token, and
padded batches of them. Independent of the model and the order of training (see `batch_schedule.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from crescent.core.records import QAPair
from crescent.training.encoding import Coded, Encoder
from crescent.training.settings import Overlong, Reasoning

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a position without loss, as in torch's cross entropy."""


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence. The first `prompt_tokens` ids carry no loss, all others do. `rejected` is the sequence of the same
    prompt with a losing response, if the objective contrasts the two; `weight` is how much that counts."""

    question_id: str
    ids: tuple[int, ...]
    prompt_tokens: int
    rejected: "Example | None" = None
    weight: float = 1.0

    @property
    def target_tokens(self) -> int:
        """Number of ids of this sequence that carry loss."""
        return len(self.ids) - self.prompt_tokens

    @property
    def sequences(self) -> "tuple[Example, ...]":
        """The sequences that are in memory together: this one, and the rejected one."""
        return (self,) if self.rejected is None else (self, self.rejected)

    @property
    def longest(self) -> int:
        """Number of ids of the longest of `sequences`."""
        return max(len(one.ids) for one in self.sequences)

    @property
    def tokens(self) -> int:
        """Number of ids in all `sequences`."""
        return sum(len(one.ids) for one in self.sequences)

    @property
    def labels(self) -> tuple[int, ...]:
        """One label per id, not shifted."""
        return (IGNORED,) * self.prompt_tokens + self.ids[self.prompt_tokens :]


@dataclass(slots=True)
class Encoded:
    """The usable examples, and the question ids of pairs that were cut (`truncated`) or dropped.

    `too_long`: the pair is longer than `max_length`, or the prompt alone fills it so that no target would be left.
    `unsafe`: the text itself spells a control token of the template, such as an end of turn. `stripped` counts
    responses whose thoughts are not targets, `unthinking` targets that begin with an empty thought.
    """

    examples: list[Example]
    truncated: list[str]
    too_long: list[str]
    unsafe: list[str]
    stripped: int = 0
    unthinking: int = 0

    def add(self, pair: QAPair, chosen: Coded, rejected: Coded | None) -> None:
        """Adds a pair as an example, or to the list that says why it is none."""
        parts = [chosen] if rejected is None else [chosen, rejected]
        self.stripped += chosen.target.is_stripped
        self.unthinking += chosen.target.is_unthinking
        faults = {part.fault for part in parts}
        if "unsafe" in faults:
            self.unsafe.append(pair.question_id)
        elif "too long" in faults:
            self.too_long.append(pair.question_id)
        else:
            if any(part.is_cut for part in parts):
                self.truncated.append(pair.question_id)
            won, *lost = (Example(pair.question_id, part.ids, part.prompt_tokens) for part in parts)
            self.examples.append(replace(won, rejected=lost[0], weight=pair.margin) if lost else won)

    @property
    def dropped(self) -> int:
        """Number of pairs not trained on."""
        return len(self.too_long) + len(self.unsafe)


def encode_pairs(
    pairs: Sequence[QAPair],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    overlong: Overlong = "drop",
    reasoning: Reasoning = "strip",
    contrasts: bool = False,
) -> Encoded:
    """Returns examples in the order of `pairs`, with their losing responses if the objective `contrasts`. Raises
    UserError if the template does not allow a loss mask.

    A pair of which a response makes more than `max_length` tokens is dropped, or with `overlong="cut"` trained on
    without its end, which contains the answer.
    """
    encoder = Encoder(tokenizer, max_length, overlong, reasoning)
    chosen = encoder.encode([((pair.question, pair.response),) for pair in pairs])
    losing = [pair for pair in pairs if contrasts and pair.rejected is not None]
    rejected = iter(encoder.encode([((pair.question, pair.rejected or ""),) for pair in losing]))
    encoded = Encoded([], [], [], [])
    for pair, one in zip(pairs, chosen, strict=True):
        encoded.add(pair, one, next(rejected) if contrasts and pair.rejected is not None else None)
    return encoded


def collate(
    examples: Sequence[Example], pad_id: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns (ids, labels), both int64 of shape (examples, longest), padded on the right.

    No attention mask is needed: causal attention never looks to the right, where all padding is.
    """
    longest = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + (pad_id,) * (longest - len(example.ids)) for example in examples])
    labels = torch.tensor([example.labels + (IGNORED,) * (longest - len(example.ids)) for example in examples])
    return ids.to(device), labels.to(device)
