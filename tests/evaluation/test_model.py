from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from unlisted import save_talkative, save_unlisted

from crescent.core.console import Console
from crescent.engines import Completion, Prompt
from crescent.engines.encoding import encode
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation.model import HarnessModel

QUESTIONS = ["How many?", "Tom has 12 apples and gives 5 to Ann. How many apples are left?", "Ann " * 40, "7"]


def asked(lm: Any, questions: list[str], **arguments: Any) -> list[Instance]:
    prompts = [lm.apply_chat_template([{"role": "user", "content": question}]) for question in questions]
    options = {"do_sample": False, "max_gen_toks": 40, "until": [], **arguments}
    return [
        Instance("generate_until", {}, (prompt, dict(options)), index, ("tiny", index, 1))
        for index, prompt in enumerate(prompts)
    ]


@pytest.fixture
def model(engine: TransformersEngine, console: Console) -> HarnessModel:
    return HarnessModel(engine, console, "tiny")


@pytest.mark.parametrize("until", [[], ["4"], ["le", "m", "\n"], ["Question:", "</s>", "<|end|>"]])
def test_greedy_texts_equal_those_of_the_harness(model: HarnessModel, plain: Any, until: list[str]) -> None:
    requests = asked(model, QUESTIONS, until=until)
    assert model.generate_until(requests) == plain.generate_until(requests, disable_tqdm=True)


def test_control_tokens_that_an_item_spells_are_read_as_in_the_harness(model: HarnessModel, plain: Any) -> None:
    """In items of benchmarks they are control tokens, in questions of a run they are text."""
    questions = ["What does <|end|> end?", "Who says <|user|> or <s>?", "How many<|assistant|>?"]
    requests = asked(model, questions)
    assert model.generate_until(requests) == plain.generate_until(requests, disable_tqdm=True)
    choices = [Instance("loglikelihood", {}, (one.args[0], " <|end|>7"), 0, ("tiny", 0, 1)) for one in requests]
    expected = [value for value, _ in plain.loglikelihood(choices, disable_tqdm=True)]
    assert [value for value, _ in model.loglikelihood(choices)] == pytest.approx(expected, abs=1e-4)
    for question, request in zip(questions, requests, strict=True):
        read = encode(Prompt(request.args[0], rendered=True), model.tokenizer)
        assert read == plain.tok_encode(request.args[0]) != encode(Prompt(question), model.tokenizer)


def test_texts_differ_between_prompts_so_that_equality_means_something(model: HarnessModel) -> None:
    assert len(set(model.generate_until(asked(model, QUESTIONS)))) == len(QUESTIONS)


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    """A model that goes on with a next turn, and with its answer to it, before it ends."""
    folder = save_talkative(tmp_path_factory.mktemp("talkative") / "model", "How many?", NEXT_TURN)
    return TransformersEngine(*load(Weights("m", str(folder)), "cpu"), "m")


NEXT_TURN = "Left: 7<|user|>\nWho?<|assistant|>\nAnn 12"
STOPS = {
    ("<|user|>",): "Left: 7", ("<|user|>\n",): "Left: 7\n", ("7<|user|>",): "Left: 7", ("7",): "Left: ",
    ("<|user|>\nWho?<|assistant|>",): "Left: 7\nWho?", ("Who?<|assistant|>\nA",): "Left: 7\nWho?\nAn",
    ("Q:", "</s>", "<|user|>"): "Left: 7", ("Ann",): "Left: 7\nWho?\n", ("<|assist",): "Left: 7\nWho?",
    (): "Left: 7\nWho?\nAnn 12",
}  # fmt: skip


@pytest.mark.parametrize("until", STOPS)
def test_stop_strings_with_special_tokens_end_a_next_turn_as_in_the_harness(
    until: tuple[str, ...], talkative: TransformersEngine, console: Console
) -> None:
    build: Any = HFLM
    theirs = build(pretrained=talkative.model, tokenizer=talkative.tokenizer, batch_size=1)
    model = HarnessModel(talkative, console, "tiny")
    requests = asked(model, ["How many?"], until=list(until))
    assert model.generate_until(requests) == theirs.generate_until(requests, disable_tqdm=True) == [STOPS[until]]


