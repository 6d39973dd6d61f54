"""Models that were never chat-tuned: plain text where others have a chat template, the same for engines and masks."""

from pathlib import Path

from conftest import save_tokenizer

from crescent.core.records import QAPair
from crescent.engines import Prompt
from crescent.engines.encoding import encode
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import encode_pairs


def test_questions_are_asked_and_trained_in_one_plain_form(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, template=None)
    tokenizer = load_tokenizer(Weights("base", str(tmp_path), template="completion"))
    asked = encode(Prompt("How many?"), tokenizer)
    assert tokenizer.decode(asked) == "<s>Question: How many?\nAnswer:"
    assert tokenizer.decode(encode(Prompt("Question:"), tokenizer)) == "<s>Question:"
    [example] = encode_pairs([QAPair("q", "How many?", "7", "7", 1, 1, 1.0)], tokenizer, 99).examples
    assert list(example.ids[: example.prompt_tokens]) == asked
    assert tokenizer.decode(list(example.ids[example.prompt_tokens :])) == " 7<|end|>"


def test_worked_examples_are_separated_as_in_a_plain_text(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, template=None)
    tokenizer = load_tokenizer(Weights("base", str(tmp_path), template="completion"))
    turns = [
        {"role": "user", "content": "a?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "b?"},
    ]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert text == "<s>Question: a?\nAnswer: 1\n\nQuestion: b?\nAnswer:"
