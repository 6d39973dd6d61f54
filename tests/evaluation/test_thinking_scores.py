"""Scores of models that think: answers alone are judged, with room for thoughts, which are counted beside them."""

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from stage_context import closable, stage_context
from thinking import OPENS, SWITCHED, save_thinking, save_tiny_model
from transformers import AutoTokenizer

from crescent.core.console import Console
from crescent.core.records import TaskScore
from crescent.core.store import Store
from crescent.engines import Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation.model import HarnessModel
from crescent.evaluation.settings import EvaluationSettings
from crescent.evaluation.stage import Evaluate, read_samples

THOUGHT = "Is it 12?\n\nQ: or 13?\n</think>\n\n"
TAUGHT = f"<think>\n{THOUGHT}7 left\n\nQ: more"
TASK = """\
task: left
dataset_path: json
dataset_kwargs: {data_files: {test: items.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "How many?"
doc_to_target: "7 left"
generation_kwargs: {until: ["\\n\\n"], do_sample: false, max_gen_toks: 20}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    folder = save_thinking(tmp_path_factory.mktemp("thinker") / "model", OPENS, [("How many?", TAUGHT)], steps=80)
    return TransformersEngine(*load(Weights("m", str(folder)), "cpu"), "m")


def asked(lm: Any, **arguments: Any) -> list[Instance]:
    prompt = lm.apply_chat_template([{"role": "user", "content": "How many?"}])
    options = {"do_sample": False, "max_gen_toks": 80, "until": [], **arguments}
    return [Instance("generate_until", {}, (prompt, options), 0, ("tiny", 0, 1))]


@pytest.mark.parametrize(
    ("until", "answer"),
    [
        ([], "7 left\n\nQ: more"),
        (["\n\n"], "7 left"),
        (["Q:"], "7 left\n\n"),
        (["?"], "7 left\n\nQ: more"),
        (["7"], ""),
    ],
)
def test_stop_strings_end_answers_and_not_thoughts(
    until: list[str], answer: str, thinker: TransformersEngine, console: Console
) -> None:
    model = HarnessModel(thinker, console, "t")
    assert model.generate_until(asked(model, until=until)) == [answer]


def test_a_completion_has_its_thought_and_the_answer_before_the_stop_string(thinker: TransformersEngine) -> None:
    [made] = thinker.generate(["How many?"], Sampling(0, 1, 80, ("\n\n",)))
    assert (made.text, made.finish_reason) == (f"<think>\n{THOUGHT}7 left", "stop")


def test_thoughts_have_room_beside_the_limit_of_the_answer(thinker: TransformersEngine, console: Console) -> None:
    count = len(thinker.tokenizer(THOUGHT, add_special_tokens=False)["input_ids"])
    cramped = HarnessModel(thinker, console, "t")
    assert cramped.generate_until(asked(cramped, max_gen_toks=count - 2, until=["\n\n"])) == [""]
    assert cramped.thinks and cramped.thoughts[0][1] == 1 and cramped.thoughts[0][0] > 0
    roomy = HarnessModel(thinker, console, "t", thinking_tokens=count)
    assert roomy.generate_until(asked(roomy, max_gen_toks=count - 2, until=["\n\n"])) == ["7 left"]
    assert roomy.thoughts[0][1] == 0


def test_thoughts_are_in_the_scores_and_samples_of_a_task(
    thinker: TransformersEngine, tmp_path: Path, console: Console
) -> None:
    (tmp_path / "left.yaml").write_text(TASK)
    (tmp_path / "items.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    settings = EvaluationSettings("t", tasks=("left",), task_folders=(str(tmp_path),), shots=(0,))
    context = stage_context(Store(tmp_path / "store"), closable(thinker), console=console)
    values = {}
    for room in (0, 60):
        scored = Evaluate(settings, thinking_tokens=room).run(context)
        [artifact] = scored.artifacts
        found = {one.metric: one for one in artifact.read(TaskScore)}
        values[room] = [found[name].value for name in ("exact_match", "cut_at_limit")]
        assert found["thought_tokens"].value > 10 and found["thought_tokens"].n == 2
        assert {sample["response"] for sample in read_samples(artifact)} == {"" if room == 0 else "7 left"}
        assert artifact.info["conditions"].get("thinking_tokens") == (room or None)
        assert [one.metric for one in scored.scores if one.primary] == ["exact_match"]
    assert values == {0: [0.0, 1.0], 60: [1.0, 0.0]}  # and each has a key of its own


CHOICES = ("7 left", "Is it 12?")  # the answer, and what is thought first


@pytest.fixture(scope="module")
def closes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer whose chat template closes the thought at once, as DeepSeek V3.1's does."""
    template = OPENS.replace("<think>\n", "<think>\n\n</think>\n\n")
    return AutoTokenizer.from_pretrained(save_tiny_model(tmp_path_factory.mktemp("closes"), template=template))


