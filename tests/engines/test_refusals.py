"""Servers that refuse fields or prompts: one line, the rest goes on."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from serving import Behaviour, local
from serving import StartAt as Start
from serving import serve_at as serve

from crescent.core.store import Store
from crescent.engines import LazyEngine, Prompt, Sampling, unfinished
from crescent.engines.ledger import Ask, Ledger
from crescent.engines.server import ServerSettings
from crescent.engines.server.engine import ServerEngine
from crescent.engines.server.refusals import Refusal, explain, is_refusal, reason_of
from crescent.engines.weights import Weights

PROMPTS = [Prompt(text, draw) for text in ("How many?", "Who?") for draw in range(5)]
DRAWN = Sampling(max_new_tokens=6, seed=1)
__all__ = ["local", "serve"]
SENT = ("n", "temperature", "top_p", "max_tokens", "seed", "top_k", "min_p", "logprobs", "stop")


def engine(url: str, path: str = "nowhere", **limits: Any) -> ServerEngine:
    settings = ServerSettings((url,), model="tiny", **{"patience_seconds": 30.0, **limits})
    return settings.build(Weights("tiny", path), "w")


def error(status: int, body: Any) -> openai.APIStatusError:
    """As the client makes it of an answer."""
    client: Any = openai.OpenAI(api_key="none", base_url="http://here/v1")
    response = SimpleNamespace(status_code=status, request=None, headers={})
    return client._make_status_error(f"Error code: {status} - {body}", body=body, response=response)


def openai_error(message: str, **about: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **about}}


def tgi(message: str) -> dict[str, Any]:
    return {"error": message, "error_type": "validation"}


def fastapi(field: str, message: str) -> dict[str, Any]:
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", field], "msg": message, "input": 1}]}


FIELDS = [
    (openai_error("Only one completion choice is allowed", code=400), "n"),
    (openai_error("n > 1 is not supported"), "n"),
    (openai_error("Unsupported value: 'n' does not support 4 with this model.", param="n"), "n"),
    (tgi("Input validation error: `best_of` != 1 is not supported"), "n"),
    (openai_error("multiple choices are not supported by this model"), "n"),
    (fastapi("seed", "Extra inputs are not permitted"), "seed"),
    (openai_error("Unrecognized request argument supplied: seed"), "seed"),
    (openai_error("top_k is not supported"), "top_k"),
    ({"object": "error", "message": "[{'loc': ('body', 'top_k'), 'msg': 'extra fields not permitted'}]"}, "top_k"),
    (tgi("Input validation error: `top_p` must be > 0.0 and < 1.0"), "top_p"),
    (tgi("Input validation error: `temperature` must be strictly positive"), "temperature"),
    (openai_error("temperature must be between 0 and 1", param="temperature"), "temperature"),
    (openai_error("This model does not support logprobs."), "logprobs"),
    (openai_error("Too many stop sequences: at most 1 is supported"), "stop"),
    (openai_error("max_tokens must be at most 16384"), "max_tokens"),
    (openai_error("Invalid 'stop': array too long. Expected an array with maximum length 4.", param="stop"), "stop"),
    (openai_error("stop strings are too long: 32 characters at most"), "stop"),
    (openai_error("at most 5 logprobs per token"), "logprobs"),
    (openai_error("Multiple candidates is not enabled for this model"), "n"),
    (openai_error("n: only 1 is allowed"), "n"),
    (openai_error("Unrecognized request argument supplied: n"), "n"),
]


@pytest.mark.parametrize(("body", "field"), FIELDS)
def test_a_refused_field_is_read_from_the_answer(body: Any, field: str) -> None:
    assert explain(error(400, body), SENT) == explain(error(422, body), SENT) == Refusal("field", field)


CONTEXT = [
    openai_error("This model's maximum context length is 2048 tokens. However, you requested 2100 tokens"),
    openai_error("the request exceeds the available context size, try increasing it", type="exceed_context_size_error"),
    {"object": "error", "message": "input token length exceeds session_len", "code": 400},
    tgi("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens"),
    tgi("Input validation error: `inputs` must have less than 1024 tokens. Given: 3000"),
    openai_error("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    openai_error("prompt is too long: 210000 tokens > 200000 maximum"),
    openai_error("'max_tokens' or 'max_completion_tokens' is too large: 5000. The maximum context length is 9"),
    {"detail": "Prompt exceeds the maximum number of tokens of this deployment"},
    openai_error("Request prompt has 5000 tokens in total, larger than the model input length limit 4096"),
    openai_error("Input length 5000 is greater than max length 4096"),
    openai_error("The total number of tokens (5000) must be less than 4096"),
    openai_error("Please shorten your prompt: 9000 > 8192 tokens"),
    openai_error("not enough space in the KV cache for the prompt"),
]


@pytest.mark.parametrize("body", CONTEXT)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_prompt_that_does_not_fit_is_known_in_many_words(status: int, body: Any) -> None:
    assert is_refusal(error(status, body)) and explain(error(status, body), SENT).kind == "context"


def test_the_room_that_a_server_tells_of_is_used(serve: Start) -> None:
    given = "Given: 4000 `inputs` tokens and 500 `max_new_tokens`"
    body = tgi(f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. {given}")
    assert explain(error(422, body), SENT) == Refusal("context", room=96)
    seen = Behaviour(refuses={"max_tokens>96": (422, body)})
    made = engine(serve(seen)).generate(PROMPTS[:2], Sampling(max_new_tokens=500, seed=1))
    assert seen.seen[-1]["max_tokens"] == 96 and all(0 < one.new_tokens <= 96 for one in made)


OTHERS = [
    (openai_error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens"), "rename"),  # noqa: E501
    (openai_error("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", code="content_filter"), "content"),  # noqa: E501
    (openai_error("Your input was flagged by our moderation system"), "content"),
    ({"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}, "content"),
    (openai_error("Content Exists Risk"), "content"), (openai_error("It violates our terms of use"), "content"),
    (openai_error("model names are case-sensitive"), "unknown"),
    (openai_error("no"), "unknown"), ({}, "unknown"), ("<html>", "unknown"), ([1], "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind"), OTHERS)
def test_other_refusals_are_told_apart(body: Any, kind: str) -> None:
    assert explain(error(400, body), SENT).kind == kind
    assert not is_refusal(error(500, body)) and len(reason_of(error(400, body)).splitlines()) == 1


def test_a_prompt_is_too_large_where_only_the_status_says_so() -> None:
    assert explain(error(413, "<html>"), SENT).kind == "context"


REFUSING = {
    "n>1": (422, openai_error("n must be 1")),
    "n": (400, fastapi("n", "Extra inputs are not permitted")),
    "seed": (422, fastapi("seed", "Extra inputs are not permitted")),
    "top_k": (400, openai_error("unknown field top_k")),
    "top_p=1": (422, tgi("Input validation error: `top_p` must be > 0.0 and < 1.0")),
    "temperature>1": (400, openai_error("temperature must be in [0, 1]", param="temperature")),
    "temperature<0.1": (422, tgi("Input validation error: `temperature` must be strictly positive")),
    "logprobs": (400, openai_error("logprobs are not available")),
}


@pytest.mark.parametrize("condition", REFUSING)
def test_a_refused_field_is_left_out_and_named(condition: str, serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    seen = Behaviour(owned_by="vllm", refuses={condition: REFUSING[condition]})
    made = engine(serve(seen)).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10 and all(0 < one.new_tokens <= 6 for one in made)
    work = seen.seen[-10:] if condition in ("n", "n>1", "seed") else seen.seen[-2:]
    field = condition.rstrip("=<>0.1")
    assert not any(field in asked for asked in work) or condition.startswith("temperature")
    named = f"does not accept {field} (" in caplog.text
    assert named == (field not in ("temperature", "logprobs")) and len(caplog.records) <= 1
    if field in ("n", "seed"):
        assert "one request per draw" in caplog.text and not any(asked.get("n", 1) > 1 for asked in work)


def test_all_of_them_at_once_are_left_out(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    behaviour = Behaviour(owned_by="vllm", refuses=REFUSING)
    asker = engine(serve(behaviour))
    made = [*asker.generate(PROMPTS, DRAWN), *asker.generate([Prompt("Who?", 9)], DRAWN)]
    assert len({one.text for one in made}) == 11
    assert not behaviour.seen[-1].keys() & {"n", "seed", "top_k", "top_p", "logprobs"}
    assert [record.message for record in caplog.records if "top_p" in record.message] == [
        f"{asker._urls[0]} does not accept top_p (Input validation error: `top_p` must be > 0.0 and < 1.0): "
        "requests omit it"
    ]


@pytest.mark.parametrize("condition", ["n>1", "seed", "min_p"])
def test_a_field_that_the_server_does_not_name_is_found(condition: str, serve: Start) -> None:
    seen = Behaviour(owned_by="vllm", refuses={condition: (400, openai_error("invalid request"))})
    made = engine(serve(seen)).generate(PROMPTS, DRAWN)
    assert len({one.text for one in made}) == 10
    others = {"n>1": "seed", "seed": "top_k", "min_p": "top_k"}
    assert others[condition] in seen.seen[-1]


@pytest.mark.parametrize(
    ("condition", "sampling", "named"),
    [("temperature<0.1", Sampling(temperature=0.0), "refuses temperature 0 "),
     ("temperature>1", Sampling(temperature=1.5), r"refuses temperature 1\.5 "),
     ("top_p<1", Sampling(top_p=0.9), r"refuses top_p 0\.9 "),
     ("top_k>1", Sampling(top_k=20), r"refuses top_k 20 "),
     ("repetition_penalty>1", Sampling(repetition_penalty=1.1), r"refuses repetition_penalty 1\.1 ")],
)  # fmt: skip
def test_a_value_that_the_run_asks_for_is_not_left_out(
    condition: str, sampling: Sampling, named: str, serve: Start
) -> None:
    body = openai_error(f"{condition[:-4].rstrip('<>')} is out of range", param=condition.split("<")[0].split(">")[0])
    with pytest.raises(ValueError, match=rf"{named}\(.*Choose another value, or another server"):
        engine(serve(Behaviour(refuses={condition: (400, body)}))).generate(PROMPTS, sampling)


def test_the_limit_of_new_tokens_is_renamed_and_kept(serve: Start, caplog: pytest.LogCaptureFixture) -> None:
    body = openai_error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens")
    seen = Behaviour(refuses={"max_tokens": (400, body)})
    made = engine(serve(seen)).generate(PROMPTS, DRAWN)
    assert all(0 < one.new_tokens <= 6 for one in made) and seen.seen[-1]["max_completion_tokens"] == 6
    assert "accepts max_completion_tokens instead of max_tokens" in caplog.text


@pytest.mark.parametrize("body", CONTEXT[1:4])
def test_a_prompt_that_does_not_fit_has_no_completion(body: Any, serve: Start) -> None:
    seen = Behaviour(refuses_prompts={"Question 7?": (400, body)})
    made = engine(serve(seen)).generate([f"Question {n}?" for n in range(12)], DRAWN)
    assert (made[7].text, made[7].new_tokens, made[7].finish_reason) == ("", 0, "length")
    assert all(one.new_tokens > 0 for n, one in enumerate(made) if n != 7)


@pytest.mark.parametrize(
    ("status", "body", "finish", "reason"),
    [(400, openai_error("flagged by our moderation system", code="content_filter"), "content_filter", "flagged by our"),
     (403, openai_error("Your input was flagged", code=403), "content_filter", "Your input was flagged"),
     (400, openai_error("I would rather not"), "refused", "I would rather not")],
)  # fmt: skip
def test_a_prompt_refused_for_what_it_says_is_set_aside_with_the_reason(
    status: int, body: Any, finish: str, reason: str, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[int] = []
    url = serve(Behaviour(refuses_prompts={"Question 7?": (status, body)}))
    made = engine(url).generate([f"Question {n}?" for n in range(12)], DRAWN, lambda index, _made: kept.append(index))
    assert (made[7].text, made[7].finish_reason, made[7].new_tokens) == ("", finish, 0)
    assert sorted(kept) == list(range(12)) and all(one.new_tokens for n, one in enumerate(made) if n != 7)
    assert caplog.text.count(reason) == 1 and "counted under that reason" in caplog.text


def test_what_a_server_refused_is_kept_and_not_asked_again(serve: Start, store: Store) -> None:
    seen = Behaviour(refuses_prompts={"Question 3?": (400, openai_error("flagged", code="content_filter"))})
    lazy = LazyEngine("tiny", partial(engine, serve(seen)), name="tiny")
    asks = [Ask(str(number), 0, f"Question {number}?") for number in range(6)]
    first = Ledger(store, lazy, "{question}", DRAWN).complete(asks)
    before = len(seen.seen)
    again = Ledger(store, lazy, "{question}", DRAWN).complete(asks)
    assert again.rows == first.rows and (again.reused, len(seen.seen)) == (6, before)
    assert unfinished(row.finish_reason for row in first.rows)["content_filter"] == 1


def test_a_server_whose_first_prompt_is_refused_is_probed_with_another(serve: Start) -> None:
    refused = {"Q?": (400, openai_error("flagged", code="content_filter"))}
    made = engine(serve(Behaviour(honours_n=False, refuses_prompts=refused))).generate(["Q?", *PROMPTS], DRAWN)
    assert made[0].finish_reason == "content_filter" and len({one.text for one in made[1:]}) == 10


def test_a_server_that_refuses_everything_ends_the_run_in_one_line(serve: Start) -> None:
    url = serve(Behaviour(failures=10**6, failure=400))
    with pytest.raises(ValueError, match=rf"{url}: the server refuses a request: loading") as error:
        engine(url).generate(PROMPTS, DRAWN)
    assert "\n" not in str(error.value)
