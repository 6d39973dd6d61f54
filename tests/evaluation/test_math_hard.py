"""eval=math_hard from local files: the harness's tasks, right and wrong answers told apart by value."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crescent.config.composing import composed
from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness
from crescent.evaluation.extraction import CrescentAnswers
from crescent.evaluation.many_samples import combine
from crescent.evaluation.metrics import primaries
from crescent.evaluation.settings import EvaluationSettings
from crescent.experiment import Experiment

from .general_files import settings, write

SUITE = composed(["eval=math_hard"])["eval"]
TASKS = tuple(SUITE["tasks"])
# gold answer, response, and whether the response is right
MATH = [
    (r"\frac{1}{2}", "Half of them. The answer is 0.5.", True),
    (r"\sqrt{8}", r"So it is $\boxed{2\sqrt{2}}$.", True),
    (r"[-2,7]", r"Hence $x$ lies in \boxed{(-2,7)}.", False),
    (r"5 \text{ cm}", r"Its length is \boxed{5}.", True),
    (r"\text{Evelyn}", r"**Final answer:** Evelyn", True),
    (r"x^3+3x-6", r"We get \boxed{x^3+3x+6}, not $x^3+3x-6$.", False),
]
AIME = [(204, r"In total $9 + 195 = \boxed{204}$ minutes.", True), (33, "The answer is 033.", True),
        (33, "The answer is 33/2.", False)]  # fmt: skip


class Scripted:
    """An engine that gives each problem its response; its model and tokenizer are real, for limits and templates."""

    name, deterministic, identity = "scripted", True, "scripted"

    def __init__(self, engine: TransformersEngine, responses: Sequence[str]) -> None:
        self.model, self.tokenizer, self.config = engine.model, engine.tokenizer, engine.config
        self._responses = responses
        self.limits: list[int] = []

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        self.limits.append(sampling.max_new_tokens)
        texts = [prompt if isinstance(prompt, str) else prompt.text for prompt in prompts]
        numbers = [next(n for n in range(len(self._responses)) if f"Problem {n} is" in text) for text in texts]
        return [Completion(self._responses[number], "stop", 1, 1, -1.0) for number in numbers]

    def close(self) -> None: ...


def problem(number: int) -> str:
    return f"Problem {number} is hard. What is $x$?"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with the fields of the hub's data sets."""
    folder = tmp_path_factory.mktemp("benchmarks")
    math = [
        {"problem": problem(n), "solution": rf"We find $\boxed{{{gold}}}.$", "answer": gold, "level": 5}
        for n, (gold, *_) in enumerate(MATH)
    ]
    write(folder / "math_500" / "test.jsonl", math)
    golds = [gold for gold, *_ in AIME]
    of_2024 = [{"Problem": problem(n), "Answer": gold, "Solution": "Long."} for n, gold in enumerate(golds)]
    write(folder / "aime" / "2024.jsonl", of_2024)
    write(
        folder / "aime" / "2025.jsonl", [{"problem": problem(n), "answer": str(gold)} for n, gold in enumerate(golds)]
    )
    return folder


def suite(files: Path, *tasks: str, **options: Any) -> EvaluationSettings:
    return settings(files, *(tasks or TASKS), **{"shots": (0,), "max_new_tokens": 64, **options})


def score(files: Path, task: str, engine: Any, **options: Any) -> harness.TaskResult:
    chosen = suite(files, task, **options)
    ((source, shots),) = harness.plan(chosen)
    return harness.score_task(source, shots, chosen, engine, Console(quiet=True))


def test_the_suite_passes_its_checks(files: Path) -> None:
    harness.check(suite(files))


@pytest.mark.parametrize(
    ("task", "items"), [("hendrycks_math500", MATH), ("math500_minerva", MATH), ("aime24", AIME), ("aime25", AIME)]
)
def test_answers_equal_to_the_gold_one_are_right_and_others_wrong(
    task: str, items: Sequence[tuple[Any, str, bool]], files: Path, engine: TransformersEngine
) -> None:
    scripted = Scripted(engine, [response for _, response, _ in items])
    result = score(files, task, scripted)
    verdicts = [sample["metrics"]["exact_match,crescent"] for sample in result.samples]
    assert verdicts == [float(right) for *_, right in items]
    assert all("exact_match,none" in sample["metrics"] for sample in result.samples)  # the harness's own
    marked = zip(result.scores, primaries(result.scores, SUITE["primary"]), strict=True)
    assert [f"{one.metric},{one.filter}" for one, primary in marked if primary] == ["exact_match,crescent"]
    assert scripted.limits == [64]  # no task has a limit of its own


