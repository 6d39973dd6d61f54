"""What every engine must do, whatever it is: order, counts, stops, limits, any text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Behaviour, Serving

from crescent.engines import Completion, Engine, Prompt, Sampling
from crescent.engines.choices import ServerSettings, TransformersSettings
from crescent.engines.weights import Weights

TEXTS = ["How many?", "", "é ½ − 7 \u2028 名前", "Think step by step. " * 30, "{question} <|end|>?"]
DRAWN = Sampling(max_new_tokens=12, seed=3)


@pytest.fixture(scope="module", params=["transformers", "server"])
def engine(request: pytest.FixtureRequest, tiny_llama: Path) -> Iterator[Engine]:
    weights = Weights("tiny", str(tiny_llama))
    local = TransformersSettings(device="cpu").build(weights, "w")
    if request.param == "transformers":
        yield local
        return
    with Serving(local, Behaviour()) as url:
        yield ServerSettings((url,), model="tiny").build(weights, "w")


def test_there_is_one_completion_a_prompt_in_order(engine: Engine) -> None:
    prompts = [Prompt(text, draw) for draw in range(6) for text in TEXTS]
    greedy = Sampling(temperature=0, max_new_tokens=8)
    alone = {text: engine.generate([text], greedy)[0].text for text in TEXTS}
    together = engine.generate(prompts, greedy)
    assert [one.text for one in together] == [alone[prompt.text] for prompt in prompts]


def test_no_prompt_brings_no_completion(engine: Engine) -> None:
    assert engine.generate([], DRAWN) == []


def test_draws_of_one_prompt_are_independent(engine: Engine) -> None:
    texts = [one.text for one in engine.generate([Prompt("How many?", draw) for draw in range(20)], DRAWN)]
    assert len(set(texts)) >= 19


def test_tokens_are_counted_and_limits_told(engine: Engine) -> None:
    for one in engine.generate(TEXTS, DRAWN):
        assert 0 < one.new_tokens <= 12 and one.prompt_tokens > 0 and one.mean_logprob < 0
        assert one.finish_reason == "length" if one.new_tokens == 12 and one.text else True
    short = engine.generate(TEXTS, Sampling(max_new_tokens=1))
    assert [one.new_tokens for one in short] == [1] * len(TEXTS)


def test_each_completion_is_handed_out_once_as_it_is_finished(engine: Engine) -> None:
    told: list[tuple[int, Completion]] = []
    prompts = [*(Prompt("How?", draw) for draw in range(9)), Prompt("word " * 3000)]
    made = engine.generate(prompts, DRAWN, lambda *seen: told.append(seen))
    assert sorted(told, key=lambda seen: seen[0]) == list(enumerate(made))


def test_a_stop_string_is_cut_off(engine: Engine) -> None:
    free = engine.generate(["How many?"], Sampling(temperature=0, max_new_tokens=12))[0].text
    stop = free[3:5]
    stopped = engine.generate(["How many?"], Sampling(temperature=0, max_new_tokens=12, stop=(stop,)))[0]
    assert stopped.text == free.split(stop)[0] and stopped.finish_reason == "stop"


def test_a_prompt_longer_than_the_context_is_an_empty_completion_that_was_cut(engine: Engine) -> None:
    long, short = engine.generate(["word " * 3000, "How many?"], DRAWN)
    assert (long.text, long.finish_reason, long.new_tokens) == ("", "length", 0) and short.new_tokens > 0


def test_rendered_prompts_go_without_a_template(engine: Engine) -> None:
    greedy = Sampling(temperature=0, max_new_tokens=8)
    plain, rendered = engine.generate([Prompt("How?"), Prompt("<s>How?", rendered=True)], greedy)
    assert rendered.prompt_tokens < plain.prompt_tokens


def test_what_is_declared_deterministic_is(engine: Engine) -> None:
    prompts = [Prompt(text, draw) for text in TEXTS for draw in range(3)]
    if engine.deterministic:
        assert engine.generate(prompts[::-1], DRAWN)[::-1] == engine.generate(prompts, DRAWN)
