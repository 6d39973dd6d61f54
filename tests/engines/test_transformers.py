"""The transformers engine on tiny random models: order, reproducibility, stops, counts, memory."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.transformers import TransformersSettings, batch
from crescent.engines.transformers.batch import Batcher
from crescent.engines.transformers.cache import ROOM
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights

TEXTS = ["How many?", "Tom has 12 apples and gives 5 to Ann.", "é ½ − 7", "", "Think step by step. " * 8]
SHORT = Sampling(temperature=1.0, max_new_tokens=24, seed=3)


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def engine(request: pytest.FixtureRequest, tiny_llama: Path, tiny_qwen: Path) -> TransformersEngine:
    folder = tiny_llama if request.param == "llama" else tiny_qwen
    return TransformersSettings(device="cpu").build(Weights(request.param, str(folder)), "w")


def with_batch(engine: TransformersEngine, rows: int) -> TransformersEngine:
    return TransformersEngine(engine.model, engine.tokenizer, "w", rows)


def test_completions_do_not_depend_on_the_batch(engine: TransformersEngine) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(20)]
    together = engine.generate(prompts, SHORT)
    assert with_batch(engine, 7).generate(prompts[::-1], SHORT) == together[::-1]
    assert [with_batch(engine, 1).generate([prompt], SHORT)[0] for prompt in prompts[::5]] == together[::5]


def test_draws_of_a_prompt_differ_and_seeds_differ(engine: TransformersEngine) -> None:
    draws = [completion.text for completion in engine.generate([Prompt("How many?", draw) for draw in range(8)], SHORT)]
    other = engine.generate([Prompt("How many?", 0)], Sampling(max_new_tokens=24, seed=4))[0].text
    assert len(set(draws)) == 8 and other != draws[0]


def test_greedy_equals_the_library_s_own_generate(engine: TransformersEngine) -> None:
    for text, completion in zip(TEXTS, engine.generate(TEXTS, Sampling(temperature=0, max_new_tokens=16)), strict=True):
        ids = torch.tensor([engine.encode(Prompt(text))])
        generate: Any = engine.model.generate
        output = generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, pad_token_id=2)
        assert completion.text == engine.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)


def test_logprobs_are_those_of_a_plain_forward_pass(engine: TransformersEngine) -> None:
    prompt = Prompt("How many?")
    completion = engine.generate([prompt], Sampling(max_new_tokens=5, seed=1))[0]
    prompt_ids = list(engine.encode(prompt))
    new_ids = engine.tokenizer(completion.text, add_special_tokens=False)["input_ids"]
    if len(new_ids) != completion.new_tokens:
        pytest.skip("this random text does not tokenise back to what was drawn")
    logits = engine.model(torch.tensor([prompt_ids + new_ids])).logits[0, len(prompt_ids) - 1 : -1].log_softmax(-1)
    expected = logits.gather(1, torch.tensor(new_ids)[:, None]).mean().item()
    assert completion.mean_logprob == pytest.approx(expected, abs=0.006)


def test_a_length_limit_is_kept_and_told(engine: TransformersEngine) -> None:
    for completion in engine.generate(TEXTS, Sampling(max_new_tokens=3)):
        assert (completion.new_tokens, completion.finish_reason) == (3, "length") or completion.finish_reason == "stop"


def test_an_end_token_stops_a_completion(engine: TransformersEngine) -> None:
    completions = engine.generate([Prompt("x", draw) for draw in range(200)], Sampling(max_new_tokens=400))
    ended = [completion for completion in completions if completion.finish_reason == "stop"]
    assert ended and not any("<|end|>" in completion.text for completion in ended)
    assert sum(completion.new_tokens for completion in ended) < 400 * len(ended)


def test_a_stop_string_ends_a_completion_and_is_cut(engine: TransformersEngine) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(4)]
    free = engine.generate(prompts, SHORT)
    stop = free[0].text[5:7]
    stopped = engine.generate(prompts, Sampling(max_new_tokens=24, seed=3, stop=(stop,)))
    for before, after in zip(free, stopped, strict=True):
        assert after.text == before.text.split(stop)[0]


def test_a_prompt_beyond_the_context_gets_an_empty_completion(engine: TransformersEngine) -> None:
    completion = engine.generate(["a b c d " * 3000], SHORT)[0]
    assert completion == Completion("", "length", completion.prompt_tokens, 0, 0.0)


def test_out_of_memory_halves_the_batch_and_changes_nothing(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(4)]
    small = with_batch(engine, 256)
    step = Batcher.step

    def step_if_it_fits(self: Batcher, batch: Any, tokens: torch.Tensor) -> None:
        if len(batch.rows) > 5:
            raise torch.OutOfMemoryError("out of memory")
        step(self, batch, tokens)

    monkeypatch.setattr(Batcher, "step", step_if_it_fits)
    limited = small.generate(prompts, SHORT)
    monkeypatch.undo()
    assert limited == engine.generate(prompts, SHORT)


def test_out_of_memory_halves_the_rows_that_were_in_the_batch(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Batcher, "_fitting", lambda self, longest, held=0: min(self.max_rows, 12))
    step = Batcher.step

    def step_if_it_fits(self: Batcher, batch: Any, tokens: torch.Tensor) -> None:
        if len(batch.rows) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        step(self, batch, tokens)

    monkeypatch.setattr(Batcher, "step", step_if_it_fits)
    with_batch(engine, 256).generate([Prompt("How?", draw) for draw in range(100)], SHORT)
    assert re.findall(r"out of memory with (\d+) .* continuing with (\d+)", caplog.text) == [("12", "6")]


def test_room_for_rows_counts_what_the_batch_itself_holds(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(engine.model, 0, 256)
    for_all = 64 * (100 + ROOM) * batcher._token_bytes
    monkeypatch.setattr(batch, "free_bytes", lambda _: 4 * for_all)
    assert batcher._fitting(100) == 64
    monkeypatch.setattr(batch, "free_bytes", lambda _: 3 * for_all)
    assert batcher._fitting(100) == 48 and batcher._fitting(100, 64 * (100 + ROOM)) == 64


def test_what_auto_chose_is_said_with_its_reason(engine: TransformersEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        TransformersEngine(engine.model, engine.tokenizer, "w", batching="auto")
    assert caplog.messages == ["padded batches: the model runs on cpu"]


@pytest.mark.parametrize("device", ["cuda:1", "cuda:12"])
def test_a_gpu_that_training_would_not_take_is_refused_with_a_hint(device: str) -> None:
    with pytest.raises(ValueError, match=f"CUDA_VISIBLE_DEVICES={device[5:]} crescent"):
        TransformersSettings(device=device)
    assert TransformersSettings(device="cuda:0").device == "cuda:0"


def test_nucleus_sampling_draws_only_from_the_nucleus(engine: TransformersEngine) -> None:
    tiny = Sampling(temperature=1.0, top_p=1e-6, max_new_tokens=12)
    greedy = [made.text for made in engine.generate(TEXTS, Sampling(temperature=0, max_new_tokens=12))]
    assert [made.text for made in engine.generate(TEXTS, tiny)] == greedy


FULL = Sampling(0.9, 0.95, 24, seed=3, top_k=20, min_p=0.02, repetition_penalty=3.0)


def test_completions_with_every_part_of_sampling_do_not_depend_on_the_batch(engine: TransformersEngine) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(4)]
    whole = engine.generate(prompts, FULL)
    assert with_batch(engine, 1).generate(prompts, FULL) == whole == with_batch(engine, 5).generate(prompts, FULL)
    assert whole != engine.generate(prompts, SHORT)


def test_a_penalty_for_repetition_is_the_library_s_own(engine: TransformersEngine) -> None:
    for text in TEXTS:
        ids = torch.tensor([engine.encode(Prompt(text))])
        made: Any = engine.model.generate(
            ids, do_sample=False, max_new_tokens=24, repetition_penalty=30.0, attention_mask=torch.ones_like(ids)
        )  # type: ignore[operator]
        expected = engine.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
        ours = engine.generate([text], Sampling(temperature=0, max_new_tokens=24, repetition_penalty=30.0))[0]
        assert ours.text == expected != engine.generate([text], Sampling(temperature=0, max_new_tokens=24))[0].text


def test_auto_pads_where_continuous_batches_would_leave_the_penalty_out(engine: TransformersEngine) -> None:
    auto = TransformersEngine(engine.model, engine.tokenizer, "w", batching="auto")
    auto.batching, auto._decoder = "continuous", None  # type: ignore[assignment]
    assert auto.generate(TEXTS, FULL) == engine.generate(TEXTS, FULL)
