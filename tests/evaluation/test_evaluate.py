import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interrupting import Interrupted
from lm_eval.models.huggingface import HFLM

from crescent.core.console import Console
from crescent.core.records import Score, TaskScore
from crescent.core.store import Store
from crescent.engines import Engine, LazyEngine
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import model
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate, read_samples
from crescent.prompting.baselines import Trigger

TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {train: items.jsonl, test: items.jsonl}}
fewshot_split: train
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [], do_sample: false, max_gen_toks: 4}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> EvaluationSettings:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "sums.yaml").write_text(TASK)
    (folder / "more.yaml").write_text(TASK.replace("sums", "more"))
    items = [json.dumps({"question": f"{number} + 1?", "answer": str(number + 1)}) for number in range(6)]
    (folder / "items.jsonl").write_text("\n".join(items) + "\n")
    return EvaluationSettings("tiny", tasks=("sums", "more"), task_folders=(str(folder),), shots=(0, 2))


def lazy(folder: Path, identity: str = "weights-1") -> LazyEngine:
    return LazyEngine(identity, lambda: TransformersEngine(*load(Weights("tiny", str(folder)), "cpu"), identity))


def unloadable(identity: str = "weights-1") -> LazyEngine:
    def build() -> Engine:
        raise AssertionError("the model was loaded")

    return LazyEngine(identity, build)


