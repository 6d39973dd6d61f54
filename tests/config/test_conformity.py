"""Classes of the user's own: what they lack is said before anything loads, and what does is taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from configured import composed

from crescent.config.typed import ConfigError
from crescent.contamination import Check
from crescent.experiment import Experiment, Job
from crescent.voting.rules import Majority

HERE = __name__


@dataclass(frozen=True)
class Nothing:
    name: str = "nothing"


@dataclass(frozen=True)
class RuleWithoutMethods:
    name: str = "mine"
    draws: int = 3


@dataclass(frozen=True)
class RuleOfOtherForms:
    name: str = "mine"
    decide: int = 1

    def draws(self) -> int:
        return 3

    def wanted(self, solutions: Sequence[Any]) -> int:
        return 0


@dataclass(frozen=True)
class WholeRule:
    """The same members in other forms that serve: a property, more parameters, other names."""

    @property
    def name(self) -> str:
        raise RuntimeError("not read before it is needed")

    draws: int = 3

    def wanted(self, made: Sequence[Any], answers: Sequence[Any], more: bool = False) -> int:
        return 0

    def decide(self, *seen: Any) -> None: ...


@dataclass(frozen=True)
class RuleByInheritance(Majority):
    extra: int = 1


@dataclass(frozen=True)
class OwnCheck:
    min_cosine: float = 0.9
    run_words: int = 8
    drops: bool = False
    name: str = "own"


def with_target(path: str, target: str, *overrides: str) -> Job:
    """The default run with a node of nothing but a `_target_` at `path`."""
    node = composed(*overrides)
    *parents, last = path.split(".")
    at = node
    for key in parents:
        at = at[key]
    at[last] = {"_target_": target}
    return Job.from_node(node)


def refused(path: str, target: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        with_target(path, target, *overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_rule_without_its_methods_is_refused_with_what_they_are() -> None:
    assert refused("vote", f"{HERE}.RuleWithoutMethods") == (
        f"vote._target_ is '{HERE}.RuleWithoutMethods', which has no decide(solutions, answers), "
        "wanted(solutions, answers); see crescent.voting.rules.Rule"
    )


def test_members_of_another_form_are_named() -> None:
    message = refused("vote", f"{HERE}.RuleOfOtherForms")
    assert "has a field decide instead of a method decide(solutions, answers)" in message
    assert "has a method draws instead of a field or property" in message
    assert "cannot be called as wanted(solutions, answers)" in message


@pytest.mark.parametrize(
    ("path", "lacking", "overrides"),
    [
        ("engine", "build(weights, identity)", ()),
        ("dedup", "open(tools)", ()),
        ("source", "ask(context)", ()),
        ("source.method", "label(seeds, context, questions, checked)", ("source=rephrase",)),
        ("oracle", "truth(question)", ()),
        ("contamination", "run_words", ()),
        ("runtime", "start()", ()),
        ("tracking", "start(folder, config, group, job)", ()),
        ("train.method", "load(weights)", ()),
        ("train.batching", "layout()", ()),
        ("prompting", "baselines", ()),
        ("embedder", "build(folder, encoder)", ()),
    ],
)
def test_what_a_class_lacks_is_told_for_every_group(path: str, lacking: str, overrides: tuple[str, ...]) -> None:
    message = refused(path, f"{HERE}.Nothing", *overrides)
    assert message.startswith(f"{path}._target_ is '{HERE}.Nothing', which has no ") and lacking in message


@pytest.mark.parametrize("rule", ["WholeRule", "RuleByInheritance"])
def test_a_rule_of_ones_own_with_all_it_needs_is_taken(rule: str) -> None:
    assert type(with_target("vote", f"{HERE}.{rule}").experiment.vote).__name__ == rule


def test_a_class_with_the_members_of_ours_stands_in_its_place() -> None:
    made = with_target("contamination", f"{HERE}.OwnCheck").experiment
    assert isinstance(made, Experiment) and not isinstance(made.contamination, Check)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import no_such_package", "MODULE cannot be imported (No module named 'no_such_package')"),
        ("def (", "MODULE cannot be imported (SyntaxError: invalid syntax (MODULE.py, line 1))"),
        ("x = 1", "there is no such class to import"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_from_one_that_is_not_there(
    content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"own_module_{len(content)}"
    (tmp_path / f"{module}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    assert refused("vote", f"{module}.Rule") == f"vote._target_ is '{module}.Rule'; {reason}".replace("MODULE", module)
    assert "there is no such class to import" in refused("vote", "no_module.Rule")
