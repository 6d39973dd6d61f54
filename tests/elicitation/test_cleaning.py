"""Cleaning: the chatter of chat models around a question, and every character of the question kept."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crescent.elicitation import clean_question

Q = 'Tom pays $5.50 for 3/4 of a "big" pie (20% off) + tax = $6.\nHow much – in £ – is the whole pie?'
WRAPPED = [
    "{}", "\n\n  {}  \n", "Sure! Here is a unique math word problem:\n\n{}", "Here's a modified version:\n\n{}",
    "Of course! Here's a unique math word problem for you to solve!\n\n{}", "Sure, here's one: {}", "Question: {}",
    "I'd be happy to help! Here's a unique problem:\n\n{}", "**Problem:**\n{}", "**Problem:** {}", "Problem 1: {}",
    "**Math Word Problem:**\n\n{}", "Modified Problem:\n\n{}", "**Modified Question:** {}", "**The Pie**\n\n{}",
    "Here is a math word problem:\n\n**Title: The Pie**\n\n{}\n\nLet me know if you need the answer!",
    "Certainly! Below is a new problem:\n\n### Problem\n\n{}\n\n### Solution\nStep 1: 5", "```\n{}\n```", "`{}`",
    "{}\n\nHope this helps!", "{}\n\nNote: the answer is 8.", "{}\n\nAnswer: $8", "{}\n\n**Answer:** $8",
    "{}\n\n**Solution**\n\nx", "{}\n\nSolution:\nLet x be", "{} Let me know if you want more.", "{} Answer: $8",
    "{}\n\n---\n\nThis problem requires fractions.", "{}\n\n(Note: I changed the numbers.)", "## The Pie\n{}", "“{}”",
    "{}\n\nCan you solve it?",
]  # fmt: skip
INVALID = {
    "": "empty", " ... ": "empty", "Sure! Here is a problem:": "empty", "How many?": "too short",
    "I cannot create that problem for you.": "refusal", "I'm sorry, but I can't help with that, can I?": "refusal",
    "As an AI language model, I cannot do it.": "refusal", "How many? " * 300: "too long",
    "Tom has 5 apples and gives away 3 of them to Ann.": "no question",
    "Tom, who has 5 apples, gives some to Ann, which is nice.": "no question",
}  # fmt: skip
FRAGMENTS = st.sampled_from(
    ["Sure! ", "Here is a problem:\n", "**Problem:**\n", "Question: ", "\n", "How many?", "Tom has $5", '"', "`", "**",
     "Answer: 5", "\nNote: x", "---\n", "Let me know", "```\n", "Title: X\n", "# H\n", "Find x.", " ", "'", "“", "”"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=50), st.lists(FRAGMENTS, max_size=12).map("".join))


@pytest.mark.parametrize("form", WRAPPED)
def test_chatter_goes_and_every_character_of_the_question_stays(form: str):
    assert clean_question(form.format(Q)).question == Q


def test_quotes_around_the_whole_question_go():
    assert clean_question('Here it is:\n"How many pies does Tom eat?"').question == "How many pies does Tom eat?"


@pytest.mark.parametrize(
    "text", ["Calculate the sum of 3 and 5 apples.", "Ann is taller than Bob. Who is the tallest?"]
)
def test_imperatives_and_puzzles_are_questions(text: str):
    assert clean_question(text).reason == "ok"


@pytest.mark.parametrize(("text", "reason"), INVALID.items())
def test_what_is_no_question_is_named(text: str, reason: str):
    assert clean_question(text).reason == reason and clean_question(text).question is None


def test_a_cut_question_is_invalid_but_a_cut_solution_after_it_is_not():
    assert clean_question(Q, finish_reason="length").reason == "cut off"
    assert clean_question(Q + "\n\nAnswer: 8 bec", finish_reason="length").question == Q


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Please provide the problem that I should modify.", "no problem stated"),
        ("A math word problem requires creative thinking.", "no problem stated"),
        ("<think>Maybe one on trains? How many", "unclosed thought"),
        (f"Here it is: {Q} <think>Or should I", "unclosed thought"),
        ("<think>Maybe one on trains? How many?</think>", "thought"),
        ("Is the sum of 3 and 4 odd? " * 6, "repetition"),
    ],
)
def test_what_is_no_problem_says_which_kind_it_is(text: str, reason: str):
    assert clean_question(text).reason == reason


def test_a_chinese_character_counts_as_three_letters():
    assert clean_question("求15和20的最小公倍数。").reason == "ok" and clean_question("几个？").reason == "too short"


def test_limits_that_nothing_meets_are_refused():
    with pytest.raises(ValueError, match="max_characters=5"):
        clean_question(Q, min_characters=10, max_characters=5)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_cleaning_what_was_cleaned_changes_nothing(text: str):
    cleaned = clean_question(text, min_characters=1)
    assert cleaned.question is None or clean_question(cleaned.question, min_characters=1) == cleaned


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_question_is_made_of_words_of_the_text_in_their_order(text: str):
    words = iter(text.split())
    question = clean_question(text, min_characters=1).question or ""
    assert all(any(word in given for given in words) for word in question.split())


@pytest.mark.parametrize("piece", ["Question: ", "\nNote: ", "```\n", "Sure! ", "\n", "Here is ", "How many?\n"])
def test_degenerate_text_is_cleaned_in_time(piece: str):
    started = time.process_time()
    clean_question(piece * 5_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("reason", ["abort", "content_filter", "error", "null", "tool_calls", "anything else"])
@pytest.mark.parametrize("wrapped", ["{}", "{}\n\nAnswer: $8", ""])
def test_what_the_engine_gave_up_on_is_no_question_whatever_it_says(reason: str, wrapped: str) -> None:
    cleaned = clean_question(wrapped.format(Q), reason)
    assert (cleaned.question, cleaned.reason) == (None, "unfinished")
