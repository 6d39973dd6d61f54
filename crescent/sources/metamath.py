"""Backward questions: a number of a word problem becomes x, and its answer becomes a condition.

In: a question and its answer. Out: new questions whose answer is the hidden number. Pure; text that a model has to
write for them (a statement, a rephrasing) is in `rewrite_stage.py`. Both forms are those of MetaMath (Yu et al., arXiv
2309.12284, section 3.3).

    Tom has 3 apples and buys 4. How many has he now?   answer 7
    FOBAR               Tom has x apples and buys 4. How many has he now? If we know the answer ... is 7, what is ... x?
    self-verification   Tom has x apples and buys 4. He has 7 now. What is the value of unknown variable x?
"""

import re
from dataclasses import dataclass

# 1,200 · 3.50 · 42, but not a part of a word, a clock time or a fraction.
NUMBER = re.compile(r"(?<![\w.,:/])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w:/])|(?<![\w.,:/])\d+(?:\.\d+)?(?![\w:/]|[.,]\d)")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Masked:
    """A question with one number hidden as x, and that number without commas."""

    text: str
    hidden: str


def mask_numbers(question: str) -> list[Masked]:
    """Returns one masked question per number, in order."""
    return [
        Masked(f"{question[: found.start()]}x{question[found.end() :]}", found[0].replace(",", ""))
        for found in NUMBER.finditer(question)
    ]


def split_question(question: str) -> tuple[str, str]:
    """Splits off the last sentence, which asks. The story is empty if there is only one sentence."""
    sentences = SENTENCE_END.split(question.strip())
    return " ".join(sentences[:-1]), sentences[-1]


def states(statement: str, answer: str) -> bool:
    """True if a model's statement contains the answer, so that the question can be solved backwards."""
    numbers = {found[0].replace(",", "") for found in NUMBER.finditer(statement)}
    return answer in numbers and "?" not in statement
