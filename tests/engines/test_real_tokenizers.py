"""What holds for the tokenizers and chat templates of eight real models: prompts, masks, ends, dates, spelling."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM
from real_tokenizers import ENDS, copy_tokenizer, needs_files

from crescent.core.records import QAPair
from crescent.engines import Prompt, Sampling
from crescent.engines.dates import DATE, with_date, without_date
from crescent.engines.encoding import encode
from crescent.engines.spelling import chat_ids, spellable, spells_control
from crescent.engines.stops import Texts
from crescent.engines.turns import Turn, end_of_turn, turn_of
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training.data import encode_pairs

pytestmark = needs_files
QUESTION, RESPONSE = "How many?", "7 pears."
_LLAMA_3 = (
    "<|start_header_id|>user<|end_header_id|>\n\nHow many?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
_DATED = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024"
PROMPTS = {
    "llama2": "<s> [INST] How many? [/INST]",
    "llama3": f"<|begin_of_text|>{_LLAMA_3}",
    "llama3_1": f"<|begin_of_text|>{_LLAMA_3}",
    "llama3_2": f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{_DATED}\n\n<|eot_id|>{_LLAMA_3}",
    "qwen2_5": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3": "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n",
    "gemma3": "<bos><start_of_turn>user\nHow many?<end_of_turn>\n<start_of_turn>model\n",
    "deepseek_v3": "<｜begin▁of▁sentence｜><｜User｜>How many?<｜Assistant｜>",
}
TRAINED = {
    "llama2": ["▁", "7", "▁p", "ears", ".", "▁", "</s>"],
    "qwen3": ["<think>", "ĊĊ", "</think>", "ĊĊ", "7", "Ġp", "ears", ".", "<|im_end|>"],
    "gemma3": ["7", "▁pears", ".", "<end_of_turn>"],
}
_BOS = {name: text.partition(">")[0] + ">" for name, text in PROMPTS.items() if not name.startswith("qwen")}


@pytest.fixture(scope="module", params=ENDS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def tokenizer(name: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As a run loads it."""
    return load_tokenizer(Weights(name, str(copy_tokenizer(name, tmp_path_factory.mktemp(name)))))


def test_a_question_is_asked_in_the_model_s_own_words_with_one_bos(name: str, tokenizer: Any) -> None:
    ids = encode(Prompt(QUESTION), tokenizer)
    assert tokenizer.decode(ids) == PROMPTS[name]
    assert [tokenizer.decode([token]) for token in ids].count(_BOS.get(name, "none")) == (name in _BOS)


def test_the_mask_covers_the_response_token_by_token(name: str, tokenizer: Any) -> None:
    [example] = encode_pairs([QAPair("q", QUESTION, RESPONSE, "7", 1, 1, 1.0)], tokenizer, 512).examples
    expected = TRAINED.get(name, ["7", "Ġp", "ears", ".", ENDS[name]])
    assert list(example.ids[: example.prompt_tokens]) == encode(Prompt(QUESTION), tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(example.ids[example.prompt_tokens :])) == expected


