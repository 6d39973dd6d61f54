"""The server engine against a real HTTP server on loopback that has the faults of real ones."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import save_tiny_model
from serving import Behaviour, Start, local, serve
from unlisted import END, save_unlisted

from crescent.engines import Prompt, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.server.engine import ServerEngine
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights

PROMPTS = [Prompt(text, draw) for text in ("How many?", "Who?") for draw in range(5)]
DRAWN = Sampling(max_new_tokens=6, seed=1)
__all__ = ["local", "serve"]


def engine(*urls: str, model: str = "tiny", path: str = "nowhere", **limits: Any) -> ServerEngine:
    return ServerSettings(urls, model=model, **{"patience_seconds": 30.0, **limits}).build(Weights("tiny", path), "w")


def test_draws_of_a_prompt_are_asked_for_together(serve: Start) -> None:
    seen = Behaviour()
    made = engine(serve(seen).start()).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10
    assert [asked["n"] for asked in seen.seen] == [4, 1, 1, 1, 1, 5, 5]  # at first: what does the server honour?


@pytest.mark.parametrize("behaviour", [Behaviour(honours_n=False), Behaviour(honours_n=False, gives_logprobs=False)])
def test_a_server_that_ignores_n_is_asked_for_one_at_a_time(serve: Start, behaviour: Behaviour) -> None:
    made = engine(serve(behaviour).start()).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10
    assert all(one.new_tokens <= 6 for one in made) and [a["n"] for a in behaviour.seen[-10:]] == [1] * 10


def test_a_server_that_ignores_sampling_is_refused_by_name(serve: Start) -> None:
    url = serve(Behaviour(honours_temperature=False)).start()
    with pytest.raises(ValueError, match=f"{url} ignores temperature: 4 samples at temperature 2 are all"):
        engine(url).generate(PROMPTS, DRAWN)


def test_a_server_that_is_never_greedy_is_refused_by_name(serve: Start) -> None:
    url = serve(Behaviour(honours_zero=False)).start()
    with pytest.raises(ValueError, match=f"{url} ignores temperature 0: 4 greedy answers are all different"):
        engine(url).generate(PROMPTS, DRAWN)


def test_a_server_that_ignores_the_limit_is_refused_by_name(serve: Start) -> None:
    url = serve(Behaviour(honours_limit=False)).start()
    with pytest.raises(ValueError, match=f"{url} ignores max_tokens: it wrote .* with a limit of 32"):
        engine(url).generate(PROMPTS, DRAWN)


def test_a_server_that_ignores_top_p_is_refused_by_name_where_top_p_is_used(serve: Start) -> None:
    asker = engine(serve(Behaviour(honours_top_p=False)).start())
    assert len(asker.generate(PROMPTS, DRAWN)) == 10
    with pytest.raises(ValueError, match=r"ignores top_p: 4 samples with top_p 1e-06 are all different"):
        asker.generate(PROMPTS, Sampling(top_p=0.9, max_new_tokens=6))


def test_a_server_that_honours_top_p_is_asked_about_it_once(serve: Start) -> None:
    seen = Behaviour()
    asker = engine(serve(seen).start())
    for _ in range(2):
        asker.generate(PROMPTS, Sampling(top_p=0.9, max_new_tokens=6))
    assert sum(asked["top_p"] < 1e-3 for asked in seen.seen) == 4


PARTS = {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1}


@pytest.mark.parametrize("part", PARTS)
def test_a_server_that_ignores_a_part_of_sampling_is_refused_by_name_where_it_is_used(part: str, serve: Start) -> None:
    asker = engine(serve(Behaviour(ignores=(part,))).start())
    assert len(asker.generate(PROMPTS, DRAWN)) == 10
    with pytest.raises(ValueError, match=rf"ignores {part}: .* or leave {part} at [01]\."):
        asker.generate(PROMPTS, replace(DRAWN, **{part: PARTS[part]}))


@pytest.mark.parametrize(("owner", "sent"), [
    ("", {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1}),
    ("vllm", {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1}),
    ("llamacpp", {"top_k": 20, "min_p": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 1 << 17}),
])  # fmt: skip
def test_every_part_of_sampling_is_sent_by_the_server_s_own_name_for_it(
    owner: str, sent: dict[str, float], serve: Start
) -> None:
    seen = Behaviour(owned_by=owner)
    engine(serve(seen).start()).generate(PROMPTS, replace(DRAWN, **PARTS))
    assert seen.seen[-1].items() >= sent.items()
    others = {"repetition_penalty", "repeat_penalty", "repeat_last_n"} - sent.keys()
    assert not others & seen.seen[-1].keys()


def test_a_server_that_cuts_prompts_is_refused(serve: Start, tiny_llama: Path) -> None:
    asker = engine(serve(Behaviour(reads_at_most=40)).start(), path=str(tiny_llama))
    with pytest.raises(
        ValueError, match=r"the server read 40 tokens of a prompt of .*it silently truncates long prompts"
    ):
        asker.generate(["How many?", "Think step by step. " * 30], DRAWN)


def test_a_server_that_ignores_stop_strings_is_cut_and_named(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    free = engine(serve(Behaviour()).start()).generate(["How?"], Sampling(temperature=0, max_new_tokens=12))[0].text
    stop = Sampling(temperature=0, max_new_tokens=12, stop=(free[3:5],))
    made = engine(serve(Behaviour(honours_stop=False)).start()).generate(["How?"], stop)[0]
    assert (made.text, made.finish_reason) == (free.split(free[3:5])[0], "stop")
    assert "does not stop at stop strings" in caplog.text


@pytest.mark.parametrize(
    ("reason", "read"),
    [("stop", "stop"), ("length", "length"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("abort", "abort"),
     ("content_filter", "content_filter"), ("error", "error"), ("tool_calls", "tool_calls"), (None, "null"),
     ("function_call", "function_call"), ("shutting down", "shutting down")],
)  # fmt: skip
def test_only_a_stop_is_a_stop(reason: str | None, read: str, serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(ends_with=reason)).start()).generate(PROMPTS, DRAWN)
    assert {one.finish_reason for one in made} == {read}
    assert (f"ended a completion with finish_reason {read}" in caplog.text) == (read not in ("stop", "length"))


def test_a_stop_string_makes_no_answer_of_one_that_was_given_up(serve: Start) -> None:
    free = engine(serve(Behaviour()).start()).generate(["How?"], Sampling(temperature=0, max_new_tokens=12))[0].text
    stop = Sampling(temperature=0, max_new_tokens=12, stop=(free[3:5],))
    [made] = engine(serve(Behaviour(honours_stop=False, ends_with="abort")).start()).generate(["How?"], stop)
    assert made.finish_reason == "abort"


@pytest.mark.parametrize(
    ("owner", "told"),
    [("vllm", {"stop_token_ids": [END]}), ("llamacpp", {"stop": ["<|end|>"]}), ("", {"stop": ["<|end|>"]})],
)
def test_a_server_is_told_of_an_end_of_turn_that_its_model_does_not_list(
    owner: str, told: dict, serve: Start, tmp_path: Path
) -> None:
    seen = Behaviour(owned_by=owner)
    folder = save_unlisted(tmp_path / "model")
    engine(serve(seen).start(), path=str(folder)).generate(PROMPTS, DRAWN)
    names = ("stop", "stop_token_ids")
    assert all({key: value for key, value in asked.items() if key in names} == told for asked in seen.seen)


def test_a_server_is_told_of_no_end_of_turn_that_its_model_lists(serve: Start, tiny_llama: Path) -> None:
    seen = Behaviour(owned_by="vllm")
    engine(serve(seen).start(), path=str(tiny_llama)).generate(PROMPTS, DRAWN)
    assert not any("stop" in asked or "stop_token_ids" in asked for asked in seen.seen)


@pytest.mark.parametrize(("owner", "plain"), [("vllm", {"top_k": -1}), ("llamacpp", {"top_k": 0}), ("", {})])
def test_defaults_of_a_known_server_s_own_are_switched_off(owner: str, plain: dict, serve: Start) -> None:
    seen = Behaviour(owned_by=owner)
    engine(serve(seen).start()).generate(PROMPTS, DRAWN)
    assert all({key: value for key, value in asked.items() if key == "top_k"} == plain for asked in seen.seen)
    assert all((asked.get("min_p") == 0.0) == bool(owner) for asked in seen.seen)


def test_what_a_server_does_not_count_is_counted_with_the_tokenizer(
    serve: Start, local: TransformersEngine, tiny_llama: Path
) -> None:
    mute = Behaviour(takes_logprobs=False, gives_logprobs=False, gives_usage=False)
    made = engine(serve(mute).start(), path=str(tiny_llama)).generate(PROMPTS, DRAWN)
    assert [one.prompt_tokens for one in made] == [len(local.encode(prompt)) for prompt in PROMPTS]
    assert all(0 < one.new_tokens <= 6 for one in made)


def test_another_model_behind_the_server_is_noticed(
    serve: Start, tiny_qwen: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = save_tiny_model(tmp_path / "other", template="{{ messages[0]['content'] }}")
    engine(serve(Behaviour()).start(), path=str(other)).generate(PROMPTS, DRAWN)
    assert "serves another model or another chat template" in caplog.text


def test_a_server_that_cuts_short_is_named(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(most_tokens=4)).start()).generate(PROMPTS, DRAWN)
    assert max(one.new_tokens for one in made) == 4
    assert "cut a completion after 4 tokens although" in caplog.text


def test_a_server_without_logprobs_is_asked_without(serve: Start) -> None:
    made = engine(serve(Behaviour(takes_logprobs=False, gives_logprobs=False)).start()).generate(PROMPTS, DRAWN)
    assert all(one.mean_logprob == 0.0 and one.new_tokens > 0 for one in made)


def test_requests_under_way_when_logprobs_are_first_refused_are_asked_again_without(serve: Start) -> None:
    behaviour = Behaviour()
    asker = engine(serve(behaviour).start())
    asker.generate(PROMPTS[:1], DRAWN)
    behaviour.takes_logprobs = behaviour.gives_logprobs = False
    made = asker.generate([f"Question {n}?" for n in range(20)], DRAWN)
    assert len(made) == 20 and sum("logprobs" in asked for asked in behaviour.seen) > 6 + 1


@pytest.mark.parametrize("body", ["<html>back soon</html>", {"choices": []}, {"choices": None}, {"error": "busy"}])
def test_an_answer_of_nothing_is_waited_out(body: Any, serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    behaviour = Behaviour(useless=[body] * 3)
    made = engine(serve(behaviour).start()).generate(PROMPTS, DRAWN)
    assert len(made) == 10 and not behaviour.useless
    assert caplog.text.count("gives unusable answers") == 1


@pytest.mark.parametrize("status", [503, 408])
def test_a_busy_server_is_asked_again(status: int, serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(serve(Behaviour(failures=3, failure=status)).start()).generate(PROMPTS, DRAWN)
    assert len(made) == 10 and caplog.text.count("retrying until it does") == 1


def test_a_server_without_room_is_left_alone_for_as_long_as_it_asks(
    serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    busy = Behaviour(failures=2, failure=429, retry_after="1")
    made = engine(serve(busy).start(), patience_seconds=20).generate(PROMPTS, DRAWN)
    assert len(made) == 10 and "has no room for more" in caplog.text


def test_requests_that_time_out_say_which_setting(serve: Start) -> None:
    url = serve(Behaviour(hangs=True)).start()
    with pytest.raises(ValueError, match=r"engine.timeout_seconds, or lower engine.in_flight"):
        engine(url, timeout_seconds=0.3, patience_seconds=0.5).generate(PROMPTS, DRAWN)


def test_thousands_of_prompts_are_worked_through_by_a_bounded_number_of_tasks(serve: Start) -> None:
    seen, most = Behaviour(), 0
    asker = engine(serve(seen).start(), in_flight=8)

    def finished(_index: int, _made: object) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))

    made = asker.generate([f"{n}?" for n in range(600)], Sampling(max_new_tokens=1), finished)
    assert len(made) == 600 and seen.busiest <= 8 and most <= 4 * 8  # the client may have tasks of its own a request


INTERRUPTED = """
import signal, sys
from crescent.engines import Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.weights import Weights
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
print("asking", flush=True)
ServerSettings((sys.argv[1],), model="tiny").build(Weights("tiny", "nowhere"), "w").generate(["How?"] * 50, Sampling())
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits_for_a_server(sent: signal.Signals, serve: Start) -> None:
    behaviour = Behaviour(hangs=True)
    url = serve(behaviour).start()
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, url], stdout=-1, stderr=-1, text=True) as asking:
        while not behaviour.seen:
            time.sleep(0.05)
        asking.send_signal(sent)
        try:
            assert asking.wait(timeout=60) != 0  # the server would keep it for 600 s
        finally:
            asking.kill()


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
    with pytest.raises(ValueError, match=r"has not answered for 1 s .*the same command then resumes"):
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


