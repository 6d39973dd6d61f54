import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from crescent.core.console import Console
from crescent.core.records import TaskScore
from crescent.engines.transformers.engine import TransformersEngine
from crescent.evaluation import catalogue, harness, loading
from crescent.evaluation.metrics import COSTS
from crescent.evaluation.settings import EvaluationSettings

from .conftest import CHOICE, TASK, rows, write_rows


def suite(folder: Path, *tasks: str, **options: Any) -> EvaluationSettings:
    return EvaluationSettings("tiny", tasks=tasks, task_folders=(str(folder),), **options)


def scored(settings: EvaluationSettings, engine: TransformersEngine, shots: int = 0) -> harness.TaskResult:
    (source,) = catalogue.find(settings)
    return harness.score_task(source, shots, settings, engine, Console(quiet=True))


def judged(result: harness.TaskResult) -> list[TaskScore]:
    """The scores of its answers, without those of its cost."""
    return [score for score in result.scores if score.metric not in COSTS]


def reference(folder: Path, task: str, shots: int, plain: Any, **options: Any) -> dict[str, Any]:
    """The same task by the harness's front door, with nothing of ours."""
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    evaluate: Any = simple_evaluate
    with loading.quiet():
        results = evaluate(
            plain, tasks=[task], num_fewshot=shots, task_manager=manager, **{"apply_chat_template": True, **options}
        )
    assert results is not None
    return dict(results)


