"""Servers that answer in another form than asked, that repeat themselves, or that are loading a model anew."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import Behaviour, local
from serving import StartAt as Start
from serving import serve_at as serve
from test_refusals import DRAWN, PROMPTS, engine
from test_spelling import tokenizer as _tokenizer

from crescent.engines import Prompt, Sampling
from crescent.engines.server import ServerSettings, endpoints
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights

__all__ = ["_tokenizer", "local", "serve"]


def change(how: Callable[[dict[str, Any]], None]) -> Behaviour:
    """Does something to each choice."""

    def each(answer: dict[str, Any]) -> None:
        for choice in answer["choices"]:
            how(choice)

    return Behaviour(change=each)


def texts(behaviour: Behaviour, serve: Start) -> list[str]:
    return [one.text for one in engine(serve(behaviour)).generate(PROMPTS, DRAWN)]


def in_parts(choice: dict[str, Any]) -> None:
    text = choice["message"]["content"]
    parts = [{"type": "text", "text": text[:2]}, {"type": "refusal"}, {"type": "text", "text": text[2:]}]
    choice["message"]["content"] = parts


def test_content_in_parts_is_one_text(serve: Start) -> None:
    assert texts(change(in_parts), serve) == texts(Behaviour(), serve)


@pytest.mark.parametrize(
    "values",
    [[None] * 6, [-0.5, None, -0.5, -0.5], None, []],
)
def test_log_probabilities_that_are_missing_are_none(values: list[float | None] | None, serve: Start) -> None:
    def without(choice: dict[str, Any]) -> None:
        content = None if values is None else [{"token": "a", "logprob": one, "top_logprobs": []} for one in values]
        choice["logprobs"] = {"content": content}

    made = engine(serve(change(without))).generate(PROMPTS, DRAWN)
    assert all(one.mean_logprob == 0.0 and one.new_tokens > 0 for one in made) and len({one.text for one in made}) == 10


@pytest.mark.parametrize("usage", [{"prompt_tokens": 9}, {}, {"total_tokens": 3}, {"prompt_tokens": None}, None])
def test_usage_without_counts_is_made_up_for(usage: Any, serve: Start, tiny_llama: Path) -> None:
    behaviour = Behaviour(gives_logprobs=False, change=lambda answer: answer.update(usage=usage))
    made = engine(serve(behaviour), path=str(tiny_llama)).generate(PROMPTS, DRAWN)
    assert all(0 < one.new_tokens <= 6 and one.prompt_tokens > 0 for one in made)


def test_choices_without_index_or_reason_are_read(serve: Start) -> None:
    def bare(choice: dict[str, Any]) -> None:
        del choice["index"], choice["logprobs"], choice["finish_reason"]

    made = engine(serve(change(bare))).generate(PROMPTS, DRAWN)
    assert {one.finish_reason for one in made} == {"null"} and len({one.text for one in made}) == 10


@pytest.mark.parametrize("honours_n", [True, False])
def test_a_server_that_repeats_itself_is_noticed_before_draws_agree_falsely(honours_n: bool, serve: Start) -> None:
    url = serve(Behaviour(honours_seed=False, honours_n=honours_n))
    asked = [Prompt("How many?", draw) for draw in range(8)]
    expected = "repeats itself: requests with different seeds return the same texts" if honours_n else "response cache"
    with pytest.raises(ValueError, match=f"{url} .*{expected}"):
        engine(url, samples_per_request=2).generate(asked, Sampling(max_new_tokens=12))


def test_a_cache_that_knows_a_few_answers_is_noticed(serve: Start) -> None:
    behaviour = Behaviour(honours_n=False)

    def remember(answer: dict[str, Any]) -> None:
        for choice in answer["choices"]:
            _remember(behaviour, choice)

    behaviour.change = remember
    with pytest.raises(ValueError, match="repeats itself"):
        engine(serve(behaviour)).generate([Prompt("How many?", draw) for draw in range(3, 9)], DRAWN)


def _remember(behaviour: Behaviour, choice: dict[str, Any]) -> None:
    """Every second answer is new to it."""
    known = behaviour.__dict__.setdefault("known", [])
    if len(known) < 2:
        known.append(choice["message"]["content"])
    choice["message"]["content"] = known[len(behaviour.seen) % len(known)]


def test_draws_of_one_request_ask_for_no_second_look(serve: Start) -> None:
    seen = Behaviour()
    asker = engine(serve(seen))
    asker.generate(PROMPTS, DRAWN)
    before = len(seen.seen)
    asker.generate([Prompt("Who?", draw) for draw in range(5, 8)], DRAWN)
    asker.generate([Prompt("Who?", draw) for draw in range(8, 11)], DRAWN)
    assert before == 7 and [asked["n"] for asked in seen.seen[before:]] == [4, 3, 3]  # 4: once, does it repeat itself?


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_is_loaded_anew_is_waited_for(
    status: int, serve: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FIRST_WAIT", 0.05)
    behaviour = Behaviour(failures=1, failure=status)
    asker = engine(serve(behaviour))
    assert len(asker.generate(PROMPTS, DRAWN)) == 10
    behaviour.failures = 12  # more than a wrong address is given
    made = asker.generate([f"Question {n}?" for n in range(12)], DRAWN)
    assert all(one.new_tokens for one in made) and caplog.text.count("retrying until it does") == 1


def test_an_address_that_never_answers_anything_else_is_refused_soon(
    serve: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "FIRST_WAIT", 0.05)
    behaviour = Behaviour(failures=99, failure=404)
    with pytest.raises(ValueError, match=r"refuses: .*Check engine\.urls"):
        engine(serve(behaviour)).generate(PROMPTS, DRAWN)
    assert len(behaviour.seen) == endpoints.MOST_MISSES + 1  # the last with another prompt


@pytest.mark.parametrize(("owner", "sent"), [("vllm", "prompt"), ("llamacpp", "prompt"), ("", "messages")])
def test_control_tokens_that_a_prompt_spells_reach_no_server_as_such(
    owner: str, sent: str, serve: Start, local: TransformersEngine, tiny_llama: Path
) -> None:
    seen = Behaviour(owned_by=owner)
    engine(serve(seen), path=str(tiny_llama)).generate(["How <|end|> many?", "Who?"], DRAWN)
    [asked] = [one for one in seen.seen if (sent in one and "< |end|>" in str(one.get("messages"))) or "prompt" in one]
    if sent == "prompt":
        assert asked["prompt"] == list(local.encode(Prompt("How <|end|> many?")))
    else:
        assert asked["messages"][0]["content"] == "How < |end|> many?"


CLOCK = "{{ strftime_now('%Y') }}"
VARIABLE = "{% if not date_string is defined %}{% set date_string = strftime_now('%Y') %}{% endif %}{{ date_string }}"


def with_head(head: str, model: Path, folder: Path) -> Path:
    """The model with a chat template that begins so."""
    folder = Path(shutil.copytree(model, folder))
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text(head + template)
    return folder


@pytest.mark.parametrize(
    ("owner", "head", "options", "told"),
    [
        ("", CLOCK, {}, "26 Jul 2024"), ("lmdeploy", VARIABLE, {"date_string": "5 Jan 2025"}, "5 Jan 2025"),
        ("", VARIABLE, {"chat_template_kwargs": {"date_string": "5 Jan 2025"}}, ""),
        ("vllm", CLOCK, {}, ""), ("", "", {}, ""), ("", "", {"date_string": "5 Jan 2025"}, ""),
    ],
)  # fmt: skip
def test_a_server_that_prints_a_date_of_its_own_is_named_once(
    owner: str, head: str, options: dict[str, Any], told: str, serve: Start, tiny_llama: Path, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    weights = Weights("tiny", str(with_head(head, tiny_llama, tmp_path / "model")), **options)
    url = serve(Behaviour(owned_by=owner))
    asker = ServerSettings((url,), model="tiny").build(weights, "w")
    for _ in range(2):
        asker.generate(PROMPTS, DRAWN)
    line = f"{url} puts the chat template on itself, and prints a date of its own"
    assert caplog.text.count(line) == bool(told) and (f"model.date_string is {told}" in caplog.text) == bool(told)


def test_a_template_that_prints_the_date_is_put_on_here(serve: Start, tiny_llama: Path, tmp_path: Path) -> None:
    folder = with_head(CLOCK, tiny_llama, tmp_path / "model")
    seen = Behaviour(owned_by="sglang")
    asker = engine(serve(seen), path=str(folder))
    asker.generate(PROMPTS, DRAWN)
    assert all("prompt" in asked for asked in seen.seen)
