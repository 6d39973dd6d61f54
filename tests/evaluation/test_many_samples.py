"""mean@k with the standard error of items, pass@k and maj@k."""

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from stage_context import closable, stage_context

from crescent.core.console import Console
from crescent.core.records import TaskScore
from crescent.core.store import Store
from crescent.engines import Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation.many_samples import combine, combine_scores
from crescent.evaluation.model import HarnessModel
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate, read_samples

from .conftest import SUMS

# answers of two items in four samples, the right ones "7" and "B"
SAID = [["7", "8", "7", "[invalid]"], ["[invalid]", "[invalid]", "B", "[invalid]"]]
RIGHT = ["7", "B"]


def samples(answers: list[list[str]], right: list[str]) -> list[list[dict[str, Any]]]:
    return [
        [
            {
                "task": "t", "doc_id": item, "response": f"#### {said[draw]}", "filtered": {"f": said[draw]},
                "metrics": {"exact_match,f": float(said[draw] == right[item]), "length,f": 0.25 * draw},
                "prompt_tokens": 10, "new_tokens": draw, "thought_tokens": 2 * draw, "cut_at_limit": draw == 3,
            }
            for item, said in enumerate(answers)
        ]
        for draw in range(len(answers[0]))
    ]  # fmt: skip


def table(draw: int) -> list[TaskScore]:
    right = sum(said[draw] == wanted for said, wanted in zip(SAID, RIGHT, strict=True)) / 2
    return [TaskScore("t", 0, "exact_match", "f", right, 0.5, 2), TaskScore("t", 0, "bleu", "f", draw, 0.1, 2)]


def test_an_item_has_the_mean_over_its_samples_and_what_any_and_most_of_them_say() -> None:
    one, two = combine(samples(SAID, RIGHT), has_answers=True)
    assert one["metrics"] == {
        "exact_match,f": 0.5, "exact_match_pass@4,f": 1.0, "exact_match_maj@4,f": 1.0, "length,f": 0.375,
    }  # fmt: skip
    assert (two["metrics"]["exact_match,f"], two["metrics"]["exact_match_maj@4,f"]) == (0.25, 1.0)  # invalid: no vote
    assert one["filtered"] == {"f": SAID[0]} and one["response"][1] == "#### 8"
    assert (one["prompt_tokens"], one["new_tokens"], one["thought_tokens"], one["cut_at_limit"]) == (10, 1.5, 3, 0.25)


@pytest.mark.parametrize(
    ("said", "right", "majority"),
    [(["8", "7", "7", "8"], "8", 1.0), (["8", "7", "7", "8"], "7", 0.0), (["[invalid]"] * 4, "7", 0.0),
     (["7", "8", "9", "[invalid]"], "7", 1.0), (["8", "7", "9", "7"], "7", 1.0)],
)  # fmt: skip
def test_the_first_answer_of_those_with_most_votes_is_the_majority_s(
    said: list[str], right: str, majority: float
) -> None:
    [one] = combine(samples([said], [right]), has_answers=True)
    assert one["metrics"]["exact_match_maj@4,f"] == majority


def test_responses_that_commit_to_no_answer_have_no_majority() -> None:
    names = combine(samples(SAID, RIGHT), has_answers=False)[0]["metrics"]
    assert "exact_match_pass@4,f" in names and not any("maj" in name for name in names)


def test_scores_are_means_with_the_error_of_items() -> None:
    combined = combine(samples(SAID, RIGHT), has_answers=True)
    found = {one.metric: one for one in combine_scores([table(draw) for draw in range(4)], combined)}
    mean = found["exact_match"]
    assert (mean.value, mean.n) == (0.375, 2) and mean.stderr == pytest.approx(0.125)  # of 0.5 and 0.25
    assert (found["bleu"].value, found["bleu"].stderr) == (1.5, pytest.approx(0.1))  # no mean over items
    assert found["exact_match_pass@4"].value == found["exact_match_maj@4"].value == 1.0
    assert "length_pass@4" not in found


def test_one_sample_is_left_as_it_is() -> None:
    [run] = samples([["7"]], ["7"])
    assert combine([run], True) == run and combine_scores([table(0)], run) == table(0)


def asked(model: HarnessModel, **arguments: Any) -> list[Instance]:
    prompt = model.apply_chat_template([{"role": "user", "content": "How many?"}])
    options = {"do_sample": False, "max_gen_toks": 12, "until": [], **arguments}
    return [Instance("generate_until", {}, (prompt, dict(options)), index, ("t", index, 1)) for index in range(2)]


def test_samples_are_drawn_once_each_at_the_temperature_and_none_is_another_s(
    engine: TransformersEngine, console: Console
) -> None:
    model, texts = HarnessModel(engine, console, "t", drawn=Sampling(), samples=3), []
    for sample in range(3):
        model.sample = sample
        texts += model.generate_until(asked(model))
    assert len(set(texts)) == 6  # two equal requests in three samples
    model.sample = 1
    assert model.generate_until(asked(model)) == texts[2:4]
    single = HarnessModel(engine, console, "t", drawn=Sampling())
    assert single.generate_until(asked(single)) == texts[:2]
    greedy = HarnessModel(engine, console, "t")
    assert len(set(greedy.generate_until(asked(greedy)))) == 1


@pytest.mark.parametrize("shots", [0, 2])
def test_a_task_is_scored_over_its_samples_under_a_key_of_its_own(
    shots: int, engine: TransformersEngine, tmp_path: Path, console: Console
) -> None:
    (tmp_path / "sums.yaml").write_text(SUMS)
    (tmp_path / "items.jsonl").write_text(
        "".join(f'{{"question": "{n} + 1?", "answer": "{n + 1}"}}\n' for n in range(4))
    )
    where: dict[str, Any] = {"tasks": ("sums",), "task_folders": (str(tmp_path),), "shots": (shots,)}
    drawn = EvaluationSettings("t", **where, samples=3, temperature=1.0)
    context = stage_context(Store(tmp_path / "store"), closable(engine), console=console)
    [artifact] = Evaluate(drawn).run(context).artifacts
    assert all(len(sample["response"]) == len(set(sample["response"])) == 3 for sample in read_samples(artifact))
    assert {one.metric for one in artifact.read(TaskScore)} == {
        "exact_match", "exact_match_pass@3", "prompt_tokens", "new_tokens",
    }  # fmt: skip
    others = (EvaluationSettings("t", **where), EvaluationSettings("t", **where, temperature=1.0))
    keys = {artifact.key, *(Evaluate(one).run(context).artifacts[0].key for one in others)}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"samples": 4}, "greedy samples are all equal: set eval.temperature"),
        ({"samples": 0}, "eval.samples is 0; it must be at least 1"),
        ({"temperature": -1.0}, "eval.temperature is -1.0"),
        ({"models": ()}, r"eval.models is \[\]; it must be some of teacher, base, student"),
        ({"models": ("base", "base")}, "each once"),
        ({"models": ("pupil",)}, "it must be some of teacher, base, student"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        EvaluationSettings("t", **setting)
