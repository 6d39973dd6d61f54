"""The baselines that begin with seed data, each given as many pairs as what it is compared with.

In: a `SourceContext`, and a JSONL file of questions with answers (`source.seeds`). Out: Questions, then QAPairs. Every
class is one choice; `num_pairs` is the most that is trained on, and where seeds and draws give fewer, the run says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from crescent.core.errors import UserError
from crescent.core.store import Artifact, internal
from crescent.sources.context import SourceContext, answer_and_vote
from crescent.sources.filter_by_gold_stage import Distinct
from crescent.sources.rewrite_stage import Fobar, Rephrased, SelfVerification
from crescent.sources.seed_set import SeedSet

METAMATH_KINDS = ("seed", "rephrased", "self_verification", "fobar")


class Method(Protocol):
    """How pairs are made of seeds. `numbers_only`: it serves no other kind of answer."""

    numbers_only: ClassVar[bool]

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """The questions."""
        ...

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Pairs of the `checked` ones of `questions`."""
        ...


@dataclass(frozen=True, slots=True)
class Seeded:
    """A `source` choice that begins with seed data: the file, and what is made of it. `max_seeds` of the seeds are
    drawn (None: all), by `seed`."""

    name: str
    seeds: str
    num_pairs: int
    method: Method
    max_seeds: int | None = None
    seed: int = 0
    elicits: bool = internal(default=False)

    def __post_init__(self) -> None:
        self.seed_set.check_counts()

    @property
    def seed_set(self) -> SeedSet:
        """The file and the numbers."""
        return SeedSet(self.seeds, self.max_seeds, self.num_pairs, self.seed)

    def check(self, kind: str) -> None:
        """Raises ValueError where this kind of answer, or a line of the file, is of no use."""
        if self.method.numbers_only and kind != "number":
            raise UserError(f"source={self.name} asks for numbers backwards; domain.answer is {kind!r}, not number")
        self.seed_set.check(kind)

    def ask(self, context: SourceContext) -> Artifact:
        """The questions."""
        return self.method.ask(self.seed_set, context)

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """The pairs."""
        return self.method.label(self.seed_set, context, questions, checked)


@dataclass(frozen=True, slots=True)
class SeedGold:
    """`source=seed_gold`: the seeds with their own worked solutions; the teacher writes nothing."""

    numbers_only: ClassVar[bool] = False

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Takes the seed set's word."""
        return seeds.select(context, questions, checked, "gold", draws=0)


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """`source=teacher_answers`: the teacher answers the seeds, and what it says is believed: no gold, no vote.

    Every seed is answered once; more often, with different texts, only where that is needed for `num_pairs`. (The
    same of Crescent's own questions is source=crescent with vote=single.)
    """

    numbers_only: ClassVar[bool] = False

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Believes each draw that has an answer."""
        draws = math.ceil(seeds.num_pairs / max(1, checked.records))
        return seeds.select(context, questions, checked, "believed", draws)


@dataclass(frozen=True, slots=True)
class AnswerAugmentation:
    """`source=answer_augmentation`: rejection sampling (Yuan et al., arXiv 2308.01825, section 3.3).

    The teacher answers each seed `draws` times; draws that reach the gold answer are kept, of one seed only those that
    differ in their list of equations (`distinct=equations`, the paper's rule) or in their words (`text`).
    """

    numbers_only: ClassVar[bool] = False
    draws: int
    distinct: Distinct

    def __post_init__(self) -> None:
        _check_draws(self.draws)

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Keeps what reaches the gold answer."""
        return seeds.select(context, questions, checked, "right", self.draws, self.distinct)


@dataclass(frozen=True, slots=True)
class Rephrase:
    """`source=rephrase`: the teacher says each seed in other words `per_seed` times (`rephrase` is the prompt), answers
    what it wrote, and the majority wins as in Crescent: the gold answers are not looked at."""

    numbers_only: ClassVar[bool] = False
    per_seed: int
    rephrase: str

    def __post_init__(self) -> None:
        Rephrased(self.rephrase, self.per_seed)

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """The rephrased seeds alone."""
        return seeds.rewrite(context, (Rephrased(self.rephrase, self.per_seed),), with_seeds=False)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Answers and votes."""
        return answer_and_vote(context, checked)


@dataclass(frozen=True, slots=True)
class MetaMath:
    """`source=metamath`: the four kinds of Yu et al. (arXiv 2309.12284, section 3), kept where the teacher's answer is
    the one that must come out: the seeds answered again, rephrased seeds, and two ways to ask for one of their
    numbers (see `crescent.sources.metamath`).

    `shares` divides `num_pairs` among seed, rephrased, self_verification and fobar; what a kind cannot give (a teacher
    that rephrases badly) the others do. Up to `draws` answers of a question are kept if their texts differ, and up to
    `per_seed` questions of each other kind are made of a seed. Only numbers can be asked for backwards.
    """

    numbers_only: ClassVar[bool] = True
    draws: int
    per_seed: int
    rephrase: str
    declare: str
    verify: str
    fobar: str
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_draws(self.draws)
        if set(self.shares) != set(METAMATH_KINDS) or abs(sum(self.shares.values()) - 1) > 0.01:
            raise UserError(f"source.method.shares must name {', '.join(METAMATH_KINDS)} with shares that add up to 1")
        _ = self.ways  # building them checks their prompts

    @property
    def ways(self) -> tuple[Rephrased, SelfVerification, Fobar]:
        """How questions are made of seeds."""
        return (
            Rephrased(self.rephrase, self.per_seed),
            SelfVerification(self.declare, self.verify, self.per_seed),
            Fobar(self.fobar, self.per_seed),
        )

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """Seeds, rephrased ones, and questions asked backwards."""
        return seeds.rewrite(context, self.ways, with_seeds=True)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Keeps what reaches the answer that must come out, by shares."""
        return seeds.select(context, questions, checked, "right", self.draws, "text", self.shares)


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise UserError(f"source.method.draws is {draws}; it must be at least 1")
