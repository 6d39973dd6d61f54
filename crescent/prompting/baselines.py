"""Prompting baselines: how much better a model scores with other prompts, without any training.

In: settings, from conf/prompting. Out: a harness model that wraps another one, so that tasks and metrics stay the same.
Baselines apply to tasks whose responses commit to an answer (a task's `answers`). They do not apply to log-likelihoods,
nor to IFEval, whose checks would fail if the model is asked to reason. Cheap: the harness is imported when a model is
wrapped. `conversations` defines how each baseline talks to the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crescent.config.typed import ConfigError

if TYPE_CHECKING:
    from crescent.prompting.conversations import Method

Turn = dict[str, str]
Turns = list[Turn]


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example as turns, and the seed question it is derived from (None if there is none)."""

    turns: tuple[Turn, ...]
    cluster: str | None


@dataclass(frozen=True, slots=True)
class TaskView:
    """What a baseline may know about a task: the kinds of answer, worked examples, the seed question of each prompt.

    `clusters` maps the text of an item's last user turn to its seed question. Contains no targets.
    """

    kinds: tuple[str, ...] = ("number",)
    examples: Sequence[Example] = ()
    clusters: Mapping[str, str | None] = field(default_factory=dict)
    multiturn: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Plain:
    """No baseline: the task's own prompt."""

    name: str = "none"

    def scored_at(self, shots: int) -> bool:
        """True if it is scored with this number of worked examples."""
        return True


@dataclass(frozen=True, slots=True)
class Trigger:
    """Words after the question that make a model reason before it answers.

    "Let's think step by step." is zero-shot chain-of-thought (Kojima et al., arXiv 2205.11916); plan-and-solve (Wang et
    al., arXiv 2305.04091) asks for a plan first. Both papers then let the model continue after "Therefore, the answer
    (arabic numerals) is": `answer_trigger`, null for models that end with their answer.
    """

    name: str
    trigger: str
    answer_trigger: str | None = None
    shots: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check(self.name, "trigger", self.trigger, bool(self.trigger.strip()), "text")

    @property
    def most_answers(self) -> int:
        """Maximum number of completions per item."""
        return 1 if self.answer_trigger is None else 2

    def scored_at(self, shots: int) -> bool:
        """True if it is scored with this number of worked examples."""
        return shots in self.shots

    def method(self, task: TaskView) -> "Method":
        """The conversation that this baseline has with the model."""
        from crescent.prompting.conversations import Reason

        return Reason(self.trigger, self.answer_trigger)


@dataclass(frozen=True, slots=True)
class FewShot:
    """The same `examples` worked examples before every question, drawn once from the task's own split of shots.

    (Brown et al., arXiv 2005.14165. The harness's n-shot scores draw new examples for every item.) An example that is
    the item itself, or derived from the same seed question, is replaced by the next.
    """

    name: str = "few_shot"
    examples: int = 8
    shots: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check(self.name, "examples", self.examples, self.examples >= 1, "at least 1")
        _check(self.name, "shots", list(self.shots), self.shots == (0,), "[0]: its examples are the shots")

    @property
    def most_answers(self) -> int:
        """Maximum number of completions per item."""
        return 1

    def scored_at(self, shots: int) -> bool:
        """True if it is scored with this number of worked examples."""
        return shots in self.shots

    def method(self, task: TaskView) -> "Method":
        """The conversation that this baseline has with the model. Raises UserError if the task has too few examples."""
        from crescent.prompting.conversations import Exemplify

        return Exemplify.drawn(self.examples, task)


@dataclass(frozen=True, slots=True)
class SelfConsistency:
    """Several reasoned draws, and the answer most of them agree on (Wang et al., arXiv 2203.11171).

    The response is the first draw with that answer; a tie goes to the answer that came first.
    """

    name: str = "self_consistency"
    draws: int = 10
    temperature: float = 0.7
    top_p: float = 1.0
    trigger: str = "Let's think step by step."
    shots: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check(self.name, "draws", self.draws, self.draws >= 1, "at least 1")
        _check(self.name, "temperature", self.temperature, self.temperature > 0, "above 0: draws must differ")
        _check(self.name, "top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1")

    @property
    def most_answers(self) -> int:
        """Maximum number of completions per item."""
        return self.draws

    def scored_at(self, shots: int) -> bool:
        """True if it is scored with this number of worked examples."""
        return shots in self.shots

    def method(self, task: TaskView) -> "Method":
        """The conversation that this baseline has with the model."""
        from crescent.prompting.conversations import Agree

        return Agree(self.draws, self.temperature, self.top_p, self.trigger, task.kinds)


@dataclass(frozen=True, slots=True)
class SelfRefine:
    """An answer, the model's own criticism of it, a better answer: up to `rounds` times (Madaan et al., 2303.17651).

    It ends when the criticism contains `stop` (ignoring case).
    """

    name: str = "self_refine"
    rounds: int = 3
    trigger: str = ""
    feedback: str = ""
    refine: str = ""
    stop: str = "it is correct"
    shots: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check(self.name, "rounds", self.rounds, self.rounds >= 1, "at least 1")
        for key in ("feedback", "refine", "stop"):
            _check(self.name, key, getattr(self, key), bool(getattr(self, key).strip()), "text")

    @property
    def most_answers(self) -> int:
        """Maximum number of completions per item."""
        return 1 + 2 * self.rounds

    def scored_at(self, shots: int) -> bool:
        """True if it is scored with this number of worked examples."""
        return shots in self.shots

    def method(self, task: TaskView) -> "Method":
        """The conversation that this baseline has with the model."""
        from crescent.prompting.conversations import Refine

        return Refine(self.rounds, self.trigger, self.feedback, self.refine, self.stop)


Baseline = Trigger | FewShot | SelfConsistency | SelfRefine


@dataclass(frozen=True, slots=True)
class Prompting:
    """The `prompting` choice: the baselines that the base model is scored with, in addition to its plain scores."""

    name: str = "none"
    baselines: Mapping[str, Baseline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, baseline in self.baselines.items():
            if baseline.name != key:
                raise ConfigError(f"prompting.baselines.{key}.name is {baseline.name!r}; it must be {key!r}")


def _check(name: str, key: str, value: Any, right: bool, must: str) -> None:
    if not right:
        raise ConfigError(f"prompting.baselines.{name}.{key} is {value!r}; it must be {must}")
