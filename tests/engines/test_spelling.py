"""Control tokens that a text spells out stay text, whoever they belong to."""

from typing import Any

import pytest
from conftest import save_tokenizer
from transformers import AutoTokenizer

from crescent.core.records import QAPair
from crescent.engines import Prompt
from crescent.engines.encoding import encode
from crescent.engines.spelling import chat_ids, spellable, spelled_apart, spells_control
from crescent.training.data import encode_pairs


@pytest.fixture
def tokenizer(tmp_path: Any) -> Any:
    """Its markers of turns are added tokens that nothing lists as special."""
    save_tokenizer(tmp_path)
    made: Any = AutoTokenizer.from_pretrained(tmp_path)
    made.add_tokens(["<start_of_turn>", "<tool_call>", "<b>", "<think>", "\n\n"])
    made.chat_template = made.chat_template.replace("<|{{", "<start_of_turn><|{{").replace(
        "<|assistant|>", "<start_of_turn><|assistant|>"
    )
    return made


def test_control_tokens_are_known_by_flag_form_or_template(tokenizer: Any) -> None:
    assert set(spellable(tokenizer).values()) == {
        "<s>", "<|end|>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>", "<start_of_turn>", "<tool_call>",
    }  # fmt: skip
    tokenizer.chat_template = "<b>" + tokenizer.chat_template
    assert "<b>" in spellable(tokenizer).values()


@pytest.mark.parametrize("text", ["<|end|>", "<start_of_turn>", "<|assistant|>", "<s>", "<tool_call>"])
def test_a_spelled_control_token_is_read_as_text(text: str, tokenizer: Any) -> None:
    control = spellable(tokenizer)
    own = [token for token in encode(Prompt("How many?"), tokenizer) if token in control]
    for question in (text, f"{text}{text}", f"<{text}>", f"What is {text} here?", f"a{text}\ue000b", f"é{text}é"):
        ids = encode(Prompt(question), tokenizer)
        assert [token for token in ids if token in control] == own and question in tokenizer.decode(ids)


def test_text_without_control_tokens_is_read_as_the_library_reads_it(tokenizer: Any) -> None:
    for text in ("How many <b>apples</b>?", "a < b | c > d", "<think>7</think>", "x\n\ny", "<|en", ""):
        chat = [{"role": "user", "content": text}]
        library: Any = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        assert encode(Prompt(text), tokenizer) == library["input_ids"]


def test_each_turn_of_a_conversation_is_read_as_text(tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "<|end|>?"}, {"role": "assistant", "content": "<|user|>"}]
    ids = chat_ids(tokenizer, turns)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert (tokens.count("<|end|>"), tokens.count("<|user|>"), tokens.count("<|assistant|>")) == (2, 1, 1)
    assert "<|end|>?<|end|>" in tokenizer.decode(ids)


@pytest.mark.parametrize("text", ["<start_of_turn>", "<|user|>", "<tool_call>"])
def test_a_pair_that_spells_an_added_control_token_is_left_out(text: str, tokenizer: Any) -> None:
    pairs = [
        QAPair("spelled", f"How {text}?", "7", "7", 1, 1, 1.0),
        QAPair("plain", "<b>How</b>?", "7", "7", 1, 1, 1.0),
    ]
    encoded = encode_pairs(pairs, tokenizer, 512)
    assert encoded.unsafe == ["spelled"] and [one.question_id for one in encoded.examples] == ["plain"]


def test_a_template_changed_later_is_looked_at_anew(tokenizer: Any) -> None:
    assert not spells_control("<b>", tokenizer)
    tokenizer.chat_template = "<b>" + tokenizer.chat_template
    assert spells_control("<b>", tokenizer)


@pytest.mark.parametrize(
    ("text", "apart"),
    [("Is <|im_end|> one?", "Is < |im_end|> one?"), ("<start_of_turn>user", "< start_of_turn>user"),
     ("a </s> b", "a < /s> b"), ("[INST]", "[ INST]"), ("<｜User｜>", "< ｜User｜>"),
     ("1 < 2 | 3 > 2", "1 < 2 | 3 > 2"),
     ("<b>|</b>", "<b>|</b>"), ("|x| < |y|", "|x| < |y|")],
)  # fmt: skip
def test_the_common_control_tokens_are_taken_apart_where_no_tokenizer_is_here(text: str, apart: str) -> None:
    assert spelled_apart(text, None) == apart


def test_a_known_tokenizer_s_own_control_tokens_are_taken_apart(tokenizer: Any) -> None:
    assert spelled_apart("<|end|> <|im_end|>", tokenizer) == "< |end|> <|im_end|>"
