import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interrupting import Interrupted
from lm_eval.models.huggingface import HFLM
from stage_context import Recorder, stage_context, unloadable

from crescent.core.console import Console
from crescent.core.context import EngineHandle
from crescent.core.records import Score, TaskScore
from crescent.core.store import Artifact, Store
from crescent.engines import LazyEngine
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import model
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate, read_samples
from crescent.prompting.baselines import Trigger

from .conftest import SUMS


@pytest.fixture
def settings(tmp_path: Path) -> EvaluationSettings:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "sums.yaml").write_text(SUMS)
    (folder / "more.yaml").write_text(SUMS.replace("sums", "more"))
    items = [json.dumps({"question": f"{number} + 1?", "answer": str(number + 1)}) for number in range(6)]
    (folder / "items.jsonl").write_text("\n".join(items) + "\n")
    return EvaluationSettings("tiny", tasks=("sums", "more"), task_folders=(str(folder),), shots=(0, 2))


def lazy(folder: Path, identity: str = "weights-1") -> LazyEngine:
    weights = Weights("tiny", str(folder))
    return LazyEngine(identity, lambda: TransformersEngine(*load(weights, "cpu"), identity), name=weights.name)


def evaluate(stage: Evaluate, store: Store, engine: EngineHandle) -> Sequence[Artifact]:
    return stage.run(stage_context(store, engine)).artifacts


