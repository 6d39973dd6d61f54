"""The baselines that start from seed data; each gets as many pairs as the run it is compared with.

In: a `SourceContext`, and a JSONL file of questions with answers (`source.seeds`). Out: Questions, then QAPairs. Every
class is one choice; `num_pairs` is the maximum to train on, and a run reports if seeds and draws give fewer.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from crescent.core.errors import UserError
from crescent.core.store import Artifact, internal
from crescent.sources.context import Loses, SourceContext, answer_and_vote
from crescent.sources.filter_by_gold_stage import Distinct
from crescent.sources.rewrite_stage import Fobar, Rephrased, SelfVerification
from crescent.sources.seed_set import SeedSet

METAMATH_KINDS = ("seed", "rephrased", "self_verification", "fobar")


class Method(Protocol):
    """How pairs are made from seeds. `numbers_only`: supports no other answer kind. `judged_by`: what some draws of a
    question lose to, see `Loses`."""

    numbers_only: ClassVar[bool]
    judged_by: ClassVar[Loses]

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """Returns the questions."""
        ...

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Returns pairs for the `checked` subset of `questions`."""
        ...


@dataclass(frozen=True, slots=True)
class Seeded:
    """A `source` choice that starts from seed data: the file, and what is made from it. `max_seeds` seeds are sampled
    with `seed` (None: all)."""

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

    @property
    def judged_by(self) -> Loses:
        """As for its method; a method that does not say votes."""
        return getattr(self.method, "judged_by", "vote")

    def check(self, kind: str) -> None:
        """Raises UserError if the answer kind is not supported, or a line of the file is invalid."""
        if self.method.numbers_only and kind != "number":
            raise UserError(
                f"source={self.name} makes backward questions; domain.answer is {kind!r}, but must be number"
            )
        self.seed_set.check(kind)

    def ask(self, context: SourceContext) -> Artifact:
        return self.method.ask(self.seed_set, context)

    def label(self, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        return self.method.label(self.seed_set, context, questions, checked)


@dataclass(frozen=True, slots=True)
class SeedGold:
    """`source=seed_gold`: the seeds with their own worked solutions; the teacher writes nothing."""

    numbers_only: ClassVar[bool] = False
    judged_by: ClassVar[Loses] = None

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Uses the seed set's solutions."""
        return seeds.select(context, questions, checked, "gold", draws=0)


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """`source=teacher_answers`: the teacher answers the seeds, and its answers are believed: no gold, no vote.

    Every seed is answered once; more often, with different texts, only if necessary for `num_pairs`. (The same for
    Crescent's own questions is source=crescent with vote=single.)
    """

    numbers_only: ClassVar[bool] = False
    judged_by: ClassVar[Loses] = None

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Keeps every draw that has an answer."""
        draws = math.ceil(seeds.num_pairs / max(1, checked.records))
        return seeds.select(context, questions, checked, "believed", draws)


@dataclass(frozen=True, slots=True)
class AnswerAugmentation:
    """`source=answer_augmentation`: rejection sampling (Yuan et al., arXiv 2308.01825, section 3.3).

    The teacher answers each seed `draws` times. Draws that reach the gold answer are kept, per seed only those that
    differ in their list of equations (`distinct=equations`, the paper's rule) or in their words (`text`).
    """

    numbers_only: ClassVar[bool] = False
    judged_by: ClassVar[Loses] = "gold"
    draws: int
    distinct: Distinct

    def __post_init__(self) -> None:
        _check_draws(self.draws)

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        return seeds.ask(context)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Keeps draws that reach the gold answer."""
        return seeds.select(context, questions, checked, "right", self.draws, self.distinct)


@dataclass(frozen=True, slots=True)
class Rephrase:
    """`source=rephrase`: the teacher rephrases each seed `per_seed` times (`rephrase` is the prompt) and answers its
    rephrasings; the majority wins as in Crescent. The gold answers are not used."""

    numbers_only: ClassVar[bool] = False
    judged_by: ClassVar[Loses] = "vote"
    per_seed: int
    rephrase: str

    def __post_init__(self) -> None:
        Rephrased(self.rephrase, self.per_seed)

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """Only the rephrased seeds."""
        return seeds.rewrite(context, (Rephrased(self.rephrase, self.per_seed),), with_seeds=False)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        return answer_and_vote(context, checked)


@dataclass(frozen=True, slots=True)
class MetaMath:
    """`source=metamath`: the four kinds of Yu et al. (arXiv 2309.12284, section 3): the seeds answered again, rephrased
    seeds, and two ways to ask for one of their numbers (see `crescent.sources.metamath`). Pairs are kept if the
    teacher's answer is the expected one.

    `shares` divides `num_pairs` among seed, rephrased, self_verification and fobar; what one kind cannot supply (a
    teacher that rephrases badly) the others do. Up to `draws` answers of a question are kept if their texts differ, and
    up to `per_seed` questions of each other kind are made per seed. Backward questions need numbers.
    """

    numbers_only: ClassVar[bool] = True
    judged_by: ClassVar[Loses] = "gold"
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
        """How questions are made from seeds."""
        return (
            Rephrased(self.rephrase, self.per_seed),
            SelfVerification(self.declare, self.verify, self.per_seed),
            Fobar(self.fobar, self.per_seed),
        )

    def ask(self, seeds: SeedSet, context: SourceContext) -> Artifact:
        """Seeds, rephrasings, and backward questions."""
        return seeds.rewrite(context, self.ways, with_seeds=True)

    def label(self, seeds: SeedSet, context: SourceContext, questions: Artifact, checked: Artifact) -> Artifact:
        """Keeps draws that reach the expected answer, by shares."""
        return seeds.select(context, questions, checked, "right", self.draws, "text", self.shares)


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise UserError(f"source.method.draws is {draws}; it must be at least 1")
