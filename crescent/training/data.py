"""Converts question-and-response pairs to token ids and labels with the model's own chat template.

In: `QAPair`s and a tokenizer. Out: `Example`s whose loss covers exactly the response and its end-of-turn token, and
padded batches of them. Independent of the model and the order of training (see `batch_schedule.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from crescent.core.records import QAPair
from crescent.training.encoding import Coded, Encoder
from crescent.training.retention import NONE, Retention
from crescent.training.settings import Overlong, Reasoning, TrainSettings
from crescent.training.shots import behind_others
from crescent.training.targets import Turns

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
    responses whose thoughts are not targets, `unthinking` targets that begin with an empty thought, `with_shots`
    examples behind other pairs.
    """

    examples: list[Example]
    truncated: list[str]
    too_long: list[str]
    unsafe: list[str]
    stripped: int = 0
    unthinking: int = 0
    with_shots: int = 0

    def add(self, pair: QAPair, parts: Sequence[Coded]) -> bool:
        """Adds a pair as an example (True), or to the list that says why it is none."""
        self.stripped += parts[0].target.is_stripped
        self.unthinking += parts[0].target.is_unthinking
        faults = {part.fault for part in parts}
        if "unsafe" in faults:
            self.unsafe.append(pair.question_id)
        elif "too long" in faults:
            self.too_long.append(pair.question_id)
        else:
            if any(part.is_cut for part in parts):
                self.truncated.append(pair.question_id)
            self.examples.append(_example(pair, parts))
        return faults == {None}

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
    retain: Retention = NONE,
    seed: int = 0,
) -> Encoded:
    """Returns examples in the order of `pairs`, with their losing responses if the objective `contrasts`, and some of
    them behind other pairs if `retain` says so. Raises UserError if the template does not allow a loss mask.

    A pair of which a response makes more than `max_length` tokens is dropped, or with `overlong="cut"` trained on
    without its end, which contains the answer.
    """
    encoder = Encoder(tokenizer, max_length, overlong, reasoning)

    def coded(turns: Sequence[tuple[QAPair, Turns]]) -> Iterator[list[Coded]]:
        """The winning response of each pair, and the losing one."""
        chosen = encoder.encode([(*earlier, (pair.question, pair.response)) for pair, earlier in turns])
        losing = [(*earlier, (pair.question, pair.rejected)) for pair, earlier in turns if contrasts and pair.rejected]
        rejected = iter(encoder.encode(losing))
        for (pair, _), one in zip(turns, chosen, strict=True):
            yield [one, next(rejected)] if contrasts and pair.rejected else [one]

    def behind(turns: Sequence[tuple[QAPair, Turns]]) -> list[Example | None]:
        return [
            None if any(one.fault or one.is_cut for one in parts) else _example(pair, parts)
            for (pair, _), parts in zip(turns, coded(turns), strict=True)
        ]

    encoded, kept = Encoded([], [], [], []), list[QAPair]()
    for pair, parts in zip(pairs, coded([(pair, ()) for pair in pairs]), strict=True):
        if encoded.add(pair, parts):
            kept.append(pair)
    if retain.share > 0:
        encoded.examples, encoded.with_shots = behind_others(encoded.examples, kept, retain, seed, behind)
    return encoded


def encode_for(settings: TrainSettings, pairs: Sequence[QAPair], tokenizer: "PreTrainedTokenizerBase") -> Encoded:
    """`encode_pairs` as these settings ask for it."""
    return encode_pairs(
        pairs, tokenizer, settings.max_length, settings.overlong, settings.reasoning, settings.objective.contrasts,
        settings.retain, settings.seed,
    )  # fmt: skip


def _example(pair: QAPair, parts: Sequence[Coded]) -> Example:
    won, *lost = (Example(pair.question_id, part.ids, part.prompt_tokens) for part in parts)
    return replace(won, rejected=lost[0], weight=pair.margin) if lost else won


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