def test_the_first_server_to_be_ready_is_not_given_all_requests_before_the_second_is(serve: Start) -> None:
    fast, slow = Behaviour(seconds=0.2), Behaviour(seconds=0.3)
    asker = engine(serve(fast).start(), serve(slow).start(), in_flight=8)
    asker.generate([Prompt(f"Question {n}?") for n in range(8)], DRAWN)
    shares = [sum("Question 0?" not in str(asked) for asked in one.seen) for one in (fast, slow)]  # 0: probed with it
    assert min(shares) > 0, shares


def test_a_server_that_is_down_at_the_start_keeps_nobody_waiting_and_joins_when_it_is_back(
    serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    late = Behaviour()
    one, other = serve(Behaviour()), serve(late)
    urls = other.start(), one.start()
    other.stop()
    asker = engine(*urls, in_flight=4)
    assert len(asker.generate(PROMPTS, DRAWN)) == 10 and "is not answering" in caplog.text
    threading.Timer(0.5, other.start).start()
    for _ in range(50):  # its share of a round may be small on a busy machine
        asker.generate([Prompt(f"Question {n}?") for n in range(40)], DRAWN)
        if len(late.seen) > 5 + 8:  # beyond what is asked of it first
            return
    raise AssertionError(f"it was asked {len(late.seen)} times in 50 rounds")


def test_a_server_that_joins_late_and_ignores_n_is_asked_for_one_at_a_time(serve: Start) -> None:
    late = Behaviour(honours_n=False)
    one, other = serve(Behaviour()), serve(late)
    urls = other.start(), one.start()
    other.stop()
    asker = engine(*urls, in_flight=4)
    asker.generate(PROMPTS, DRAWN)
    other.start()
    made = asker.generate([Prompt(f"Question {n}?", draw) for n in range(30) for draw in range(5)], DRAWN)
    made = asker.generate([Prompt(f"Question {n}?", draw) for n in range(30) for draw in range(5)], DRAWN)
    assert len(made) == 150 and {asked["n"] for asked in late.seen[1:]} == {1}


def test_a_model_that_is_not_served_is_named_with_what_is(serve: Start) -> None:
    with pytest.raises(ValueError, match=r"does not serve 'llama'; it has tiny"):
        engine(serve(Behaviour()).start(), model="llama").generate(PROMPTS, DRAWN)


def test_an_address_of_a_web_page_is_named_with_a_hint(serve: Start) -> None:
    with pytest.raises(ValueError, match=r"lists no models; most servers' addresses end in /v1"):
        engine(serve(Behaviour()).start().removesuffix("/v1")).generate(PROMPTS, DRAWN)


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "OPENAI_API_KEY"), (402, "engine.urls"), (422, "refuses a request")]
)
def test_a_refusal_is_one_line(status: int, hint: str, serve: Start) -> None:
    with pytest.raises(ValueError, match=f"refuses.*{hint}|{hint}"):
        engine(serve(Behaviour(failures=99, failure=status)).start()).generate(PROMPTS, DRAWN)


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
