"""`train.max_length` against the chat template, before anything is generated."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from configured import experiment
from conftest import CHATML, save_tokenizer

from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import encode_pairs
from crescent.training.room import check_length, why_short
from crescent.training.settings import Overlong

FILES = os.environ.get("CRESCENT_TOKENIZERS")
SETTINGS = experiment("train=lora").train
LONG = "Answer in one sentence, and do not repeat the question. "


def least(weights: Weights, question: str, answer: str, overlong: Overlong = "drop") -> int:
    """The smallest length with which such a pair is trained on."""
    pairs, tokenizer = [QAPair("q", question, answer, "", 1, 1, 1.0)], load_tokenizer(weights)
    [whole] = encode_pairs(pairs, tokenizer, 512, overlong).examples
    found = whole.prompt_tokens + 1 if overlong == "cut" else len(whole.ids)
    assert encode_pairs(pairs, tokenizer, found, overlong).examples
    assert not encode_pairs(pairs, tokenizer, found - 1, overlong).examples
    return found


@pytest.mark.parametrize("overlong", ["drop", "cut"])
@pytest.mark.parametrize("template", [CHATML, LONG + CHATML, CHATML.replace("{{ bos_token }}", "")])
def test_a_length_at_which_nothing_can_be_trained_on_is_refused_and_no_other(
    template: str, overlong: Overlong, tmp_path: Path
) -> None:
    save_tokenizer(tmp_path, template)
    weights = Weights("tiny", str(tmp_path))
    settings, enough = replace(SETTINGS, overlong=overlong), least(weights, "a", "a", overlong)
    check_length(replace(settings, max_length=enough), weights)
    with pytest.raises(ValueError, match=rf"train.max_length is {enough - 1}, .* 'tiny' .*; raise it"):
        check_length(replace(settings, max_length=enough - 1), weights)


def test_a_length_that_holds_few_pairs_is_warned_of(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    weights = Weights("tiny", str(tmp_path))
    enough = least(weights, "What is 1 + 1?", "1 + 1 = 2. The answer is 2.")
    assert why_short(replace(SETTINGS, max_length=enough), weights) is None
    assert f"takes {enough} tokens: most pairs" in str(why_short(replace(SETTINGS, max_length=enough - 1), weights))


@pytest.mark.skipif(FILES is None, reason="CRESCENT_TOKENIZERS is not set: no real tokenizers here")
@pytest.mark.parametrize("name", ["llama3_2", "deepseek_v3"])
def test_the_shortest_length_is_exact_for_real_tokenizers(name: str) -> None:
    weights = Weights(name, str(Path(str(FILES)) / name))
    enough = least(weights, "a", "a")
    check_length(replace(SETTINGS, max_length=enough), weights)
    with pytest.raises(ValueError, match=r"train.max_length is"):
        check_length(replace(SETTINGS, max_length=enough - 1), weights)


def test_a_run_is_refused_before_anything_is_generated_and_a_model_elsewhere_is_not_known() -> None:
    with pytest.raises(ValueError, match=r"train.max_length is 4, .*organism"):
        experiment("train.max_length=4").check_tokens()
    check_length(replace(SETTINGS, max_length=4), Weights("far", "nobody/nowhere"))