def choices(lm: Any) -> list[Instance]:
    prompt = lm.apply_chat_template([{"role": "user", "content": "How many?"}])
    return [Instance("loglikelihood", {}, (prompt, choice), at, ("tiny", at, 1)) for at, choice in enumerate(CHOICES)]


def test_choices_are_scored_as_answers_and_not_as_thoughts(
    thinker: TransformersEngine, closes: Any, console: Console
) -> None:
    build: Any = HFLM
    inside, behind = (
        build(pretrained=thinker.model, tokenizer=tokenizer, batch_size=2) for tokenizer in (thinker.tokenizer, closes)
    )
    model = HarnessModel(thinker, console, "t")
    scored = [value for value, _ in model.loglikelihood(choices(model))]
    assert scored == pytest.approx([value for value, _ in behind.loglikelihood(choices(behind))], abs=1e-4)
    thought = [value for value, _ in inside.loglikelihood(choices(inside))]
    assert scored[0] > scored[1] and thought[0] < thought[1]


def test_a_task_of_choices_says_that_thoughts_were_closed(
    thinker: TransformersEngine, closes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pick.yaml").write_text(
        TASK.replace("task: left", "task: pick").replace("generate_until", "multiple_choice")
        .replace('doc_to_target: "7 left"', f"doc_to_choice: {list(CHOICES)}\ndoc_to_target: 0")
        .replace("exact_match", "acc").replace("generation_kwargs", "#")
    )  # fmt: skip
    (tmp_path / "items.jsonl").write_text('{"n": 1}\n')
    settings = EvaluationSettings("t", tasks=("pick",), task_folders=(str(tmp_path),), shots=(0,))
    context = stage_context(Store(tmp_path / "store"), closable(thinker), console=Console())
    [artifact] = Evaluate(settings).run(context).artifacts
    assert [one.value for one in artifact.read(TaskScore) if one.metric == "acc"] == [1.0]
    assert artifact.info["conditions"]["thoughts"] == "closed before each choice"
    assert "pick, 0-shot: choices are scored as answers without a thought" in capsys.readouterr().err


def test_choices_of_a_model_that_would_think_first_are_scored_as_in_the_harness_and_it_is_said(
    thinker: TransformersEngine, console: Console, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(save_tiny_model(tmp_path / "switched", template=SWITCHED))
    model = HarnessModel(TransformersEngine(thinker.model, tokenizer, "m"), console, "t")
    build: Any = HFLM
    plain = build(pretrained=thinker.model, tokenizer=tokenizer, batch_size=2)
    expected = [value for value, _ in plain.loglikelihood(choices(plain))]
    assert [value for value, _ in model.loglikelihood(choices(model))] == pytest.approx(expected, abs=1e-4)
    assert "turn thinking off" in caplog.text


def test_a_model_that_does_not_think_has_no_such_scores(
    engine: TransformersEngine, tmp_path: Path, console: Console
) -> None:
    (tmp_path / "left.yaml").write_text(TASK)
    (tmp_path / "items.jsonl").write_text('{"n": 1}\n')
    settings = EvaluationSettings("t", tasks=("left",), task_folders=(str(tmp_path),), shots=(0,))
    context = stage_context(Store(tmp_path / "store"), closable(engine), console=console)
    [artifact] = Evaluate(settings).run(context).artifacts
    assert {one.metric for one in artifact.read(TaskScore)} == {"exact_match", "prompt_tokens", "new_tokens"}
    assert not {"thought_tokens", "cut_at_limit"} & read_samples(artifact)[0].keys()
