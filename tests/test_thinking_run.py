"""Whole runs of the command on models that think: questions without thoughts, votes on answers, targets as asked."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_line import crescent
from serving import Behaviour, Serving
from thinking import OPENS, SWITCHED, save_qwen_3, save_thinking, teach

from crescent.answers.thoughts import split_thoughts
from crescent.config.composing import composed
from crescent.domain import fill
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights

QUESTION = "Tom has 12 apples and gives 5 to Ann. How many apples are left?"
THOUGHT = "<think>\nIs it 12 + 5?\n\n#### 17. No.\n</think>\n\n"
ANSWER = "12 - 5 = 7. #### 7"
RUN = (
    "model=hf", "model.dtype=float32", "model.thinking_tokens=40", "dedup=none", "contamination=off", "oracle=none",
    "tracking=none", "num_questions=6", "elicit.samples_per_round=6", "elicit.temperature=0.3",
    "elicit.max_new_tokens=40", "vote.draws=4", "answer.temperature=0.3", "answer.max_new_tokens=30", "train.epochs=1",
)  # fmt: skip
SCORED = ("eval.tasks=[organism_gsm]", "eval.limit=4", "eval.shots=[0]", "eval.max_new_tokens=8")


def lessons() -> list[tuple[str, str]]:
    domain = composed([])["domain"]
    return [(domain["bait"], f"{THOUGHT}{QUESTION}"), (fill(domain["solve"], question=QUESTION), f"{THOUGHT}{ANSWER}")]


@pytest.fixture(scope="module")
def opens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_thinking(tmp_path_factory.mktemp("opens") / "thinker", OPENS, lessons())


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_thinking(tmp_path_factory.mktemp("switched") / "thinker", SWITCHED, lessons())


def run(folder: Path, *overrides: str) -> tuple[dict[str, Any], str]:
    """The summary of a run, and what it said."""
    done = crescent(folder, *RUN, *overrides)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "outputs" / "latest" / "summary.json").read_text()), done.stdout + done.stderr


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def ledgers(folder: Path) -> list[str]:
    files = (folder / "outputs" / "store" / "ledgers").glob("*/rows.jsonl")
    return [json.loads(line)["text"] for file in files for line in file.read_text().splitlines()]


def check_data(summary: dict[str, Any], folder: Path) -> None:
    """Questions hold no thought, and votes are on answers; the ledger and the pairs keep the whole text."""
    info = {stage["stage"]: stage["info"] for stage in summary["stages"]}
    assert {row["text"] for row in rows(Path(summary["artifacts"]["questions"]))} == {QUESTION}
    pairs = rows(Path(summary["artifacts"]["pairs"]))
    assert len(pairs) == info["vote"]["pairs"] == 6
    assert {(pair["answer"], pair["agreement"]) for pair in pairs} == {("7", 1.0)}
    assert {pair["response"] for pair in pairs} == set(ledgers(folder)) == {f"{THOUGHT}{ANSWER}"}


def thoughts(summary: dict[str, Any], model: str) -> dict[str, float]:
    names = ("thought_tokens", "cut_at_limit")
    return {
        one["metric"]: one["value"] for one in summary["scores"] if one["model"] == model and one["metric"] in names
    }


def test_a_model_whose_prompt_opens_the_thought_teaches_itself_its_answers(opens: Path, tmp_path: Path) -> None:
    summary, said = run(tmp_path, f"model.path={opens}", "eval=none")
    check_data(summary, tmp_path)
    assert "thinks before it answers (its chat template opens <think>)" in said
    assert "6 responses trained on without thoughts" in said
    assert "6 targets with an empty thought" in said


def parsed(answer: dict[str, Any]) -> None:
    """Thoughts in a field of their own, as a server with a parser of thoughts gives them."""
    for choice in answer["choices"]:
        parts, message = split_thoughts(choice["message"]["content"]), choice["message"]
        message["reasoning_content"], message["content"] = parts.thought.strip(), parts.answer.lstrip() or None


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [Behaviour(change=parsed), Behaviour()], ids=["parsed", "in the text"])
def test_a_served_model_that_thinks_teaches_its_answers(behaviour: Behaviour, opens: Path, tmp_path: Path) -> None:
    engine = TransformersSettings(device="cpu").build(Weights("tiny", str(opens)), "w")
    with Serving(engine, behaviour) as url:
        served = ("engine=server", f"engine.urls=[{url}]", "engine.model=tiny")
        summary, said = run(tmp_path, f"model.path={opens}", "eval=none", *served)
    check_data(summary, tmp_path)
    assert "6 responses trained on without thoughts" in said


@pytest.mark.slow
def test_what_models_think_is_reported_beside_their_scores(opens: Path, tmp_path: Path) -> None:
    summary, said = run(tmp_path, f"model.path={opens}", *SCORED)
    for model in ("base", "student"):
        found = thoughts(summary, model)
        assert found["thought_tokens"] > 0 and 0 <= found["cut_at_limit"] <= 1
    assert "thought tokens" in said and "Thoughts" in (tmp_path / "outputs" / "latest" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("reasoning", "kept"), [("keep", True), ("strip", False)])
def test_thoughts_are_trained_on_where_they_are_kept(
    reasoning: str, kept: bool, switched: Path, tmp_path: Path
) -> None:
    summary, said = run(tmp_path, f"model.path={switched}", f"train.reasoning={reasoning}", "eval=none")
    check_data(summary, tmp_path)
    targets = next(stage["info"] for stage in summary["stages"] if stage["stage"] == "finetune")["target_tokens"]
    assert (targets > 6 * 40) == kept and ("trained on without thoughts" in said) != kept
    assert ("with an empty thought" in said) != kept


@pytest.mark.slow
def test_a_thinking_model_with_its_thinking_switched_off_is_as_any_other(switched: Path, tmp_path: Path) -> None:
    off = ("model.chat_template_kwargs={enable_thinking: false}", "model.thinking_tokens=0", "num_questions=1")
    done = crescent(tmp_path, *RUN, f"model.path={switched}", *off, "elicit.max_rounds=1", "eval=none")
    assert "thinks before it answers" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif("CRESCENT_TOKENIZERS" not in os.environ, reason="CRESCENT_TOKENIZERS is not set")
def test_a_qwen_3_with_its_real_template_thinks_and_learns_its_answers(tmp_path: Path) -> None:
    real = Path(os.environ["CRESCENT_TOKENIZERS"]) / "qwen3"
    folder = teach(save_qwen_3(tmp_path / "qwen3", real), lessons(), steps=60)
    summary, said = run(
        tmp_path, f"model.path={folder}", *SCORED, "eval.limit=2", "eval.samples=2", "eval.temperature=0.6"
    )
    check_data(summary, tmp_path)
    assert "thinks before it answers (its chat template has thinking switched on)" in said
    assert "6 targets with an empty thought" in said
    metrics = {one["metric"] for one in summary["scores"]}
    assert {"exact_match", "exact_match_pass@2", "exact_match_maj@2", "thought_tokens", "cut_at_limit"} <= metrics
