"""The records that flow between stages, and their form on disk: one JSON object per line.

Frozen dataclasses, `encode` and `decode`, and `text_id`, the identity of a text. Every field is a plain JSON value, so
any tool can read the files. Imports no other part of Crescent.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

Verdict = Literal["accepted", "rewritten", "dropped", "invalid"]
BALLOTS = "ballots.jsonl"  # in the artifact of QAPairs: how the draws of every question voted
GOLDS = "golds.jsonl"  # in the artifact of Questions from a seed set: their gold answers


class Record(Protocol):
    """Any dataclass of this module."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


def added_later(default: Any) -> Any:
    """A field that records did not always have: left out on disk at its default, so earlier files stay readable and
    equal."""
    return field(default=default, metadata={"added_later": True})


def text_id(*texts: str) -> str:
    """Identity of one or more texts: 16 hexadecimal digits of sha256 (two texts collide with probability 2^-64)."""
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """One completion of the bait prompt, unprocessed. `draw` counts over the whole stream of a bait."""

    draw: int
    text: str
    finish_reason: str
    new_tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question kept in the pool. `parent_id` is the question it rewrites; None if it is as elicited."""

    id: str
    text: str
    round: int
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What diversification did with one candidate, and why.

    `nearest_id` and `cosine` describe the accepted neighbour in the *last* comparison (None and 0.0 if the pool was
    empty; also 0.0 if the strategy computes no cosine). `rewrites` counts how often the model was asked to modify the
    candidate. For a rewritten candidate, `question_id` is the question that was kept and `text` the original text.
    """

    question_id: str
    verdict: Verdict
    nearest_id: str | None
    cosine: float
    rewrites: int
    reason: str
    text: str
    round: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A generated question that resembles a benchmark item: both texts, their cosine, and why it counts as a hit."""

    question_id: str
    question: str
    task: str
    item: int
    item_text: str
    cosine: float
    reason: str


@dataclass(frozen=True, slots=True)
class Solution:
    """One draw of the model's answer to a question. `mean_logprob` is in nats per generated token."""

    question_id: str
    draw: int
    text: str
    finish_reason: str
    new_tokens: int
    mean_logprob: float


@dataclass(frozen=True, slots=True)
class Ballot:
    """How the draws of one question voted. `chosen` is the draw used as training response; None if there is no pair."""

    question_id: str
    answers: tuple[str | None, ...]
    answer: str | None
    votes: int
    draws: int
    agreement: float
    chosen: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class QAPair:
    """A training pair: the plain question, and a response that reached the winning answer.

    `agreement` is votes / draws; draws without an answer count in `draws`. `rejected` is a response that lost the vote
    (None: there is none, or no objective asked for it), and `margin` by what share of the draws its answer lost.
    """

    question_id: str
    question: str
    response: str
    answer: str
    votes: int
    draws: int
    agreement: float
    rejected: str | None = added_later(None)
    margin: float = added_later(0.0)


@dataclass(frozen=True, slots=True)
class Gold:
    """A seed set's answer to one question, and its worked solution ("" unless the question is itself a seed).

    `kind` is the question's origin: seed, rephrased, self_verification, fobar.
    """

    question_id: str
    answer: str
    solution: str
    kind: str


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one task, as lm-evaluation-harness reports it.

    `model` is teacher (wrote the data), base (the student before training) or student. Exactly one Score per (model,
    iteration, prompting, task, shots) is `primary`.
    """

    model: str
    iteration: int
    prompting: str
    task: str
    shots: int
    metric: str
    filter: str
    primary: bool
    value: float
    stderr: float
    n: int


@dataclass(frozen=True, slots=True)
class TrainStep:
    """One optimiser step, counted from 1 over all epochs. `loss` is what was minimised: with objective=sft nats per
    target token of the step's batch. `metrics` are further figures of the step, by name."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    target_tokens: int
    metrics: Mapping[str, float] | None = added_later(None)


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One metric of one task under one filter, before a model is assigned and the primary metric is chosen.

    `value` and `stderr` are in the metric's own unit (a share for exact match and accuracy); `stderr` is 0 if the
    harness gives none. `n` counts items.
    """

    task: str
    shots: int
    metric: str
    filter: str
    value: float
    stderr: float
    n: int


def encode(record: Record) -> str:
    """One line of JSON, with fields in order of declaration; those that were added later only if they say something."""
    defaults = _defaults(type(record))
    row = {name: value for name, value in asdict(record).items() if name not in defaults or value != defaults[name]}
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def decode(kind: type[R], row: Mapping[str, Any]) -> R:
    """A record from a parsed line. Raises ValueError naming missing and unknown fields."""
    names = {one.name for one in fields(kind)}
    missing, unknown = sorted(names - row.keys() - _defaults(kind).keys()), sorted(row.keys() - names)
    if missing or unknown:
        raise ValueError(f"not a {kind.__name__}: missing {missing}, unknown {unknown}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})


@cache
def _defaults(kind: type[Record]) -> Mapping[str, Any]:
    """The fields that were added later, with their defaults."""
    return {one.name: one.default for one in fields(kind) if one.metadata.get("added_later")}


def decode_lines(kind: type[R], lines: Iterable[str]) -> Iterator[R]:
    return (decode(kind, json.loads(line)) for line in lines)


def read_golds(folder: Path) -> list[Gold]:
    """The golds in an artifact's folder; the artifact must come from a seed set."""
    with open(folder / GOLDS, encoding="utf-8") as lines:
        return list(decode_lines(Gold, lines))