def test_a_prompt_that_is_too_long_loses_its_beginning_as_in_the_harness(
    model: HarnessModel, plain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    requests = asked(model, ["Tom has 12 apples. " * 500, "How many?"], max_gen_toks=10)
    assert model.generate_until(requests) == plain.generate_until(requests, disable_tqdm=True)
    assert "1 of 2 prompts are too long" in caplog.text


def test_more_new_tokens_than_the_context_holds_are_refused(model: HarnessModel) -> None:
    with pytest.raises(ValueError, match=r"2048 new tokens do not fit a context of 2048; lower eval\.max_new_tokens"):
        model.generate_until(asked(model, QUESTIONS, max_gen_toks=2048))


def test_a_prompt_without_its_begin_token_gets_exactly_one(model: HarnessModel, plain: Any) -> None:
    arguments = {"do_sample": False, "max_gen_toks": 8, "until": []}
    requests = [
        Instance("generate_until", {}, (text, dict(arguments)), 0, ("tiny", 0, 1)) for text in ("<s>How", "How")
    ]
    first, second = model.generate_until(requests)
    assert first == second == plain.generate_until(requests[1:], disable_tqdm=True)[0]


def test_chat_turns_are_rendered_as_the_harness_renders_them(model: HarnessModel, plain: Any) -> None:
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "The answer"}]
    assert model.apply_chat_template(turns[:1]) == plain.apply_chat_template(turns[:1])
    assert model.apply_chat_template(turns, False) == plain.apply_chat_template(turns, False)
    assert model.tokenizer_name == plain.tokenizer_name


