"""Crescent's filter against the harness's own, on its real tasks and on real responses."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.metrics import exact_match_fn
from lm_eval.filters.extraction import RegexFilter

import crescent.evaluation
from crescent.evaluation import catalogue
from crescent.evaluation.extraction import CrescentAnswers
from crescent.evaluation.settings import EvaluationSettings

DATA = os.environ.get("CRESCENT_BENCHMARKS")
FOLDER = str(Path(crescent.evaluation.__file__).parent / "tasks")
needs_files = pytest.mark.skipif(DATA is None, reason="CRESCENT_BENCHMARKS is not set: no benchmark files here")
IGNORED = [",", "\\$", "(?s).*#### ", "\\.$"]


def read(text: str, target: str | None = None, **options: Any) -> str:
    template = None if target is None else "{{answer}}"
    return CrescentAnswers(target=template, **options).apply([[text]], [{"answer": target}])[0][0]


def matches(answer: str, target: str) -> bool:
    score: Any = exact_match_fn(predictions=[answer], references=[target], regexes_to_ignore=IGNORED, ignore_case=True)
    return bool(score["exact_match"])


def test_without_a_target_the_canonical_answer_is_given() -> None:
    assert read("so 3 * 4 = 12 eggs.\n#### 1,250.50 dollars") == "1250.5"


def test_a_response_without_an_answer_is_invalid() -> None:
    assert read("I do not know.", "7") == read("I do not know.") == "[invalid]"


@pytest.mark.parametrize(
    ("text", "target"), [("It is 0.25", "a\n#### 1/4"), ("#### 9.8", "9.80"), ("= $1,000", "1000")]
)
def test_an_equal_answer_comes_in_the_targets_spelling(text: str, target: str) -> None:
    assert matches(read(text, target), target)


@pytest.mark.parametrize(("text", "target"), [("#### 40", "8; 40"), ("#### 3", "3:30 p.m"), ("#### 0.3", "1/3")])
def test_a_part_of_the_target_is_not_the_target(text: str, target: str) -> None:
    assert not matches(read(text, target, otherwise="name"), target)


def test_a_target_of_another_kind_is_read_as_that_kind() -> None:
    assert matches(read("The final answer is Mrs Hilt.", "Mrs. Hilt", otherwise="name"), "Mrs. Hilt")
    assert read("The final answer is Mrs Hilt.", "Mrs. Hilt") == "[invalid]"


def test_a_question_without_an_answer_is_matched_by_nothing() -> None:
    assert not matches(read("We cannot know. #### None", "We do not know\n#### None"), "None")


def test_overlays_keep_the_harness_filters_and_add_ours() -> None:
    settings = EvaluationSettings("x", tasks=("gsm8k", "asdiv_cot_llama", "gsm_plus_mini"), task_folders=(FOLDER,))
    for source in catalogue.find(settings):
        assert [one["name"] for one in source.overrides["filter_list"]] == [
            "strict-match", "flexible-extract", "crescent",
        ]  # fmt: skip
        theirs = catalogue.find(EvaluationSettings("x", tasks=(source.name,)))[0]
        assert source.config["filter_list"][:2] == theirs.config["filter_list"]


def misjudged(file: str) -> tuple[int, int, int]:
    """(responses, wrong verdicts of flexible-extract, of ours) over published responses with corrected verdicts."""
    rows = [json.loads(line) for line in (Path(str(DATA)) / "model_outputs" / file).read_text("utf-8").splitlines()]
    said = [(one["text"], row["gold"], one["correct"]) for row in rows for one in row["responses"]]
    texts, docs = [[text] for text, *_ in said], [{"answer": gold} for _, gold, _ in said]
    flexible = RegexFilter("(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1).apply(texts, docs)
    ours = CrescentAnswers(target="answer").apply(texts, docs)
    wrong = [
        sum(matches(answer[0], gold) != correct for answer, (_, gold, correct) in zip(answers, said, strict=True))
        for answers in (flexible, ours)
    ]
    return len(said), wrong[0], wrong[1]


@needs_files
@pytest.mark.parametrize("file", ["gsm8k_gpt35.jsonl", "gsm8k_openai_solutions.jsonl"])
def test_our_filter_misjudges_fewer_real_responses_than_flexible_extract(file: str) -> None:
    count, flexible, ours = misjudged(file)
    assert count > 1000 and ours <= flexible / 10
