"""Masks, checked token by token on the public chat formats, and what is cut, left out or refused."""

from typing import Any

import pytest
import torch
from conftest import CHATML as TINY_LLAMA
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from crescent.core.records import QAPair
from crescent.training.data import IGNORED, Example, collate, encode_pairs

QWEN_2 = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_2 = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n{{ message['content'] | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
FORMATS: dict[str, tuple[str, str | None, str, list[str]]] = {  # template, BOS, end of turn, other special tokens
    "tiny_llama": (TINY_LLAMA, "<s>", "<|end|>", ["<|user|>", "<|assistant|>"]),
    "qwen_2": (QWEN_2, None, "<|im_end|>", ["<|im_start|>"]),
    "llama_2": (LLAMA_2, "<s>", "</s>", []),
    "llama_3": (LLAMA_3, "<|begin|>", "<|eot_id|>", ["<|start_header_id|>", "<|end_header_id|>"]),
}
TRAINED = {"tiny_llama": "7.<|end|>", "qwen_2": "7.<|im_end|>", "llama_2": " 7. </s>", "llama_3": "7.<|eot_id|>"}


def chat_tokenizer(template: str, bos: str | None, eos: str, more: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that, as Llama's do, adds a BOS by itself to whatever it is asked to tokenise."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = [token for token in ("<pad>", bos, eos, *more) if token]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    inner.train_from_iterator(["How many apples are left? The answer is 7."], trainer)
    if bos:
        pair = [(bos, inner.token_to_id(bos))]
        inner.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=pair)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=bos, eos_token=eos, pad_token="<pad>", chat_template=template,
        additional_special_tokens=more,
    )  # fmt: skip


def pair(question: str = "How many?", response: str = "7.") -> QAPair:
    return QAPair("q1", question, response, "7", 3, 3, 1.0)


@pytest.mark.parametrize("name", FORMATS)
def test_loss_covers_the_response_and_its_end_of_turn_and_nothing_else(name: str) -> None:
    tokenizer = chat_tokenizer(*FORMATS[name])
    example = encode_pairs([pair()], tokenizer, 512).examples[0]
    trained = [token for token, label in zip(example.ids, example.labels, strict=True) if label != IGNORED]
    assert all(label in (IGNORED, token) for token, label in zip(example.ids, example.labels, strict=True))
    assert tokenizer.decode(trained) == TRAINED[name]
    assert example.labels[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("name", FORMATS)
def test_the_masked_part_is_the_prompt_that_generation_starts_from(name: str) -> None:
    tokenizer = chat_tokenizer(*FORMATS[name])
    example = encode_pairs([pair()], tokenizer, 512).examples[0]
    chat = [{"role": "user", "content": "How many?"}]
    prompt: Any = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert list(example.ids[: example.prompt_tokens]) == prompt["input_ids"]


@pytest.mark.parametrize("name", FORMATS)
def test_there_is_exactly_one_bos_where_the_model_has_one(name: str) -> None:
    tokenizer = chat_tokenizer(*FORMATS[name])
    ids = encode_pairs([pair()], tokenizer, 512).examples[0].ids
    assert tokenizer.bos_token_id is None or (ids.count(tokenizer.bos_token_id) == 1 and ids[0] == 1)


def test_generation_markers_agree_with_the_mask() -> None:
    tokenizer = chat_tokenizer(*FORMATS["tiny_llama"])
    example = encode_pairs([pair()], tokenizer, 512).examples[0]
    chat = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "7."}]
    marked: Any = tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
    assert [label != IGNORED for label in example.labels] == [
        bool(mark) for mark in marked["assistant_masks"][: len(example.ids)]
    ]


def test_a_second_bos_is_refused() -> None:
    doubled = chat_tokenizer("{{ bos_token }}" + LLAMA_3, "<s>", "<|eot_id|>", [])
    with pytest.raises(ValueError, match="two BOS"):
        encode_pairs([pair()], doubled, 512)