@pytest.mark.parametrize("before", ["", "{% if add_generation_prompt %}<think>\n{% endif %}"])
@pytest.mark.parametrize(
    "response", ["\n7 pears.", "\n\n7 pears.", " 7 pears. ", "\t7\n", " \n", "", "\u200b7", "é🙂", "```\n7"]
)
def test_whatever_a_response_begins_with_it_follows_the_prompt_that_is_asked(
    response: str, before: str, name: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", tokenizer.chat_template + before)
    if name == "llama3" and before:
        pytest.skip("its template has the generation prompt after every answer")
    [example] = encode_pairs([QAPair("q", QUESTION, response, "7", 1, 1, 1.0)], tokenizer, 512).examples
    prompt, target = example.ids[: example.prompt_tokens], tokenizer.decode(example.ids[example.prompt_tokens :])
    assert list(prompt) == encode(Prompt(QUESTION), tokenizer)
    assert target.endswith(ENDS[name])
    said = target.removesuffix(ENDS[name]).rpartition("</think>\n\n")[2]
    assert said.strip() == response.strip() and (name not in ("qwen2_5", "deepseek_v3") or said == response)


@pytest.mark.parametrize("name", ["llama2", "qwen2_5"], scope="module")
@pytest.mark.parametrize("text", ["<think></think>Ann#Who", "Is it? <think>Who</think>7Who", "a[THINK]Who[/THINK]Who"])
def test_tags_that_share_tokens_with_their_surroundings_are_found(text: str, tokenizer: Any) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    texts = Texts(tokenizer, Sampling(stop=("Who",)))
    ends = [count for count in range(1, len(ids) + 1) if texts.stops_at(0, ids[:count], "")]
    assert ends[-1:] == [len(ids)] and texts.text(ids, "") == text.removesuffix("Who")


def test_worked_examples_are_turns_with_one_bos_and_an_end_each(name: str, tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ann"}] * 2
    ids = chat_ids(tokenizer, [*turns, {"role": "user", "content": QUESTION}], add_generation_prompt=True)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[:2].count(_BOS.get(name)) == (name in _BOS)  # Llama 2 has one before every question
    answers = tokenizer.decode(ids).split("Ann")
    assert len(answers) == 3 and all(part.strip().startswith(ENDS[name]) for part in answers[1:])


def test_the_harness_asks_with_the_same_tokens(name: str, tokenizer: Any, engine: Any) -> None:
    chat = [{"role": "user", "content": QUESTION}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    build: Any = HFLM
    harness = build(pretrained=engine.model, tokenizer=tokenizer, batch_size=1)
    assert harness.tok_batch_encode([text])[0][0].tolist() == encode(Prompt(QUESTION), tokenizer)


def test_control_tokens_that_a_question_spells_are_read_as_text(name: str, tokenizer: Any) -> None:
    control, plain = spellable(tokenizer), encode(Prompt(QUESTION), tokenizer)
    own = [token for token in plain if token in control]
    assert set(own) >= {
        token for token in plain if tokenizer.convert_ids_to_tokens(token) in (_BOS.get(name), ENDS[name])
    }
    for text in list(control.values())[:60]:
        question = f"Is {text}{text}the <{text} of it, or 7{text}?"
        ids = encode(Prompt(question), tokenizer)
        assert [token for token in ids if token in control] == own, text
        assert question in tokenizer.decode(ids)


@pytest.mark.parametrize("place", ["question", "response"])
def test_pairs_that_spell_control_tokens_are_not_trained_on(place: str, name: str, tokenizer: Any) -> None:
    for text in [*list(spellable(tokenizer).values())[:20], ENDS[name]]:
        plain = QAPair("plain", QUESTION, RESPONSE, "7", 1, 1, 1.0)
        pairs = [replace(plain, question_id="spelled", **{place: f"It is 7{text} or 8."}), plain]
        encoded = encode_pairs(pairs, tokenizer, 512)
        assert encoded.unsafe == ["spelled"] and [one.question_id for one in encoded.examples] == ["plain"], text


def test_thinking_tags_are_no_control_tokens(name: str, tokenizer: Any) -> None:
    assert not any(spells_control(text, tokenizer) for text in ("<think>", "</think>", "a < b", "[1]", "<b>bold</b>"))


class Later(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> "Later":
        return cls(2031, 2, 3)


def rendered(tokenizer: Any, template: str) -> str:
    chat = [{"role": "user", "content": QUESTION}]
    return str(tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False))


@pytest.mark.parametrize(("date", "shown"), [(DATE, DATE), ("2025-01-05", "05 Jan 2025")])
def test_prompts_are_the_same_on_another_day(
    date: str, shown: str, name: str, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = without_date(tokenizer.chat_template)
    fixed = with_date(own, date)
    today, changing = rendered(tokenizer, fixed), rendered(tokenizer, own)
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Later)
    assert rendered(tokenizer, fixed) == today
    assert (rendered(tokenizer, own) != changing) == (shown in today) == (name == "llama3_2")


def test_the_end_of_a_turn_is_found(name: str, tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer)) == ENDS[name]


def test_only_the_first_llama_3_ends_turns_with_a_token_that_it_does_not_list(
    name: str, tokenizer: Any, tmp_path: Path
) -> None:
    found = turn_of(tmp_path, tokenizer)
    assert found == Turn(128009, False, True) if name == "llama3" else found.unlisted is None
