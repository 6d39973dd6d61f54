"""How rows are decoded: exchanged while others go on, in caches of several kinds, and by the library's own batching."""

import functools
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import save_tokenizer
from transformers import DynamicCache, LlamaConfig, MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from crescent.engines import Completion, Prompt, Sampling, memory
from crescent.engines.memory import cache_bytes_per_token, free_bytes
from crescent.engines.transformers import batch, continuous
from crescent.engines.transformers.cache import can_grow, exchange, growing_cache
from crescent.engines.transformers.continuous import ContinuousBatchingError, ContinuousDecoder, why_not
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load

DRAWN, GREEDY = Sampling(max_new_tokens=30, seed=3), Sampling(temperature=0, max_new_tokens=16)
MIXED = [Prompt("How many apples? " * (1 + 7 * (number % 5)), number) for number in range(40)]
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": 1,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "bos_token_id": 0, "pad_token_id": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> tuple[Any, Any]:
    return load(Weights("tiny", str(tiny_llama)), "cpu")


@pytest.fixture(scope="module")
def sliding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A model that looks back 16 tokens, fewer than most prompts have."""
    folder = tmp_path_factory.mktemp("mistral")
    vocabulary = save_tokenizer(folder)
    torch.manual_seed(0)
    MistralForCausalLM(MistralConfig(vocab_size=vocabulary, sliding_window=16, **SHAPE)).save_pretrained(folder)
    return load(Weights("mistral", str(folder)), "cpu")


@pytest.mark.parametrize("kind", ["llama", "sliding"])
def test_rows_that_take_the_places_of_finished_ones_are_written_as_if_alone(
    kind: str, request: pytest.FixtureRequest
) -> None:
    model, tokenizer = request.getfixturevalue(kind)
    together = TransformersEngine(model, tokenizer, "w", 8).generate(MIXED, DRAWN)
    alone = TransformersEngine(model, tokenizer, "w", 1)
    assert together == [alone.generate([prompt], DRAWN)[0] for prompt in MIXED]


def test_a_cache_that_cannot_grow_gives_the_same_text(llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = TransformersEngine(*llama, "w", 8).generate(MIXED, DRAWN)
    monkeypatch.setattr(batch, "can_grow", lambda _: False)
    assert TransformersEngine(*llama, "w", 8).generate(MIXED, DRAWN) == expected


def test_no_row_joins_where_padding_would_cost_more_than_the_model(
    llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = TransformersEngine(*llama, "w", 8).generate(MIXED, DRAWN)
    monkeypatch.setattr(batch, "LEAST_BYTES", 0)
    assert TransformersEngine(*llama, "w", 8).generate(MIXED, DRAWN) == expected


def test_exchanged_rows_are_aligned_at_their_end() -> None:
    wide, narrow = growing_cache(LlamaConfig(**SHAPE)), growing_cache(LlamaConfig(**SHAPE))
    for layer in range(2):
        wide.update(torch.full((2, 2, 5, 8), 1.0), torch.full((2, 2, 5, 8), 2.0), layer)
        narrow.update(torch.full((1, 2, 3, 8), 7.0), torch.full((1, 2, 3, 8), 8.0), layer)
    made = exchange([(wide, torch.tensor([1])), (narrow, torch.tensor([0, 0]))], 4)
    keys, values = made.update(torch.full((3, 2, 1, 8), 9.0), torch.full((3, 2, 1, 8), 9.0), 0)
    assert keys[:, 0, :, 0].tolist() == [[1, 1, 1, 1, 9], [0, 7, 7, 7, 9], [0, 7, 7, 7, 9]]
    assert values[:, 1, :, 7].tolist() == [[2, 2, 2, 2, 9], [0, 8, 8, 8, 9], [0, 8, 8, 8, 9]]


def test_a_growing_cache_holds_what_the_library_s_does() -> None:
    grown, library = growing_cache(LlamaConfig(**SHAPE)), DynamicCache(config=LlamaConfig(**SHAPE))
    for _ in range(150):  # through several allotments of room
        new = torch.randn(2, 2, 1, 8)
        assert torch.equal(grown.update(new, -new, 0)[1], library.update(new, -new, 0)[1])


def test_continuous_batching_writes_the_same_greedy_text(llama: tuple[Any, Any]) -> None:
    told: list[tuple[int, Completion]] = []
    engine = TransformersEngine(*llama, "w", 8, "continuous")
    made = engine.generate(MIXED, GREEDY, lambda *seen: told.append(seen))
    assert made == TransformersEngine(*llama, "w", 8).generate(MIXED, GREEDY)
    assert sorted(told, key=lambda seen: seen[0]) == list(enumerate(made)) and not engine.deterministic


def test_continuous_batching_draws_anew_for_other_draws(llama: tuple[Any, Any]) -> None:
    engine = TransformersEngine(*llama, "w", 8, "continuous")
    first, second = (
        engine.generate([Prompt("How?", draw) for draw in part], DRAWN) for part in (range(4), range(4, 8))
    )
    assert len({one.text for one in first + second}) == 8


def test_continuous_batching_ends_at_a_stop_string(llama: tuple[Any, Any]) -> None:
    free = TransformersEngine(*llama, "w").generate(["How many?"], GREEDY)[0].text
    stopping = Sampling(temperature=0, max_new_tokens=16, stop=(free[3:5],))
    made = TransformersEngine(*llama, "w", 8, "continuous").generate(["How many?"], stopping)[0]
    assert made == TransformersEngine(*llama, "w").generate(["How many?"], stopping)[0] and made.finish_reason == "stop"


@pytest.mark.parametrize(("rows", "few", "streams"), [(64, 0.02, True), (4, 1.0, False), (4, 0.02, True)])
def test_tokens_are_streamed_only_while_rows_end_at_stop_strings_and_texts_are_the_same(
    rows: int, few: float, streams: bool, llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that ran past their stop string are cut as if they had been streamed."""
    monkeypatch.setattr(continuous, "STREAMED", rows)
    monkeypatch.setattr(continuous, "FEW", few)
    plain = TransformersEngine(*llama, "w", 8)
    stopping = Sampling(temperature=0, max_new_tokens=16, stop=(plain.generate(["How many?"], GREEDY)[0].text[3:5],))
    engine, asked = TransformersEngine(*llama, "w", 8, "continuous"), []
    streamed = ContinuousDecoder._streams

    def noted(self: ContinuousDecoder, work: Any) -> bool:
        asked.append(streamed(self, work))
        return asked[-1]

    monkeypatch.setattr(ContinuousDecoder, "_streams", noted)
    prompts = ["How many?", *(prompt.text for prompt in MIXED[:5])]
    expected = plain.generate(prompts, stopping)
    assert expected[0].finish_reason == "stop" and expected[0].new_tokens < 16
    for _ in range(2):
        assert engine.generate(prompts, stopping) == expected
    assert asked == [True, streams]