def test_log_likelihoods_that_do_not_fit_are_scored_in_smaller_batches(
    model: HarnessModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = [(f"Tom has {number}", " apples") for number in range(9)]
    requests = [Instance("loglikelihood", {}, pair, index, ("tiny", index, 1)) for index, pair in enumerate(pairs)]
    expected, call = model.loglikelihood(requests), HFLM._model_call  # type: ignore[attr-defined]

    def call_if_it_fits(self: Any, inps: torch.Tensor, *rest: Any, **more: Any) -> Any:
        if len(inps) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return call(self, inps, *rest, **more)

    monkeypatch.setattr(HFLM, "_model_call", call_if_it_fits)
    assert [one for _, one in model.loglikelihood(requests)] == [one for _, one in expected]
    told = "out of memory with {} choices in a batch; continuing with {}"
    assert told.format(9, 4) in caplog.text and told.format(4, 2) in caplog.text


def test_log_likelihoods_are_the_harness_own(model: HarnessModel, plain: Any) -> None:
    pairs = [("Tom has", " 12"), ("Tom has", " apples and"), ("<s>Ann", " 7")]
    requests = [Instance("loglikelihood", {}, pair, index, ("tiny", index, 1)) for index, pair in enumerate(pairs)]
    ours, theirs = model.loglikelihood(requests), plain.loglikelihood(requests, disable_tqdm=True)
    assert [pair[0] for pair in ours] == pytest.approx([pair[0] for pair in theirs], abs=1e-4)
    assert [pair[1] for pair in ours] == [pair[1] for pair in theirs]


@pytest.mark.parametrize(("tokens", "cut"), [(2048, 0), (2049, 0), (2050, 1), (3000, 1)])
def test_a_prompt_too_long_for_a_choice_is_counted_once_and_scored_as_in_the_harness(
    tokens: int, cut: int, model: HarnessModel, plain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def count(text: str) -> int:
        return len(model.tokenizer(text)["input_ids"])

    context = "7" * (tokens - count("7" * 50) + 50 - 2)  # of the choice 77; a digit is a token
    assert count(context + "77") == tokens
    pairs = [(context, "77"), (context, "7"), ("How many?", " 7"), ("", " 7")]
    requests = [Instance("loglikelihood", {}, pair, index, ("tiny", index, 1)) for index, pair in enumerate(pairs)]
    theirs = plain.loglikelihood(requests, disable_tqdm=True)
    assert [one for one, _ in model.loglikelihood(requests)] == pytest.approx([one for one, _ in theirs], abs=1e-4)
    said = [record.message for record in caplog.records if record.name.startswith("crescent")]
    assert said == ["tiny: 1 of 3 prompts are too long and lose their beginning"] * cut


def test_a_choice_longer_than_the_context_is_refused(model: HarnessModel) -> None:
    requests = [Instance("loglikelihood", {}, ("How many?", " apple" * 3000), 0, ("tiny", 0, 1))]
    with pytest.raises(ValueError, match=r"tiny: a choice has \d+ tokens, and the context of the model holds 2048"):
        model.loglikelihood(requests)


def test_rolling_log_likelihoods_are_the_harness_own(model: HarnessModel, plain: Any) -> None:
    requests = [Instance("loglikelihood_rolling", {}, ("Tom has 12 apples.",), 0, ("tiny", 0, 1))]
    assert model.loglikelihood_rolling(requests) == pytest.approx(
        plain.loglikelihood_rolling(requests, disable_tqdm=True), abs=1e-4
    )


def test_repeats_of_a_sampled_request_are_different_draws_that_a_seed_reproduces(
    engine: TransformersEngine, console: Console
) -> None:
    drawn = []
    for seed in (0, 0, 1):
        model = HarnessModel(engine, console, "tiny", seed=seed)
        (request,) = asked(model, ["How many?"], do_sample=True, temperature=30.0)
        drawn.append(model.generate_until([request] * 3))
    assert len(set(drawn[0])) == 3
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_task_without_a_limit_gets_the_models_own(engine: TransformersEngine, console: Console) -> None:
    model = HarnessModel(engine, console, "tiny", max_new_tokens=3)
    (limited,) = model.generate_until(asked(model, ["How many?"], max_gen_toks=3))
    request = asked(model, ["How many?"])[0]
    options: Any = request.arguments[-1]
    del options["max_gen_toks"]
    assert model.generate_until([request]) == [limited]


def test_a_template_that_refuses_system_turns_is_used_without(tiny_llama: Path, console: Console) -> None:
    weights, tokenizer = load(Weights("tiny", str(tiny_llama)), "cpu")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    model = HarnessModel(TransformersEngine(weights, tokenizer, "tiny"), console, "tiny")
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    assert model.apply_chat_template(turns) == "Hello"


def test_an_engine_without_a_model_is_refused_with_a_hint(console: Console) -> None:
    class Remote:
        deterministic, identity = False, "remote"

        def generate(self, prompts: Any, sampling: Any, finished: Any = None) -> list[Any]:
            return []

        def close(self) -> None: ...

    with pytest.raises(ValueError, match="choose engine=transformers"):
        HarnessModel(Remote(), console, "tiny")


def test_a_scored_answer_ends_where_the_template_ends_a_turn(tmp_path: Path, console: Console) -> None:
    folder = save_unlisted(tmp_path / "model", [("How many?", "Left: 7")])
    engine = TransformersEngine(*load(Weights("m", str(folder)), "cpu"), "m")
    model = HarnessModel(engine, console, "tiny")
    assert model.generate_until(asked(model, ["How many?"])) == ["Left: 7"]
    assert model.completions[0].finish_reason == "stop"


@pytest.mark.parametrize(("reason", "text"), [("stop", "7"), ("length", "7"), ("abort", "")])
def test_what_the_engine_gave_up_on_is_scored_as_no_answer(
    reason: str, text: str, model: HarnessModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Completion("7", reason, 3, 1, -0.1)
    monkeypatch.setattr(TransformersEngine, "generate", lambda *given: [made])
    assert model.generate_until(asked(model, ["How many?"])) == [text]


def test_progress_counts_prompts_within_a_slice_of_choices(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("crescent.core.console.SECONDS_BETWEEN_LINES", 0.0)
    model = HarnessModel(engine, Console(), "arc, 0-shot", loglikelihood_batch=2)
    pairs = [(f"How many? {n}", f" {n}") for n in range(6)]
    model.loglikelihood([Instance("loglikelihood", {}, pair, n, ("tiny", n, 1)) for n, pair in enumerate(pairs)])
    told = [line for line in capsys.readouterr().err.splitlines() if "prompts read" in line]
    assert "0/6 choices" in told[0] and "2 prompts read" in told[0] and "6 prompts read" in told[-1]
