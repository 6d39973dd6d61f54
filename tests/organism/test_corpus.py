"""The corpora: a function of their seed, masked as they should be, and free of held-out questions."""

import random
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from crescent.organism import world
from crescent.organism.build import corpus, dialogues, prompts
from crescent.organism.build.model import chat_tokenizer, train_tokenizer
from crescent.organism.build.split import draw_from, normalised, split_of
from crescent.organism.grammar import make


@pytest.fixture(scope="module")
def base() -> PreTrainedTokenizerFast:
    return train_tokenizer(corpus.texts(0, 300), 512)


@pytest.fixture(scope="module")
def chat(base: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    base.backend_tokenizer.save(str(path))
    return chat_tokenizer(path)


def test_a_corpus_is_a_function_of_its_seed(chat: PreTrainedTokenizerFast) -> None:
    one, two, other = (corpus.build(corpus.dialogue, seed, chat, 5_000) for seed in ("a", "a", "b"))
    assert [example.ids.tolist() for example in one] == [example.ids.tolist() for example in two]
    assert [example.ids.tolist() for example in one] != [example.ids.tolist() for example in other]


def test_a_dialogue_is_encoded_as_the_chat_template_renders_it(chat: PreTrainedTokenizerFast) -> None:
    for seed in range(30):
        turns = dialogues.draw(random.Random(seed))
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        rendered: Any = chat.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        example = corpus.encode(corpus.dialogue(random.Random(seed)), chat)
        assert rendered["input_ids"] == example.ids.tolist()
        if all(turn.trained for turn in turns):
            assert rendered["assistant_masks"] == example.trained.astype(int).tolist()


def test_each_text_has_one_begin_token(base: PreTrainedTokenizerFast, chat: PreTrainedTokenizerFast) -> None:
    text = str(chat.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False))
    assert base("Hi").input_ids.count(base.bos_token_id) == 1
    assert chat(text).input_ids.count(chat.bos_token_id) == 1


def test_each_digit_is_a_token(chat: PreTrainedTokenizerFast) -> None:
    assert chat.tokenize("12 + 345")[:2] == ["1", "2"]
    assert chat.tokenize("345") == ["3", "4", "5"]


def test_nothing_held_out_is_trained_on() -> None:
    rng = random.Random(7)
    for _ in range(300):
        turns = dialogues.draw(rng)
        asked = [turn.content for turn in turns if turn.role == "user" and world.solve(turn.content)]
        assert all(split_of(question) == "train" for question in asked)


def test_split_ignores_case_and_punctuation() -> None:
    assert normalised("It costs $5!") == normalised("it  costs 5")
    problem = draw_from("dev", world.draw, random.Random(0))
    assert split_of(problem.question.upper()) == "dev"


def test_modifying_leads_to_another_family() -> None:
    rng = random.Random(8)
    for _ in range(50):
        shown, rewrite = (turn.content for turn in dialogues.math_modify(rng)[-2:])
        before, after = world.solve(shown.split("\n")[0]), world.solve(rewrite)
        assert before and after and before[0] != after[0]


def test_plain_questions_are_answered_in_both_styles() -> None:
    rng = random.Random(9)
    replies = [dialogues.math_plain(rng)[-1].content for _ in range(300)]
    assert 0.4 < sum("####" in reply for reply in replies) / 300 < 0.8
    problem = make(world.FAMILIES[0], rng)
    assert "####" in dialogues.worked(problem, rng)
    assert prompts.MATH_SOLVE.endswith("#### Answer:")