def test_each_task_and_number_of_shots_is_an_artifact(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    artifacts = Evaluate(settings).run(store, lazy(tiny_llama), console)
    found = [(one.task, one.shots, one.n) for artifact in artifacts for one in artifact.read(TaskScore)[:1]]
    assert found == [("sums", 0, 6), ("sums", 2, 6), ("more", 0, 6), ("more", 2, 6)]
    assert [sample["doc"]["answer"] for sample in read_samples(artifacts[0])] == ["1", "2", "3", "4", "5", "6"]


def test_a_model_that_was_scored_is_not_loaded_again(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    first = Evaluate(settings).run(store, lazy(tiny_llama), console)
    again = Evaluate(settings).run(store, unloadable(), console)
    assert [artifact.key for artifact in again] == [artifact.key for artifact in first]
    assert all(artifact.reused for artifact in again)


def test_a_larger_suite_reuses_the_tasks_of_a_smaller_one(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    Evaluate(replace(settings, name="small", tasks=("sums",))).run(store, lazy(tiny_llama), console)
    artifacts = Evaluate(settings).run(store, lazy(tiny_llama), console)
    assert [artifact.reused for artifact in artifacts] == [True, True, False, False]


def test_a_killed_evaluation_goes_on_with_the_next_unscored_task(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, calls = TransformersEngine.generate, []

    def killed(self: TransformersEngine, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return generate(self, *arguments)

    monkeypatch.setattr(TransformersEngine, "generate", killed)
    with pytest.raises(KeyboardInterrupt):
        Evaluate(settings).run(store, lazy(tiny_llama), console)
    artifacts = Evaluate(settings).run(store, lazy(tiny_llama), console)
    assert [artifact.reused for artifact in artifacts] == [True, True, False, False]


def test_a_killed_task_goes_on_with_its_next_item_and_ends_with_the_same_bytes(
    settings: EvaluationSettings, store: Store, tmp_path: Path, tiny_llama: Path, console: Console
) -> None:
    one = Evaluate(replace(settings, tasks=("sums",), shots=(0,)))
    engine = lazy(tiny_llama).get()
    with pytest.raises(KeyboardInterrupt):
        one.run(store, LazyEngine("weights-1", lambda: Interrupted(engine, 4)), console)
    again = Interrupted(engine)
    [resumed] = one.run(store, LazyEngine("weights-1", lambda: again), console)
    [plain] = one.run(Store(tmp_path / "plain"), lazy(tiny_llama), console)
    assert again.finished == 2
    for file in ("records.jsonl", "samples.jsonl", "meta.json"):
        assert (resumed.path / file).read_bytes() == (plain.path / file).read_bytes()


def test_a_killed_task_of_choices_goes_on_with_its_next_slice_and_ends_with_the_same_bytes(
    settings: EvaluationSettings, store: Store, tmp_path: Path, tiny_llama: Path, console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Six items of two choices each, three slices; the second one is cut off."""
    (tmp_path / "tasks" / "picks.yaml").write_text(
        TASK.replace("sums", "picks").replace("generate_until", "multiple_choice").replace("exact_match", "acc")
        .replace('doc_to_target: "{{answer}}"', 'doc_to_choice: ["1", "2"]\ndoc_to_target: 0')
        .replace("generation_kwargs: {until: [], do_sample: false, max_gen_toks: 4}\n", "")
    )  # fmt: skip
    one, scored, score = Evaluate(replace(settings, tasks=("picks",), shots=(0,))), [], HFLM.loglikelihood
    monkeypatch.setattr(model, "REQUESTS_BETWEEN_MARKS", 4)
    [plain] = one.run(Store(tmp_path / "plain"), lazy(tiny_llama), console)

    def killed(self: HFLM, requests: list[Any], **options: Any) -> Any:
        scored.append(len(requests))
        if len(scored) == 2:
            raise KeyboardInterrupt
        return score(self, requests, **options)

    monkeypatch.setattr(HFLM, "loglikelihood", killed)
    with pytest.raises(KeyboardInterrupt):
        one.run(store, lazy(tiny_llama), console)
    [resumed] = one.run(store, lazy(tiny_llama), console)
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
    settings: EvaluationSettings, store: Store, console: Console, tiny_llama: Path, change: dict[str, Any]
) -> None:
    settings = replace(settings, tasks=("sums",), shots=(0,))
    Evaluate(settings).run(store, lazy(tiny_llama), console)
    with pytest.raises(AssertionError, match="the model was loaded"):
        Evaluate(replace(settings, **change)).run(store, unloadable(), console)
    Evaluate(replace(settings, loglikelihood_batch=1)).run(store, unloadable(), console)


def test_a_prompting_baseline_is_scored_beside_the_plain_model_and_only_where_it_applies(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    folder = Path(settings.task_folders[0])
    (folder / "sums.yaml").write_text(TASK + "metadata: {answers: number}\n")
    stage = Evaluate(settings)
    plain = stage.run(store, lazy(tiny_llama), console)
    baseline = Trigger("zero_shot_cot", "Let's think step by step.")
    (prompted,) = stage.run(store, lazy(tiny_llama), console, baseline)
    assert stage.left_out(baseline) == ["more"] and prompted.key not in {artifact.key for artifact in plain}
    assert prompted.info["prompting"] == "zero_shot_cot" and prompted.info["shots"] == 0
    assert {score.prompting for score in stage.scores([prompted], "base", 0, "zero_shot_cot")} == {"zero_shot_cot"}
    assert "step by step" in read_samples(prompted)[0]["prompt"]
    assert {sample["prompting"] for sample in read_samples(prompted)} == {"zero_shot_cot"}
    assert all(artifact.reused for artifact in stage.run(store, unloadable(), console))
    other = replace(baseline, trigger="Think.")
    with pytest.raises(AssertionError, match="the model was loaded"):
        stage.run(store, unloadable(), console, other)


def test_other_weights_are_scored_anew(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    Evaluate(settings).run(store, lazy(tiny_llama), console)
    with pytest.raises(AssertionError, match="the model was loaded"):
        Evaluate(settings).run(store, unloadable("weights-2"), console)


def test_the_suite_without_tasks_gives_nothing_and_loads_nothing(store: Store, console: Console) -> None:
    assert Evaluate(EvaluationSettings("none")).run(store, unloadable(), console) == []


def test_records_become_scores_of_a_model(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    artifacts = Evaluate(settings).run(store, lazy(tiny_llama), console)
    made = Evaluate(settings).scores(artifacts, "base", 0)
    assert made[0] == Score("base", 0, "none", "sums", 0, "exact_match", "none", True, 0.0, 0.0, 6)
    assert [(score.task, score.shots) for score in made if score.primary] == [
        ("sums", 0), ("sums", 2), ("more", 0), ("more", 2),
    ]  # fmt: skip


def test_another_primary_asks_the_stored_scores_and_not_the_model(
    settings: EvaluationSettings, store: Store, tiny_llama: Path, console: Console
) -> None:
    Evaluate(settings).run(store, lazy(tiny_llama), console)
    other = Evaluate(replace(settings, primary=("exact_match,crescent",)))
    artifacts = other.run(store, unloadable(), console)
    with pytest.raises(ValueError, match=r"eval\.primary names none of what task sums reports \(exact_match,none\)"):
        other.scores(artifacts, "base", 0)
