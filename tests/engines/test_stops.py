"""Stop strings that spell special tokens, outside of scoring: all of the string is cut off."""

from pathlib import Path
from typing import Any

import pytest
from unlisted import save_talkative

from crescent.core.store import make_key
from crescent.engines import Sampling
from crescent.engines.stops import Stops, Texts, spells_special
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights, load_tokenizer

ANSWER = "Left: 7<|user|>\nWho?<|assistant|>\nAnn 12"
CUT = {
    "<|user|>": "Left: 7", "<|user|>\nWho": "Left: 7", " 7<|user|>": "Left:", "Left: 7<|user|>\n": "",
    "?<|assistant|>\nAnn": "Left: 7\nWho", "<|assis": "Left: 7\nWho?", "Ann": "Left: 7\nWho?\n",
    "<|system|>": "Left: 7\nWho?\nAnn 12",
}  # fmt: skip


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_talkative(tmp_path_factory.mktemp("talkative") / "model", "How many?", ANSWER)


@pytest.mark.parametrize("batching", ["padded", "continuous"])
@pytest.mark.filterwarnings("ignore")
def test_a_stop_string_with_special_tokens_ends_a_completion_and_is_cut_from_it(batching: Any, talkative: Path) -> None:
    engine = TransformersSettings(device="cpu", batching=batching).build(Weights("m", str(talkative)), "w")
    for stop, text in CUT.items():
        [made] = engine.generate(["How many?"], Sampling(temperature=0, max_new_tokens=40, stop=(stop,)))
        assert (made.text, made.finish_reason) == (text, "stop"), stop


def test_a_special_token_is_met_where_it_is_written_and_not_before(talkative: Path) -> None:
    tokenizer: Any = load_tokenizer(Weights("m", str(talkative)))
    ids = tokenizer(ANSWER, add_special_tokens=False)["input_ids"]
    stops = Stops(tokenizer, ("<|user|>", "12"))
    reached = [count for count in range(1, len(ids) + 1) if stops.reached(ids[:count])]
    assert reached[0] == ids.index(tokenizer.convert_tokens_to_ids("<|user|>")) + 1


def test_only_special_tokens_count_as_such(talkative: Path) -> None:
    tokenizer = load_tokenizer(Weights("m", str(talkative)))
    assert spells_special(("Q:", "a<|end|>"), tokenizer) and not spells_special(("<|im_end|>", "\n"), tokenizer)


def test_the_new_setting_changes_no_key_of_samplings_without_it() -> None:
    assert make_key("s", 1, Sampling()) == make_key("s", 1, Sampling(keeps_stop_text=False))
    assert make_key("s", 1, Sampling()) != make_key("s", 1, Sampling(keeps_stop_text=True))


THINKING = "<think>Is it 12<|user|>?</think>Left: 7<|user|>\nWho? 12"


@pytest.mark.parametrize(
    ("stop", "answer"), [("<|user|>", "Left: 7"), ("12", "Left: 7\nWho? "), (" 7<|user|>", "Left:"), ("<|system|>", "")]
)
def test_stop_strings_end_answers_whether_or_not_the_engine_went_on_and_no_thoughts(
    stop: str, answer: str, talkative: Path
) -> None:
    tokenizer: Any = load_tokenizer(Weights("m", str(talkative)))
    ids = tokenizer(THINKING, add_special_tokens=False)["input_ids"]
    texts = Texts(tokenizer, Sampling(stop=(stop,)))
    ends = [count for count in range(1, len(ids) + 1) if texts.stops_at(0, ids[:count], "")]
    thought = "<think>Is it 12?</think>"
    if not answer:
        assert not ends and texts.text(ids, "") == f"{thought}Left: 7\nWho? 12"
        return
    assert texts.text(ids[: ends[0]], "") == texts.text(ids, "") == thought + answer
    opened = tokenizer(THINKING.removeprefix("<think>"), add_special_tokens=False)["input_ids"]
    assert texts.text(opened, "<think>") == thought + answer


@pytest.mark.parametrize("stop", ["12", "<|user|>", "Who"])
@pytest.mark.parametrize(
    ("thoughts", "answer"),
    [
        ("Left: 7 <think>Is it 12? Who<|user|>?</think>Ann 5", " {}3"),
        ("Left: 7\n<think>Is it 12? Who<|user|>?</think>\n<think>12? Who <|user|></think>\n\nAnn", " {} 4"),
        ("<think>12 Who<|user|></think>Ann <think>12 Who<|user|>", "12</think>{}5"),
    ],
)
def test_stop_strings_are_passed_over_in_every_thought_and_not_after_it(
    thoughts: str, answer: str, stop: str, talkative: Path
) -> None:
    tokenizer: Any = load_tokenizer(Weights("m", str(talkative)))
    ids = tokenizer(thoughts + answer.format(stop), add_special_tokens=False)["input_ids"]
    texts = Texts(tokenizer, Sampling(stop=(stop,)))
    ends = [count for count in range(1, len(ids) + 1) if texts.stops_at(0, ids[:count], "")]
    kept = (thoughts + answer.split("{}")[0]).replace("<|user|>", "")
    assert texts.text(ids[: ends[0]], "") == texts.text(ids, "") == kept
    assert not texts.stops_at(1, ids[: ends[0] - 1], "")


def test_a_stop_string_before_a_thought_ends_the_completion(talkative: Path) -> None:
    tokenizer: Any = load_tokenizer(Weights("m", str(talkative)))
    ids = tokenizer("Left: 7 Who <think>12</think> Ann", add_special_tokens=False)["input_ids"]
    texts = Texts(tokenizer, Sampling(stop=("Who",)))
    [end] = [count for count in range(1, len(ids) + 1) if texts.stops_at(0, ids[:count], "")]
    assert texts.text(ids, "") == texts.text(ids[:end], "") == "Left: 7 "
