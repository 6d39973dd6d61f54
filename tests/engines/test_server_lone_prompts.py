"""Servers that fail on one prompt and answer others: it is set aside, and told apart from a server that is away."""

import threading
from typing import Any

import pytest
from serving import Behaviour, local
from serving import StartAt as Start
from serving import serve_at as serve
from test_refusals import DRAWN, engine

from crescent.engines import Prompt, Sampling
from crescent.engines.server import endpoints

__all__ = ["local", "serve"]
ASKED = [f"Question {n}?" for n in range(9)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(endpoints, "LONGEST_WAIT", 0.05)


def to(text: str, status: int, body: Any) -> Behaviour:
    return Behaviour(refuses_prompts={text: (status, body)})


LONE = [
    (to("Question 7?", 403, {"error": {"message": "Forbidden"}}), "refused", "Forbidden"),
    (to("Question 7?", 403, {}), "refused", "403"),
    (to("Question 7?", 404, {"detail": "Not Found"}), "refused", "Not Found"),
    (Behaviour(poison="Question 7?"), "error", "this prompt is too much"),
    (Behaviour(hollow="Question 7?"), "error", "an answer without choices"),
    (Behaviour(cuts="Question 7?"), "error", "peer closed"),
]


@pytest.mark.parametrize(("behaviour", "finish", "why"), LONE)
def test_a_prompt_that_always_fails_while_others_do_not_is_set_aside(
    behaviour: Behaviour, finish: str, why: str, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[int] = []
    url = serve(behaviour)
    made = engine(url, in_flight=1 + 7 * (finish == "error")).generate(
        ASKED, DRAWN, lambda index, _made: kept.append(index)
    )
    assert (made[7].text, made[7].new_tokens, made[7].finish_reason) == ("", 0, finish)
    assert all(one.new_tokens > 0 for n, one in enumerate(made) if n != 7) and sorted(kept) == list(range(9))
    [told] = [record.message for record in caplog.records if "counted under that reason" in record.message]
    assert url in told and why in told and "\n" not in told


@pytest.mark.parametrize(
    ("status", "words"), [(403, "blocked, ray {}"), (400, "flagged (request {})"), (400, "not this one: {}")]
)
def test_reasons_that_differ_in_an_identifier_are_told_once(
    status: int, words: str, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    names = {3: "8f3a2c", 5: "req-71", 7: "91e0"}
    refused = {f"Question {n}?": (status, {"error": {"message": words.format(name)}}) for n, name in names.items()}
    made = engine(serve(Behaviour(refuses_prompts=refused))).generate(ASKED, DRAWN)
    assert [n for n, one in enumerate(made) if not one.new_tokens] == [*names]
    assert caplog.text.count("counted under that reason") == 1


def test_a_server_whose_shortest_prompt_is_forbidden_is_probed_with_another(serve: Start) -> None:
    url = serve(Behaviour(honours_n=False, refuses_prompts={"Q?": (403, {})}))
    made = engine(url).generate(["Q?", *ASKED], DRAWN)
    assert made[0].finish_reason == "refused" and all(one.new_tokens for one in made[1:])


@pytest.mark.parametrize("status", [403, 500])
def test_all_prompts_of_a_server_that_is_away_for_a_while_are_answered(status: int, serve: Start) -> None:
    behaviour = Behaviour()
    asker = engine(serve(behaviour), in_flight=4)
    asker.generate(ASKED[:1], DRAWN)
    behaviour.failures, behaviour.failure = 60, status
    made = asker.generate(ASKED, DRAWN)
    assert {one.finish_reason for one in made} <= {"stop", "length"} and all(one.new_tokens for one in made)


def test_a_revoked_key_ends_the_run_in_one_line_after_our_patience(serve: Start) -> None:
    behaviour = Behaviour()
    asker = engine(serve(behaviour), patience_seconds=1)
    asker.generate(ASKED[:1], DRAWN)
    behaviour.failures, behaviour.failure = 10**6, 403
    with pytest.raises(ValueError, match=r"has not answered for 1 s .*the same command then resumes"):
        asker.generate(ASKED, DRAWN)


@pytest.mark.parametrize("status", [403, 500])
def test_a_server_that_fails_on_nearly_all_prompts_of_a_run_ends_it_in_one_line(status: int, serve: Start) -> None:
    kept: list[str] = []
    url = serve(to("Question", status, {"error": {"message": "broken"}}))
    with pytest.raises(ValueError, match=r"answers 'How are you\?' but none of the run's prompts, or few \(.*broken"):
        engine(url).generate([*ASKED, "Who?"], DRAWN, lambda _index, made: kept.append(made.finish_reason))


@pytest.mark.parametrize("models", [[], None])
def test_a_server_that_lists_no_model_yet_is_waited_for(
    models: list | None, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour = Behaviour(models=models)
    url = serve(behaviour)
    threading.Timer(0.3, lambda: setattr(behaviour, "models", "as it is")).start()
    made = engine(url).generate([Prompt("How many?")], Sampling(max_new_tokens=4))
    assert made[0].new_tokens and "has no model, or has not loaded it yet" in caplog.text


def test_a_server_that_never_lists_a_model_ends_the_run_in_one_line(serve: Start) -> None:
    with pytest.raises(ValueError, match=r"has not answered for 0 s \(it has no model, or has not loaded it yet\)"):
        engine(serve(Behaviour(models=[])), patience_seconds=0.2).generate(ASKED, DRAWN)