BROKEN = [ImportError("no such name"), TypeError("unexpected argument"), RuntimeError("no kernel"), KeyError()]


def break_down(model: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The library fails after it has given the model an attention for paged memory."""

    def fail(*_: Any, **__: Any) -> None:
        model.set_attn_implementation("paged|eager")
        raise error

    monkeypatch.setattr(model, "continuous_batching_context_manager", fail)


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_where_continuous_batching_of_our_choice_breaks_down_the_rest_is_padded(
    error: Exception, llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = TransformersEngine(*llama, "w", 8).generate(MIXED, GREEDY)
    monkeypatch.setattr(TransformersEngine, "_choose", lambda *_: "continuous")  # what "auto" does on a GPU
    engine = TransformersEngine(*llama, "w", 8, "auto")
    break_down(llama[0], monkeypatch, error)
    assert engine.generate(MIXED, GREEDY) == expected
    assert engine.batching == "padded" and llama[0].config._attn_implementation == "sdpa"
    assert [line.count("continuing with padded batches") for line in caplog.messages] == [1]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_where_continuous_batching_was_asked_for_by_name_its_failure_is_one_line(
    error: Exception, llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(*llama, "w", 8, "continuous")
    break_down(llama[0], monkeypatch, error)
    with pytest.raises(
        ValueError, match=rf"engine\.batching=continuous failed \(.*{type(error).__name__}.*=padded"
    ) as told:
        engine.generate(MIXED, GREEDY)
    assert "\n" not in str(told.value) and llama[0].config._attn_implementation == "sdpa"


def test_where_the_library_s_thread_dies_the_rest_is_padded(
    llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = TransformersEngine(*llama, "w", 8).generate(MIXED, GREEDY)
    monkeypatch.setattr(TransformersEngine, "_choose", lambda *_: "continuous")  # what "auto" does on a GPU
    engine = TransformersEngine(*llama, "w", 8, "auto")
    forward = llama[0].forward

    @functools.wraps(forward)
    def die_in_a_thread(*inputs: Any, **named: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError("in the thread")
        return forward(*inputs, **named)

    monkeypatch.setattr(llama[0], "forward", die_in_a_thread)
    assert engine.generate(MIXED, GREEDY) == expected
    assert engine.batching == "padded" and llama[0].config._attn_implementation == "sdpa"


def test_continuous_batching_leaves_the_model_its_attention(llama: tuple[Any, Any]) -> None:
    llama[0].set_attn_implementation("eager")  # which the library replaces while it decodes
    TransformersEngine(*llama, "w", 8, "continuous").generate(MIXED[:4], GREEDY)
    assert llama[0].config._attn_implementation == "eager"
    llama[0].set_attn_implementation("sdpa")


def test_continuous_batching_goes_on_with_fewer_rows_where_memory_runs_out(
    llama: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(*llama, "w", 8, "continuous")
    decode = ContinuousDecoder._decode

    def decode_if_it_fits(self: ContinuousDecoder, rows: Any, work: Any) -> None:
        if self._max_rows > 2:
            raise ContinuousBatchingError("continuous batching failed: CUDA out of memory. Tried to allocate 2 GiB")
        decode(self, rows, work)

    monkeypatch.setattr(ContinuousDecoder, "_decode", decode_if_it_fits)
    assert engine.generate(MIXED, GREEDY) == TransformersEngine(*llama, "w", 8).generate(MIXED, GREEDY)
    assert engine.batching == "continuous"


def test_a_model_with_another_kind_of_memory_cannot_be_batched_continuously() -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4))
    assert not can_grow(model.config) and "MambaForCausalLM" in str(why_not(model))


def test_the_cache_takes_the_bytes_that_are_counted_for_it() -> None:
    config = LlamaConfig(**SHAPE)
    cache = DynamicCache(config=config)
    for layer in range(2):
        cache.update(torch.zeros(1, 2, 10, 8), torch.zeros(1, 2, 10, 8), layer)
    taken = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)  # pyright: ignore
    assert taken == 10 * cache_bytes_per_token(config, 4)


def test_a_container_s_limit_bounds_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert free_bytes(torch.device("cpu")) == 2_000_000