@pytest.mark.parametrize(
    ("task", "shots", "multiturn"),
    [("tiny_gsm", 0, True), ("tiny_gsm", 5, True), ("tiny_gsm", 5, False), ("tiny_choice", 0, True),
     ("tiny_choice", 5, True)],
)  # fmt: skip
def test_scores_equal_simple_evaluate_to_the_last_digit(
    task_folder: Path, engine: TransformersEngine, plain: Any, monkeypatch: pytest.MonkeyPatch,
    task: str, shots: int, multiturn: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(task_folder)  # the harness takes data_files from the working folder
    theirs = reference(task_folder, task, shots, plain, fewshot_as_multiturn=multiturn)
    ours = scored(suite(task_folder, task, fewshot_as_multiturn=multiturn), engine, shots)
    expected = {key: value for key, value in theirs["results"][task].items() if "," in key}
    found = {f"{score.metric},{score.filter}": score.value for score in judged(ours)}
    errors = {f"{score.metric}_stderr,{score.filter}": score.stderr for score in judged(ours)}
    assert found | errors == expected
    assert any(value > 0 for value in found.values())
    hashes = {(sample["doc_id"], sample["prompt_hash"]) for sample in theirs["samples"][task]}
    assert hashes == {(sample["doc_id"], sample["prompt_hash"]) for sample in ours.samples}
    if task == "tiny_gsm":
        replies = {sample["doc_id"]: sample["resps"][0][0] for sample in theirs["samples"][task]}
        assert replies == {sample["doc_id"]: sample["response"] for sample in ours.samples}


def test_a_system_prompt_and_a_limit_reach_the_harness(
    task_folder: Path, engine: TransformersEngine, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(task_folder)
    theirs = reference(task_folder, "tiny_gsm", 2, plain, system_instruction="Be brief.", limit=3)
    ours = scored(suite(task_folder, "tiny_gsm", system_prompt="Be brief.", limit=3), engine, 2)
    assert [sample["prompt_hash"] for sample in ours.samples] == [
        sample["prompt_hash"] for sample in theirs["samples"]["tiny_gsm"][:3]
    ]
    assert "Be brief." in ours.samples[0]["prompt"]
    assert {score.n for score in ours.scores} == {3}


def test_both_filters_are_reported(task_folder: Path, engine: TransformersEngine) -> None:
    scores = judged(scored(suite(task_folder, "tiny_gsm"), engine))
    assert [score.filter for score in scores] == ["strict-match", "flexible-extract"]
    assert {(score.task, score.shots, score.n) for score in scores} == {("tiny_gsm", 0, 20)}


def test_a_sample_keeps_the_item_the_reply_and_each_verdict(task_folder: Path, engine: TransformersEngine) -> None:
    first, second, *_ = scored(suite(task_folder, "tiny_gsm"), engine).samples
    assert first["doc"] == rows(1, 0)[0]
    assert first["prompt"].startswith("<s><|user|>") and second["prompt"] is None
    assert isinstance(second["response"], str) and second["target"] == "1"
    assert second["filtered"].keys() == {"strict-match", "flexible-extract"}
    assert second["metrics"].keys() == {"exact_match,strict-match", "exact_match,flexible-extract"}
    assert json.loads(json.dumps(second, allow_nan=False)) == second


def test_a_score_is_the_mean_of_its_samples(task_folder: Path, engine: TransformersEngine) -> None:
    result = scored(suite(task_folder, "tiny_gsm"), engine)
    for score in judged(result):
        verdicts = [sample["metrics"][f"{score.metric},{score.filter}"] for sample in result.samples]
        assert score.value == sum(verdicts) / len(verdicts)


def test_nothing_is_written_to_the_terminal(
    task_folder: Path, engine: TransformersEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    scored(suite(task_folder, "tiny_gsm"), engine, 2)
    scored(suite(task_folder, "tiny_choice"), engine, 2)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_task_that_fixes_zero_shots_is_planned_once_as_zero_shot(task_folder: Path) -> None:
    (task_folder / "fixed.yaml").write_text(TASK.replace("tiny_gsm", "fixed") + "num_fewshot: 0\n")
    planned = harness.plan(suite(task_folder, "fixed", "tiny_gsm", shots=(0, 5)))
    assert [(source.name, shots) for source, shots in planned] == [("fixed", 0), ("tiny_gsm", 0), ("tiny_gsm", 5)]


def test_a_task_that_fixes_zero_shots_says_zero_even_if_only_five_are_asked_for(
    task_folder: Path, engine: TransformersEngine
) -> None:
    (task_folder / "fixed.yaml").write_text(TASK.replace("tiny_gsm", "fixed") + "num_fewshot: 0\n")
    ((source, shots),) = harness.plan(settings := suite(task_folder, "fixed", shots=(5,)))
    scores = harness.score_task(source, shots, settings, engine, Console(quiet=True)).scores
    assert {score.shots for score in scores} == {0}


def test_a_group_is_scored_as_a_whole(task_folder: Path, engine: TransformersEngine) -> None:
    for name in ("a", "b"):
        data = f"data_files: {{train: {task_folder}/data/train.jsonl, test: {task_folder}/data/test.jsonl}}"
        text = CHOICE.replace("tiny_choice", name)
        text = text.replace("data_files: {train: data/train.jsonl, test: data/test.jsonl}", data)
        (task_folder / f"{name}.yaml").write_text(text)
    (task_folder / "both.yaml").write_text("group: both\ntask: [a, b]\naggregate_metric_list: [{metric: acc}]\n")
    settings = suite(task_folder, "a")
    group = catalogue.TaskSource("both", task_folder, {"group": "both"})  # as MMLU is found among the harness's
    result = harness.score_task(group, 0, settings, engine, Console(quiet=True))
    ((score,), half) = (result.scores, scored(settings, engine).scores)
    assert (score.task, score.n) == ("both", 40)
    assert score.value == half[0].value
    assert {sample["task"] for sample in result.samples} == {"a", "b"}


@pytest.fixture
def shuffled(task_folder: Path) -> EvaluationSettings:
    """A task whose choices are shuffled when items are read, by one generator of its module: as GPQA's are."""
    (task_folder / "shuffling.py").write_text(
        "import random\nrng = random.Random(42)\n"
        "def process(items):\n"
        "    def one(item):\n"
        "        choices = list(item['choices'])\n"
        "        rng.shuffle(choices)\n"
        "        return {'mixed': choices, 'gold': choices.index(item['answer'])}\n"
        "    return items.map(one)\n"
    )
    text = CHOICE.replace("tiny_choice", "gpqa_like").replace("{{choices.index(answer)}}", "{{gold}}")
    text = text.replace('"{{choices}}"', '"{{mixed}}"') + "process_docs: !function shuffling.process\n"
    (task_folder / "gpqa_like.yaml").write_text(text.replace('"{{question}}"', '"{{question}} {{mixed}}"'))
    return suite(task_folder, "gpqa_like", limit=1)


def test_items_that_are_shuffled_when_read_keep_prompt_and_target_together(
    shuffled: EvaluationSettings, engine: TransformersEngine
) -> None:
    for item in range(4):
        seen = scored(replace(shuffled, seed=item), engine).samples[0]
        assert str(seen["doc"]["mixed"]) in seen["prompt"]


def test_items_that_are_shuffled_when_read_are_the_same_in_every_load(shuffled: EvaluationSettings) -> None:
    """Base and student are scored in one process, or the base in an earlier one, whose cache of `datasets` is here."""
    (source,) = catalogue.find(shuffled)
    with loading.quiet():
        loads = [loading.load(source, shots, shuffled)["tasks"]["gpqa_like"] for shots in (0, 2, 0)]
    mixed = [[item["mixed"] for item in task.eval_docs] for task in loads]
    assert mixed[0] == mixed[1] == mixed[2]
    assert [task.sampler.df[0]["mixed"] for task in loads[:1]] == [loads[2].sampler.df[0]["mixed"]]


def test_the_cost_of_an_item_is_kept_and_its_mean_is_a_score(task_folder: Path, engine: TransformersEngine) -> None:
    result = scored(suite(task_folder, "tiny_gsm"), engine)
    costs = {score.metric: score for score in result.scores if score.metric in COSTS}
    read = [len(engine.tokenizer(result.samples[0]["prompt"], add_special_tokens=False)["input_ids"])]
    assert [sample["prompt_tokens"] for sample in result.samples[:1]] == read
    assert costs["new_tokens"].value == sum(sample["new_tokens"] for sample in result.samples) / 20
    assert costs["prompt_tokens"].stderr > 0


def test_what_is_only_compared_by_likelihood_has_no_cost(task_folder: Path, engine: TransformersEngine) -> None:
    result = scored(suite(task_folder, "tiny_choice"), engine)
    assert judged(result) == result.scores
    assert {sample["new_tokens"] for sample in result.samples} == {None}


def test_the_conditions_of_a_score_are_kept_in_full(task_folder: Path, engine: TransformersEngine) -> None:
    kept = scored(suite(task_folder, "tiny_gsm", system_prompt="Be brief.", stop=("\n\n",)), engine, 2).conditions
    assert kept["generation"]["max_gen_toks"] == 60 and kept["generation"]["until"] == ["Question:", "efu"]
    assert (kept["shots"], kept["system_prompt"], kept["seed"]) == (2, "Be brief.", 1234) and kept["stop"] == ["\n\n"]
    assert len(kept["chat_template"]) == 16 and json.loads(json.dumps(kept)) == kept


def test_without_a_chat_template_the_prompt_is_plain_text(
    task_folder: Path, engine: TransformersEngine, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(task_folder)
    theirs = reference(task_folder, "tiny_gsm", 2, plain, apply_chat_template=False)
    ours = scored(suite(task_folder, "tiny_gsm", chat_template=False), engine, 2)
    assert "<|user|>" not in ours.samples[0]["prompt"]
    assert [sample["response"] for sample in ours.samples] == [
        sample["resps"][0][0] for sample in theirs["samples"]["tiny_gsm"][:20]
    ]


def test_worked_examples_depend_on_the_seed_alone(task_folder: Path, engine: TransformersEngine) -> None:
    prompts = []
    for seed, noise in ((1, 1), (1, 2), (2, 1)):
        random.seed(noise)
        result = scored(suite(task_folder, "tiny_gsm", seed=seed), engine, 3)
        prompts.append([sample["prompt_hash"] for sample in result.samples])
    assert prompts[0] == prompts[1] != prompts[2]


def test_data_that_cannot_be_loaded_is_one_line(task_folder: Path) -> None:
    settings = suite(task_folder, "tiny_gsm")
    (source,) = catalogue.find(settings)
    (task_folder / "data" / "test.jsonl").write_text("{broken\n")
    with pytest.raises(ValueError, match=r"^task tiny_gsm cannot be loaded: [^\n]+$"), loading.quiet():
        loading.load(source, 0, settings)


def test_a_key_follows_contents_and_not_places(task_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("tiny_gsm.yaml", "data/train.jsonl", "data/test.jsonl"):
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_bytes((task_folder / name).read_bytes())
    (here,), (there,) = (catalogue.find(suite(folder, "tiny_gsm")) for folder in (task_folder, other))
    assert here.key() == there.key()
    write_rows(other / "data" / "test.jsonl", rows(20, 1))
    assert here.key() != there.key()
    edited = TASK.replace("Answer:", "Reply:")
    (other / "tiny_gsm.yaml").write_text(edited)
    write_rows(other / "data" / "test.jsonl", rows(20, 0))
    assert catalogue.find(suite(other, "tiny_gsm"))[0].key() != here.key()


def test_code_beside_a_task_is_in_its_key(task_folder: Path) -> None:
    (task_folder / "code.py").write_text("def process(items): return items\n")
    (task_folder / "coded.yaml").write_text(
        TASK.replace("tiny_gsm", "coded") + "process_docs: !function code.process\n"
    )
    (before,) = catalogue.find(suite(task_folder, "coded"))
    (task_folder / "code.py").write_text("def process(items): return items.select([0])\n")
    (after,) = catalogue.find(suite(task_folder, "coded"))
    assert before.definition != after.definition


@pytest.mark.parametrize("function", ["crescent_answers", "!function crescent.evaluation.extraction.CrescentAnswers"])
def test_how_our_filter_reads_is_in_the_key_of_a_task_that_names_it_in_its_yaml(
    task_folder: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    filters = f"filter_list:\n  - name: crescent\n    filter: [{{function: {function}}}, {{function: take_first}}]\n"
    (task_folder / "read.yaml").write_text(CHOICE.replace("tiny_choice", "read") + filters)
    keys = [[source.key() for source in catalogue.find(suite(task_folder, "read", "tiny_choice"))]]
    monkeypatch.setattr(catalogue, "ANSWERS_VERSION", catalogue.ANSWERS_VERSION + 1)
    keys += [[source.key() for source in catalogue.find(suite(task_folder, "read", "tiny_choice"))]]
    assert keys[0][0] != keys[1][0] and keys[0][1] == keys[1][1]


def test_settings_that_cannot_be_are_named() -> None:
    good = EvaluationSettings("x", tasks=("a",))
    for change, message in {
        "tasks": (("a", "a"), r"eval\.tasks names a more than once"),
        "shots": ((-1,), r"eval\.shots is \[-1\]"),
        "limit": (0, r"eval\.limit is 0"),
        "max_new_tokens": (0, r"eval\.max_new_tokens is 0"),
        "primary": ((), r"eval\.primary is empty"),
    }.items():
        with pytest.raises(ValueError, match=message[1]):
            replace(good, **{change: message[0]})
