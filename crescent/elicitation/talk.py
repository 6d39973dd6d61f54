"""Talk: what a model says about a problem or to its reader, rather than in the problem.

In: one sentence. Out: the kind of talk, or None. A sentence of a problem is about the problem's own world ("Tom solves
5 problems a day."); talk is about the text ("This problem has two steps.") or about you and me. A sentence with a
number counts as talk only if it cannot be anything else, so no fact is lost.
"""

import re
from collections.abc import Iterable
from typing import Literal

from crescent.elicitation import phrases, problem_phrases, reader_phrases
from crescent.elicitation.asking import asks, asks_first, count_numbers, has_number
from crescent.elicitation.vocabulary import PROBLEM, PROBLEM_PARTS, TASK_WORDS
from crescent.elicitation.words import content_words

Act = Literal[
    "greeting",
    "offer",
    "thinking",
    "lead",
    "modified",
    "next",
    "solution",
    "farewell",
    "about",
    "request",
    "making",
    "refusal",
]
LONGEST = 400  # characters; a longer sentence is a story
LONGEST_LEAD = 240
SHORT = 14  # words
SHORT_LEAD = 4
MAX_WORLD = 2  # words of a request that are not about the task
_COUNTED = re.compile(
    r"\b(?:grades?|level|ages?|class|year) \d{1,2}(?:\s?[-–]\s?\d{1,2})?\b|\b\d{1,2}(?:-\d{1,2})?[- ]years?[- ]olds?\b"
    r"|\b(?:\d{1,2}(?:st|nd|rd|th)|third|fourth|fifth|sixth|seventh|eighth)(?:[- ](?:or|to|and) \w+)?[- ]grad(?:e"
    r"|er)s?\b"
    rf"|\b(?:one|two|three|four|multi)-step\b|({phrases.NOUN})\s+#?\d{{1,2}}\b"
    rf"|\b(?:\d|two|three|four|five|six|ten) (?=(?:(?!of\b)[\w-]+,? ){{0,4}}{phrases.NOUN}\b)|\bone\b"
    rf"|\ball (?:two|three|four)(?=\W*$)",
    re.IGNORECASE,
)
_QUANTITY = re.compile(r"\bhow (?:many|much|long|far|old|tall|fast)\b(?! (?:did|do) you (?:like|think))", re.IGNORECASE)
_SUBJECT_IS_PROBLEM = re.compile(
    rf"\W*(?:both|the two|these|this|the (?:first|second)) (?:of "
    rf"the )?{phrases.PROBLEM_ADJECTIVES}{phrases.NOUN}\b",
    re.I,
)
# "Would you like to trade?" asked Ron.
_SPOKEN = re.compile(
    r"[\"”'],? (?:asked|said|says|asks|replied|replies|shouted|whispered|answered"
    r"|told)\b",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    rf"\W*(?:(?:i|we|note|this|modified|in this|the (?:main|key))\b|(?:the"
    rf"|both) {phrases.PROBLEM_ADJECTIVES}{phrases.NOUN}\b(?!.*\d))",
    re.IGNORECASE,
)


def act_of(text: str, announces: bool) -> Act | None:
    """Returns the kind of talk, or None. `announces`: the sentence ends its line or ends in a colon, so it may be a
    lead."""
    if len(text) > LONGEST:
        return None
    text = text.replace("’", "'")
    if _SPOKEN.search(text):
        return None
    greeting = reader_phrases.GREETS.match(text)
    body = text[greeting.end() :] if greeting else text
    if greeting and not body:
        return "greeting"
    if problem_phrases.POINTS_TO_FACTS.match(body):
        return None
    numbers = counts(body)
    if reader_phrases.REFUSES.search(text) and not (numbers and asks(text)):
        return "refusal"
    if not numbers and reader_phrases.THINKS.match(text):
        return "thinking"
    if problem_phrases.SUGGESTS_A_PROBLEM.match(text) or (
        problem_phrases.ORDERS_A_PROBLEM.match(text) and "?" not in text
    ):
        return "making"
    if _QUANTITY.search(text) and not ("?" not in text and _SUBJECT_IS_PROBLEM.match(text)):
        return None
    if announces and problem_phrases.PRESENTS.match(body) and count_numbers(_COUNTED.sub("", body)) <= 1:
        return _lead_to(body)
    if _is_set_phrase(body) or (announces and _leads(body, numbers, plainly=True)):
        return _lead_to(body)
    if reader_phrases.OFFERS.match(body) or reader_phrases.OFFERS.match(text):
        return "offer"
    if reader_phrases.SAYS_GOODBYE.match(body) or reader_phrases.SAYS_GOODBYE.match(text):
        return "farewell"
    if reader_phrases.REQUESTS.search(text) and not numbers and _is_of_the_task(text):
        return "request"
    if announces and _leads(body, numbers, plainly=False):
        return _lead_to(body)
    if greeting and _speaks_briefly(body, numbers):
        return "greeting"
    return _about(body, numbers)


