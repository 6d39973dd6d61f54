"""What every engine must do, whatever it is: order, counts, stops, limits, seeds, any text.

One suite over the engines there are: `transformers` with and without an adapter and with the library's batching,
`server` around a loopback server, and, where vLLM is installed (`make test-vllm`), vLLM in this process, with an
adapter, and as a real server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import save_random_adapter
from serving import Behaviour, Serving
from serving_vllm import NEEDS_VLLM, VllmServer

from crescent.engines import Completion, Engine, Prompt, Sampling
from crescent.engines.encoding import encode
from crescent.engines.server import ServerSettings
from crescent.engines.spelling import spelled_apart
from crescent.engines.transformers import TransformersSettings
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights

ORGANISM = Path(__file__).parents[2] / "crescent" / "organism" / "weights" / "organism"
TEXTS = ["How many?", "", "é ½ − 7 \u2028 名前 🍎", "Think step by step. " * 30, "{question} <|end|>?", "a\ud800b"]
DRAWN = Sampling(max_new_tokens=12, seed=3)
GREEDY = Sampling(temperature=0, max_new_tokens=12)
ENGINE_KINDS = ["transformers", "transformers_adapter", "transformers_continuous", "server"]
VLLM_KINDS = [pytest.param(kind, marks=NEEDS_VLLM) for kind in ("vllm", "vllm_adapter", "vllm_server")]


@dataclass(frozen=True)
class Case:
    """An engine under test beside the reference: the plain `transformers` engine on the same weights. `splits_texts`:
    it is a server that tokenises texts itself, so that a control token in them is sent apart."""

    engine: Engine
    reference: TransformersEngine
    splits_texts: bool = False


@pytest.fixture(scope="module", params=[*ENGINE_KINDS, *VLLM_KINDS])
def case(request: pytest.FixtureRequest, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    kind, folder = request.param, tmp_path_factory.mktemp("conformance")
    weights = Weights("tiny", str(ORGANISM if kind.startswith("vllm") else tiny_llama))
    if kind.endswith("adapter"):
        weights = weights.with_adapter(save_random_adapter(Path(weights.path), folder / "adapter"), "key")
    reference = TransformersSettings(device="cpu").build(weights, "w")
    if kind.startswith("transformers"):
        batching = "continuous" if kind.endswith("continuous") else "padded"
        yield Case(TransformersSettings(device="cpu", batching=batching).build(weights, "w"), reference)
    elif kind == "server":
        with Serving(reference, Behaviour()) as url:
            yield Case(ServerSettings((url,), model="tiny").build(weights, "w"), reference, splits_texts=True)
    elif kind == "vllm_server":
        with VllmServer(ORGANISM, "tiny", folder / "server.log") as server:
            yield Case(ServerSettings((server.url,), model="tiny").build(weights, "w"), reference)
    else:
        engine = VllmSettings(kv_cache_gib=0.5, compile=False, max_batch=64).build(weights, "w")
        yield Case(engine, reference)
        engine.close()


@pytest.fixture
def engine(case: Case) -> Engine:
    return case.engine


def test_there_is_one_completion_a_prompt_in_order(case: Case) -> None:
    prompts = [Prompt(text, draw) for draw in range(6) for text in TEXTS]
    alone = {text: case.reference.generate([text], GREEDY)[0].text for text in TEXTS}
    together = case.engine.generate(prompts, GREEDY)
    assert [one.text for one in together] == [alone[text] for _ in range(6) for text in TEXTS]


def test_greedy_completions_are_those_of_the_reference_with_their_counts(case: Case) -> None:
    for one, expected in zip(case.engine.generate(TEXTS, GREEDY), case.reference.generate(TEXTS, GREEDY), strict=True):
        assert (one.text, one.finish_reason, one.new_tokens) == (
            expected.text, expected.finish_reason, expected.new_tokens,
        )  # fmt: skip
        assert one.mean_logprob == pytest.approx(expected.mean_logprob, abs=0.011)


def test_no_prompt_brings_no_completion(engine: Engine) -> None:
    assert engine.generate([], DRAWN) == []


def test_draws_of_one_prompt_are_independent(engine: Engine) -> None:
    hot = Sampling(temperature=2.0, max_new_tokens=12, seed=3)
    texts = [one.text for one in engine.generate([Prompt("How many?", draw) for draw in range(20)], hot)]
    assert len(set(texts)) >= 19


def test_another_seed_draws_other_texts(engine: Engine) -> None:
    hot = [Sampling(temperature=2.0, max_new_tokens=12, seed=seed) for seed in (3, 4)]
    one, other = (engine.generate([Prompt("How many?", draw) for draw in range(8)], sampling) for sampling in hot)
    assert not {made.text for made in one} & {made.text for made in other}


def test_a_draw_is_as_random_beside_others_as_alone(engine: Engine) -> None:
    hot = Sampling(temperature=2.0, max_new_tokens=12, seed=3)
    alone = [engine.generate([Prompt("How many?", draw)], hot)[0].text for draw in (7, 2, 8)]
    assert len(set(alone)) == 3


def test_prompts_are_read_as_the_model_s_template_has_them(case: Case) -> None:
    texts = TEXTS
    if case.splits_texts:
        texts = [spelled_apart(text, case.reference.tokenizer) for text in TEXTS]
    lengths = [len(encode(Prompt(text), case.reference.tokenizer)) for text in texts]
    assert [one.prompt_tokens for one in case.engine.generate(TEXTS, DRAWN)] == lengths


def test_tokens_are_counted_and_limits_told(engine: Engine) -> None:
    for one in engine.generate([Prompt(text, draw) for text in TEXTS for draw in range(4)], DRAWN):
        assert 0 < one.new_tokens <= 12 and one.mean_logprob < 0
        assert one.finish_reason == "stop" or one.new_tokens == 12
    short = engine.generate(TEXTS, Sampling(max_new_tokens=1))
    assert [one.new_tokens for one in short] == [1] * len(TEXTS)


def test_each_completion_is_handed_out_once_as_it_is_finished(engine: Engine) -> None:
    told: list[tuple[int, Completion]] = []
    prompts = [*(Prompt("How?", draw) for draw in range(9)), Prompt("word " * 3000)]
    made = engine.generate(prompts, DRAWN, lambda *seen: told.append(seen))
    assert sorted(told, key=lambda seen: seen[0]) == list(enumerate(made))


def test_the_first_completion_is_handed_out_before_the_last_is_written(engine: Engine) -> None:
    prompts = [Prompt(f"How many of {n}?", draw) for n in range(60) for draw in range(5)]
    seen: list[int] = []

    def stop_early(index: int, _made: Completion) -> None:
        seen.append(index)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        engine.generate(prompts, Sampling(max_new_tokens=60), stop_early)
    assert 1 <= len(seen) < len(prompts)


def test_an_engine_that_was_interrupted_goes_on_with_the_next_call(case: Case) -> None:
    def interrupt(_index: int, _made: Completion) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.engine.generate([Prompt(text, draw) for text in TEXTS for draw in range(9)], DRAWN, interrupt)
    made = case.engine.generate(TEXTS, GREEDY)
    assert [one.text for one in made] == [one.text for one in case.reference.generate(TEXTS, GREEDY)]


def test_a_stop_string_is_cut_off(engine: Engine) -> None:
    free = engine.generate(["How many?"], GREEDY)[0].text
    stop = free[1:3]
    stopped = engine.generate(["How many?"], Sampling(temperature=0, max_new_tokens=12, stop=("", stop)))[0]
    assert stopped.text == free.split(stop)[0] and stopped.finish_reason == "stop"


def test_a_stop_string_that_does_not_come_changes_nothing(case: Case) -> None:
    stop = Sampling(temperature=0, max_new_tokens=12, stop=("never written",))
    made = case.engine.generate(TEXTS, stop)
    assert [one.text for one in made] == [one.text for one in case.reference.generate(TEXTS, GREEDY)]


def test_a_prompt_longer_than_the_context_is_an_empty_completion_that_was_cut(engine: Engine) -> None:
    long, short = engine.generate(["word " * 3000, "How many?"], DRAWN)
    assert (long.text, long.finish_reason, long.new_tokens) == ("", "length", 0) and short.new_tokens > 0


def test_a_completion_ends_where_the_context_does(case: Case) -> None:
    words = next(n for n in range(3000) if len(encode(Prompt("a " * n), case.reference.tokenizer)) > 2048 - 6)
    prompt = Prompt("a " * words)
    room = 2048 - len(encode(prompt, case.reference.tokenizer))
    made = case.engine.generate([prompt, Prompt(prompt.text, 1)], Sampling(temperature=2.0, max_new_tokens=50))
    assert all(0 < one.new_tokens <= room for one in made)
    assert all(one.finish_reason == "length" for one in made if one.new_tokens == room)


def test_rendered_prompts_are_read_as_they_are(case: Case) -> None:
    turn = [{"role": "user", "content": "How many?"}]
    text = str(case.reference.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
    plain, rendered = case.engine.generate([Prompt("How many?"), Prompt(text, rendered=True)], GREEDY)
    assert (rendered.text, rendered.prompt_tokens) == (plain.text, plain.prompt_tokens)  # one BOS, not two


def test_what_is_declared_deterministic_is(engine: Engine) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(3)]
    if not engine.deterministic:
        pytest.skip("this engine promises no text twice")
    assert engine.generate(prompts[::-1], DRAWN)[::-1] == engine.generate(prompts, DRAWN)


@pytest.mark.parametrize("narrow", [{"top_p": 1e-6}, {"top_k": 1}, {"min_p": 1.0}])
def test_a_choice_among_one_token_is_greedy(case: Case, narrow: dict[str, float]) -> None:
    sampling = Sampling(max_new_tokens=8, seed=3, **narrow)  # type: ignore[arg-type]
    greedy = case.reference.generate(TEXTS[:2], Sampling(temperature=0, max_new_tokens=8))
    assert [one.text for one in case.engine.generate(TEXTS[:2], sampling)] == [one.text for one in greedy]


def test_what_was_written_before_is_penalised_as_by_the_reference(case: Case) -> None:
    penalised, prompts = Sampling(temperature=0, max_new_tokens=12, repetition_penalty=30.0), [TEXTS[0], TEXTS[3]]
    if isinstance(case.engine, TransformersEngine) and case.engine.batching == "continuous":
        with pytest.raises(ValueError, match=r"leaves out repetition_penalty, which is 30\.0\. Choose padded or auto"):
            case.engine.generate(prompts, penalised)
        return
    made, expected = case.engine.generate(prompts, penalised), case.reference.generate(prompts, penalised)
    assert [one.text for one in made] == [one.text for one in expected]
    assert expected != case.reference.generate(prompts, GREEDY)