def test_aime_differs_from_the_harness_only_in_its_limit_and_filters() -> None:
    ours = catalogue.find(EvaluationSettings("x", ("aime24", "aime25"), tuple(SUITE["task_folders"])))
    for source, theirs in zip(ours, catalogue.find(EvaluationSettings("x", ("aime24", "aime25"))), strict=True):
        changed = {key for key in source.config if source.config[key] != theirs.config.get(key)}
        assert changed == {"generation_kwargs", "filter_list"}
        assert {**source.config["generation_kwargs"], "max_gen_toks": 32768} == theirs.config["generation_kwargs"]


def test_minervas_four_examples_come_before_the_problem(files: Path, engine: TransformersEngine) -> None:
    scripted = Scripted(engine, [response for _, response, _ in MATH])
    made = score(files, "math500_minerva", scripted, shots=(4,), limit=1, max_new_tokens=8, chat_template=False)
    prompt = made.samples[0]["prompt"]
    assert prompt.startswith("Problem:\nFind the domain") and prompt.count("\n\nSolution: ") == 4
    assert prompt.endswith(f" I hope it is correct.\n\nProblem:\n{problem(0)}\n\nSolution:")


@pytest.mark.parametrize(
    ("answer", "target", "right"),
    [
        (r"\boxed{90}", r"90^\circ", True),
        (r"\boxed{15\text{ cm}^2}", r"15\mbox{ cm}^2", True),
        (r"\boxed{5\text{ m}}", r"5\text{ cm}", False),
        (r"\boxed{\{1,2\}}", "(1,2)", False),
        (r"\boxed{1.41421356}", r"\sqrt{2}", False),
        ("I do not know.", "7", False),
        ("First 5 * 45.\nSo, there are 225 ways to choose them.", "225", True),
        ("So, there are 225 ways to choose them.", "ways to choose them", False),
        ("They chose\nthe red team", r"\text{the red team}", True),
    ],
)
def test_symbolic_equality_forgives_spelling_and_a_missing_unit(answer: str, target: str, right: bool) -> None:
    reader = CrescentAnswers("expression", target="answer", equality="symbolic")
    assert (reader.apply([[answer]], [{"answer": target}]) == [[target]]) == right


def test_equal_wrong_answers_vote_together_and_whole_responses_do_not_vote() -> None:
    said = [r"\sqrt{2}/2", r"\frac{1}{\sqrt{2}}", "7"]
    runs = [
        [{"response": answer, "filtered": {"crescent": answer, "none": answer},
          "metrics": {f"exact_match,{name}": float(answer == "7") for name in ("crescent", "none")}}]
        for answer in ["7", *said[:2]]
    ]  # fmt: skip
    assert combine(runs, True)[0]["metrics"]["exact_match_maj@3,crescent"] == 1.0
    metrics = combine(runs, True, "symbolic")[0]["metrics"]
    assert metrics["exact_match_maj@3,crescent"] == 0.0 and "exact_match_maj@3,none" not in metrics


def test_a_row_without_what_the_tasks_code_reads_is_named_by_line(files: Path, tmp_path: Path) -> None:
    write(tmp_path / "math_500" / "test.jsonl", [{"problem": "x?", "answer": "7"}])
    with pytest.raises(UserError, match=r"test.jsonl:1: task hendrycks_math500 needs solution; the line has problem"):
        harness.check(suite(tmp_path, "hendrycks_math500"))


def test_limits_that_a_model_has_no_room_for_are_refused_before_it_is_loaded() -> None:
    context = 2048  # of the organism
    experiment(f"eval.max_new_tokens={context - 1}").check_tokens()
    with pytest.raises(ValueError, match=r"hendrycks_math500: 2048 new tokens do not fit the context of 2048 of model"):
        experiment(f"eval.max_new_tokens={context}").check_tokens()
    with pytest.raises(ValueError, match=r"lower eval.max_new_tokens.* model.thinking_tokens"):
        experiment(f"eval.max_new_tokens={context - 1}", "model.thinking_tokens=1").check_tokens()


def experiment(*overrides: str) -> Experiment:
    return Experiment.from_node(composed(["eval=math_hard", *overrides]))


def test_without_math_verify_the_check_says_what_to_install(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(UserError, match=r"hendrycks_math500 needs math-verify .*crescent-lm\[symbolic\]"):
        harness.check(suite(files))