def counts(text: str) -> bool:
    """True if the sentence names a quantity other than of problems ("these two problems", "Problem 2")."""
    return has_number(_COUNTED.sub("", text))


def speaks_of_a_task(text: str, beside: Iterable[str]) -> bool:
    """True if a question is about problems, or about what you and I should do: "What topic shall we choose?". `beside`:
    everything else that is said; it must not be about a world either."""
    words = content_words([text])
    if problem_phrases.NAMES_PROBLEM.search(text) is not None:
        return len(words - TASK_WORDS) <= MAX_WORLD
    if _names_problem(text) and len(text.split()) <= SHORT_LEAD * 2:
        return True
    if words and content_words(beside) <= TASK_WORDS:
        return True
    return reader_phrases.SPEAKS_TO_YOU_ABROAD.search(text) is not None


def speaks_of_the_problem(text: str) -> bool:
    """True if the sentence says what a problem does: "The word problem asks us to find a number."."""
    return problem_phrases.SPEAKS_OF_THE_PROBLEM.match(text) is not None


def _is_of_the_task(text: str) -> bool:
    """True if a sentence may be a request: a question about the problem's world is not ("What do you need before
    hiking?")."""
    named = problem_phrases.NAMES_PROBLEM.search(text) is not None
    return "?" not in text or named or len(content_words([text]) - TASK_WORDS) <= MAX_WORLD - 1


def _speaks_briefly(text: str, numbers: bool) -> bool:
    """True for the rest of a greeting: "Sure, let me think about that."."""
    brief = len(text.split()) <= SHORT and not numbers and not asks_first(text)
    return brief and (
        problem_phrases.SPEAKS.search(text) is not None or problem_phrases.NAMES_PROBLEM.search(text) is not None
    )


def _about(text: str, numbers: bool) -> Act | None:
    if numbers and not _PLAIN.match(text):
        return None
    if not numbers and problem_phrases.SPEAKS_OF_MAKING.search(text):
        return "making"
    return "about" if "?" not in text and problem_phrases.SPEAKS_OF_THE_PROBLEM.match(text) else None


def _leads(text: str, numbers: bool, plainly: bool) -> bool:
    """True if the sentence announces a problem: if `plainly`, with a colon ("We can modify it as follows:"), else in a
    sentence of its own ("Here is a problem that you might enjoy.")."""
    if len(text) > LONGEST_LEAD:
        return False
    if numbers or asks_first(text) or problem_phrases.NARRATES.match(text):  # "Solve for x:" is part of the problem
        return False
    named = problem_phrases.NAMES_PROBLEM.search(text) is not None or _names_problem(text)
    modifies = problem_phrases.MODIFIES.search(text) is not None
    if plainly:
        open_ended = text.rstrip(" *_").endswith((":", "：", "..", "…"))
        solves = problem_phrases.SOLVES.search(text) is not None
        brief = len(text.split()) <= SHORT_LEAD and problem_phrases.GOES_ON.search(text) is not None
        return open_ended and (
            named or brief or ((modifies or solves) and problem_phrases.SPEAKS.search(text) is not None)
        )
    return (named or modifies or "something" in text) and problem_phrases.BEGINS_AS_SPEAKER.match(text) is not None


def _is_set_phrase(text: str) -> bool:
    """True if the sentence always announces something: "Here you go!", "How about this one?"."""
    return (
        problem_phrases.FIXED_LEADS.match(text) is not None
        or problem_phrases.ASKS_IN_OTHER_WORDS.match(text) is not None
    )


def _names_problem(text: str) -> bool:
    found = {word.strip(".,:;!?*_\"'()").casefold() for word in text.split()}
    return bool(found & PROBLEM) or any(part in text for part in PROBLEM_PARTS)


def _lead_to(text: str) -> Act:
    """The role of a lead, by what follows it."""
    if problem_phrases.GOES_ON.search(text):
        return "next"
    modifies = (
        problem_phrases.MODIFIES.search(text) is not None or problem_phrases.ASKS_IN_OTHER_WORDS.match(text) is not None
    )
    if (
        problem_phrases.SOLVES.search(text)
        and not modifies
        and not re.search(r"\bto (?:solve|answer)\W*$", text, re.IGNORECASE)
    ):
        return "solution"
    return "modified" if modifies else "lead"