def test_each_task_and_number_of_shots_is_an_artifact(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    artifacts = evaluate(Evaluate(settings), store, lazy(tiny_llama))
    found = [(one.task, one.shots, one.n) for artifact in artifacts for one in artifact.read(TaskScore)[:1]]
    assert found == [("sums", 0, 6), ("sums", 2, 6), ("more", 0, 6), ("more", 2, 6)]
    assert [sample["doc"]["answer"] for sample in read_samples(artifacts[0])] == ["1", "2", "3", "4", "5", "6"]


def test_a_model_that_was_scored_is_not_loaded_again(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    first = evaluate(Evaluate(settings), store, lazy(tiny_llama))
    again = evaluate(Evaluate(settings), store, unloadable("weights-1"))
    assert [artifact.key for artifact in again] == [artifact.key for artifact in first]
    assert all(artifact.reused for artifact in again)


def test_a_larger_suite_reuses_the_tasks_of_a_smaller_one(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    evaluate(Evaluate(replace(settings, name="small", tasks=("sums",))), store, lazy(tiny_llama))
    artifacts = evaluate(Evaluate(settings), store, lazy(tiny_llama))
    assert [artifact.reused for artifact in artifacts] == [True, True, False, False]


def test_a_killed_evaluation_goes_on_with_the_next_unscored_task(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, calls = TransformersEngine.generate, []

    def killed(self: TransformersEngine, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return generate(self, *arguments)

    monkeypatch.setattr(TransformersEngine, "generate", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Evaluate(settings), store, lazy(tiny_llama))
    artifacts = evaluate(Evaluate(settings), store, lazy(tiny_llama))
    assert [artifact.reused for artifact in artifacts] == [True, True, False, False]


@pytest.mark.parametrize("sampled", [{}, {"samples": 3, "temperature": 0.8}])
def test_a_killed_task_goes_on_with_its_next_item_and_ends_with_the_same_bytes(
    sampled: dict[str, Any], settings: EvaluationSettings, store: Store, tmp_path: Path, tiny_llama: Path
) -> None:
    one = Evaluate(replace(settings, tasks=("sums",), shots=(0,), **sampled))
    engine = lazy(tiny_llama).get()
    with pytest.raises(KeyboardInterrupt):
        evaluate(one, store, LazyEngine("weights-1", lambda: Interrupted(engine, 4)))
    again = Interrupted(engine)
    [resumed] = evaluate(one, store, LazyEngine("weights-1", lambda: again))
    [plain] = evaluate(one, Store(tmp_path / "plain"), lazy(tiny_llama))
    assert again.finished == 6 * sampled.get("samples", 1) - 4
    for file in ("records.jsonl", "samples.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (plain.path / file).read_bytes()


def test_a_killed_task_of_choices_goes_on_with_its_next_slice_and_ends_with_the_same_bytes(
    settings: EvaluationSettings, store: Store, tmp_path: Path, tiny_llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Six items of two choices each, three slices; the second one is cut off."""
    (tmp_path / "tasks" / "picks.yaml").write_text(
        SUMS.replace("sums", "picks").replace("generate_until", "multiple_choice").replace("exact_match", "acc")
        .replace('doc_to_target: "{{answer}}"', 'doc_to_choice: ["1", "2"]\ndoc_to_target: 0')
        .replace("generation_kwargs: {until: [], do_sample: false, max_gen_toks: 4}\n", "")
    )  # fmt: skip
    one, scored, score = Evaluate(replace(settings, tasks=("picks",), shots=(0,))), [], HFLM.loglikelihood
    monkeypatch.setattr(model, "REQUESTS_BETWEEN_MARKS", 4)
    [plain] = evaluate(one, Store(tmp_path / "plain"), lazy(tiny_llama))

    def killed(self: HFLM, requests: list[Any], **options: Any) -> Any:
        scored.append(len(requests))
        if len(scored) == 2:
            raise KeyboardInterrupt
        return score(self, requests, **options)

    monkeypatch.setattr(HFLM, "loglikelihood", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(one, store, lazy(tiny_llama))
    [resumed] = evaluate(one, store, lazy(tiny_llama))
    assert scored == [4, 4, 4, 4] and not (store.root / "work" / "evaluate" / resumed.key).exists()
    for file in ("records.jsonl", "samples.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (plain.path / file).read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 3},
        {"chat_template": False},
        {"max_new_tokens": 5},
        {"seed": 2},
        {"fewshot_as_multiturn": False},
        {"system_prompt": "Hi"},
    ],
)
def test_what_can_change_a_score_asks_for_a_new_one(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, change: dict[str, Any]
) -> None:
    settings = replace(settings, tasks=("sums",), shots=(0,))
    evaluate(Evaluate(settings), store, lazy(tiny_llama))
    with pytest.raises(AssertionError, match="the model was loaded"):
        evaluate(Evaluate(replace(settings, **change)), store, unloadable("weights-1"))
    evaluate(Evaluate(replace(settings, loglikelihood_batch=1)), store, unloadable("weights-1"))


def test_a_prompting_baseline_is_scored_beside_the_plain_model_and_only_where_it_applies(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(settings.task_folders[0])
    (folder / "sums.yaml").write_text(SUMS + "metadata: {answers: number}\n")
    stage = Evaluate(settings)
    plain = evaluate(stage, store, lazy(tiny_llama))
    baseline = Trigger("zero_shot_cot", "Let's think step by step.")
    context = stage_context(store, lazy(tiny_llama), console=Console())
    scored = replace(stage, prompting=baseline).run(context)
    (prompted,) = scored.artifacts
    said = "base: tiny, prompting=zero_shot_cot (without more: no answer to prompt for)"
    assert said in capsys.readouterr().err and prompted.key not in {artifact.key for artifact in plain}
    assert prompted.info["prompting"] == "zero_shot_cot" and prompted.info["shots"] == 0
    assert {score.prompting for score in scored.scores} == {"zero_shot_cot"} == {scored.prompting}
    assert "step by step" in read_samples(prompted)[0]["prompt"]
    assert {sample["prompting"] for sample in read_samples(prompted)} == {"zero_shot_cot"}
    assert all(artifact.reused for artifact in evaluate(stage, store, unloadable("weights-1")))
    other = replace(stage, prompting=replace(baseline, trigger="Think."))
    with pytest.raises(AssertionError, match="the model was loaded"):
        evaluate(other, store, unloadable("weights-1"))


def test_other_weights_are_scored_anew(settings: EvaluationSettings, store: Store, tiny_llama: Path) -> None:
    evaluate(Evaluate(settings), store, lazy(tiny_llama))
    with pytest.raises(AssertionError, match="the model was loaded"):
        evaluate(Evaluate(settings), store, unloadable("weights-2"))


def test_the_suite_without_tasks_gives_nothing_and_loads_nothing(store: Store) -> None:
    seen = Recorder()
    assert stage_context(store, events=seen).run(Evaluate(EvaluationSettings("none"))) is None
    assert not seen.reports and not seen.scored_models


def test_records_become_scores_of_a_model(settings: EvaluationSettings, store: Store, tiny_llama: Path) -> None:
    seen = Recorder()
    scored = Evaluate(settings).run(stage_context(store, lazy(tiny_llama), events=seen, iteration=2))
    made = scored.scores
    assert seen.scored_models == [scored] and scored.key == "weights-1" and scored.records == 24
    assert made[0] == Score("base", 0, "none", "sums", 0, "exact_match", "none", True, 0.0, 0.0, 6)
    assert [(score.task, score.shots) for score in made if score.primary] == [
        ("sums", 0), ("sums", 2), ("more", 0), ("more", 2),
    ]  # fmt: skip


def test_a_student_s_scores_have_the_number_of_their_iteration(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    context = stage_context(store, lazy(tiny_llama), iteration=2)
    by_model = {model: Evaluate(settings, model=model).run(context).scores for model in ("teacher", "base", "student")}
    numbers = {model: {score.iteration for score in scores} for model, scores in by_model.items()}
    assert numbers == {"teacher": {0}, "base": {0}, "student": {2}}


def test_another_primary_asks_the_stored_scores_and_not_the_model(
    settings: EvaluationSettings, store: Store, tiny_llama: Path
) -> None:
    evaluate(Evaluate(settings), store, lazy(tiny_llama))
    other = Evaluate(replace(settings, primary=("exact_match,crescent",)))
    with pytest.raises(ValueError, match=r"eval\.primary names none of the metrics of task sums \(exact_match,none\)"):
        evaluate(other, store, unloadable("weights-1"))