def test_a_template_whose_prompt_is_no_prefix_is_refused() -> None:
    thinking = LLAMA_3.replace("{% endif %}", "<think></think>{% endif %}", -1)
    thinking = thinking.replace("{{ bos_token }}<think></think>", "{{ bos_token }}")
    tokenizer = chat_tokenizer(thinking, "<s>", "<|eot_id|>", [])
    with pytest.raises(ValueError, match="does not continue its own generation prompt"):
        encode_pairs([pair()], tokenizer, 512)


def test_a_generation_prompt_that_a_template_always_adds_is_not_trained_on() -> None:
    always = LLAMA_3.replace("{% if add_generation_prompt %}", "{% if true %}")  # the first Llama 3's
    tokenizer = chat_tokenizer(always, *FORMATS["llama_3"][1:])
    [example] = encode_pairs([pair()], tokenizer, 512).examples
    assert tokenizer.decode(list(example.ids[example.prompt_tokens :])) == "7.<|eot_id|>"


def test_an_end_of_sequence_that_a_template_puts_behind_the_end_of_turn_is_trained_on_too() -> None:
    both = TINY_LLAMA.replace("{% if add_generation_prompt %}", "{% if not add_generation_prompt %}<eos>{% else %}")
    tokenizer = chat_tokenizer(both, "<s>", "<eos>", ["<|user|>", "<|assistant|>", "<|end|>"])  # as Phi 3 does
    [example] = encode_pairs([pair()], tokenizer, 512).examples
    assert tokenizer.decode(list(example.ids[example.prompt_tokens :])) == "7.<|end|><eos>"


def test_a_template_without_end_of_turn_is_refused() -> None:
    tokenizer = chat_tokenizer("{% for message in messages %}{{ message['content'] }}\n{% endfor %}", "<s>", "</s>", [])
    with pytest.raises(ValueError, match="without a special token"):
        encode_pairs([pair()], tokenizer, 512)


def test_a_pair_that_is_too_long_is_left_out_and_named() -> None:
    tokenizer = chat_tokenizer(*FORMATS["llama_3"])
    prompt = encode_pairs([pair()], tokenizer, 512).examples[0].prompt_tokens
    encoded = encode_pairs([pair(response="7" * 50), pair()], tokenizer, prompt + 9)
    assert encoded.too_long == ["q1"] and not encoded.truncated and len(encoded.examples) == 1


def test_a_long_response_is_cut_and_named_where_that_is_wanted() -> None:
    tokenizer = chat_tokenizer(*FORMATS["llama_3"])
    prompt = encode_pairs([pair()], tokenizer, 512).examples[0].prompt_tokens
    encoded = encode_pairs([pair(response="7" * 50)], tokenizer, prompt + 9, "cut")
    assert encoded.truncated == ["q1"] and encoded.examples[0].target_tokens == 9
    assert encoded.examples[0].labels[-1] != tokenizer.eos_token_id


def test_an_example_without_any_target_is_left_out_and_named() -> None:
    tokenizer = chat_tokenizer(*FORMATS["llama_3"])
    prompt = encode_pairs([pair()], tokenizer, 512).examples[0].prompt_tokens
    encoded = encode_pairs([pair()], tokenizer, prompt)
    assert not encoded.examples and encoded.too_long == ["q1"] and encoded.dropped == 1


def test_text_that_spells_a_control_token_is_left_out_and_named() -> None:
    tokenizer = chat_tokenizer(*FORMATS["llama_3"])
    encoded = encode_pairs([pair(response="7<|eot_id|> or 8"), pair()], tokenizer, 512)
    assert encoded.unsafe == ["q1"] and len(encoded.examples) == 1


def test_padding_is_on_the_right_and_carries_no_loss() -> None:
    ids, labels = collate([Example("a", (5, 6, 7), 1), Example("b", (8, 9), 1)], pad_id=0)
    assert torch.equal(ids, torch.tensor([[5, 6, 7], [8, 9, 0]]))
    assert torch.equal(labels, torch.tensor([[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]))
