"""The server engine against a real HTTP server on loopback that has the faults of real ones."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Behaviour, Serving

from crescent.engines import Prompt, Sampling
from crescent.engines.choices import ServerSettings, TransformersSettings
from crescent.engines.server import ServerEngine
from crescent.engines.transformers import TransformersEngine
from crescent.engines.weights import Weights

PROMPTS = [Prompt(text, draw) for text in ("How many?", "Who?") for draw in range(5)]
DRAWN = Sampling(max_new_tokens=6, seed=1)
Start = Callable[[Behaviour], Serving]


@pytest.fixture(scope="module")
def local(tiny_llama: Path) -> TransformersEngine:
    return TransformersSettings(device="cpu").build(Weights("tiny", str(tiny_llama)), "w")


@pytest.fixture
def serve(local: TransformersEngine) -> Iterator[Start]:
    started: list[Serving] = []

    def make(behaviour: Behaviour) -> Serving:
        started.append(Serving(local, behaviour))
        return started[-1]

    yield make
    for serving in started:
        serving.stop()


def engine(*urls: str, model: str = "tiny", patience_seconds: float = 30) -> ServerEngine:
    weights = Weights("tiny", "nowhere")
    return ServerSettings(urls, model=model, patience_seconds=patience_seconds).build(weights, "w")


def test_draws_of_a_prompt_are_asked_for_together(serve: Start) -> None:
    seen = Behaviour()
    made = engine(serve(seen).start()).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10
    assert [asked["n"] for asked in seen.seen] == [4, 5, 5]  # the first finds out what the server honours


@pytest.mark.parametrize("behaviour", [Behaviour(honours_n=False), Behaviour(honours_n=False, gives_logprobs=False)])
def test_a_server_that_ignores_n_is_asked_for_one_at_a_time(serve: Start, behaviour: Behaviour) -> None:
    made = engine(serve(behaviour).start()).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10
    assert all(one.new_tokens <= 6 for one in made) and [a["n"] for a in behaviour.seen[-10:]] == [1] * 10


def test_a_server_that_ignores_sampling_is_refused_by_name(serve: Start) -> None:
    url = serve(Behaviour(honours_temperature=False)).start()
    with pytest.raises(ValueError, match=f"{url} ignores temperature: 4 samples at temperature 2 are all"):
        engine(url).generate(PROMPTS, DRAWN)


def test_a_server_that_cuts_short_is_named(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(most_tokens=4)).start()).generate(PROMPTS, DRAWN)
    assert max(one.new_tokens for one in made) == 4
    assert "cut a completion after 4 tokens although" in caplog.text


def test_a_server_without_logprobs_is_asked_without(serve: Start) -> None:
    made = engine(serve(Behaviour(takes_logprobs=False, gives_logprobs=False)).start()).generate(PROMPTS, DRAWN)
    assert all(one.mean_logprob == 0.0 and one.new_tokens > 0 for one in made)


def test_a_busy_server_is_asked_again(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(failures=3)).start()).generate(PROMPTS, DRAWN)
    assert len(made) == 10 and caplog.text.count("asking again until it does") == 1


def test_a_server_that_dies_and_returns_loses_nothing(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    behaviour = Behaviour()
    serving = serve(behaviour)
    asker = engine(serving.start())
    asker.generate(PROMPTS[:1], DRAWN)
    serving.stop()
    threading.Timer(1.0, serving.start).start()
    made = asker.generate([Prompt(f"Question {n}?") for n in range(40)], DRAWN)
    assert len(made) == 40 and all(one.new_tokens > 0 for one in made)
    assert "is not answering" in caplog.text


def test_a_server_that_stays_away_ends_in_one_line(serve: Start) -> None:
    serving = serve(Behaviour())
    url = serving.start()
    serving.stop()
    with pytest.raises(ValueError, match=r"has not answered for 1 s .*the same command then goes on"):
        engine(url, patience_seconds=1).generate(PROMPTS, DRAWN)


def test_several_servers_share_the_work_and_one_of_them_may_die(serve: Start) -> None:
    one, other = Behaviour(), Behaviour()
    first, second = serve(one), serve(other)
    asker = engine(first.start(), second.start())
    asker.generate([Prompt(f"Question {n}?") for n in range(40)], DRAWN)
    assert min(len(one.seen), len(other.seen)) > 8
    second.stop()
    made = asker.generate([Prompt(f"Question {n}?") for n in range(40)], DRAWN)
    assert len(made) == 40 and max(one.busiest, other.busiest) > 4


def test_a_model_that_is_not_served_is_named_with_what_is(serve: Start) -> None:
    with pytest.raises(ValueError, match=r"does not serve 'llama'; it has tiny"):
        engine(serve(Behaviour()).start(), model="llama").generate(PROMPTS, DRAWN)


def test_a_limit_beyond_the_server_s_context_is_left_to_the_server(serve: Start) -> None:
    made = engine(serve(Behaviour(context=64)).start()).generate(PROMPTS[:2], Sampling(max_new_tokens=500, seed=1))
    assert all(0 < one.new_tokens < 64 for one in made)


@pytest.mark.parametrize("settings", [{"urls": ()}, {"urls": ("localhost:1",)}, {"in_flight": 0}])
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"engine.{next(iter(settings))}"):
        ServerSettings(**{"urls": ("http://x/v1",), **settings})


def test_the_address_is_not_in_the_key_and_the_served_name_is() -> None:
    weights = Weights("llama", "meta/llama")
    one, other = ServerSettings(("http://a/v1",)), ServerSettings(("http://b/v1",), in_flight=3)
    assert one.identity(weights, None) == other.identity(weights, None)
    assert ServerSettings(("http://a/v1",), model="tuned").identity(weights, None) != one.identity(weights, None)
    with pytest.raises(ValueError, match="cannot answer with llama after training"):
        one.check(weights.with_adapter(Path("adapter"), "key"))
