"""Questions asked backwards: a number of a word problem becomes x, and its answer becomes a condition.

In: a question and its answer. Out: new questions whose answer is the number that was hidden. Pure; what a model has to
write for them (a statement, a rephrasing) is `rewrite_stage.py`. Both ways are as MetaMath uses them (Yu et al., arXiv
2309.12284, section 3.3).

    Tom has 3 apples and buys 4. How many has he now?   answer 7
    FOBAR               Tom has x apples and buys 4. How many has he now? If we know the answer ... is 7, what is ... x?
    self-verification   Tom has x apples and buys 4. He has 7 now. What is the value of unknown variable x?
"""

import re
from dataclasses import dataclass

# 1,200 · 3.50 · 42, but not part of a word, of a clock time or of a fraction.
NUMBER = re.compile(r"(?<![\w.,:/])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w:/])|(?<![\w.,:/])\d+(?:\.\d+)?(?![\w:/]|[.,]\d)")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Masked:
    """A question with one number hidden as x, and that number, without commas."""

    text: str
    hidden: str


def mask_numbers(question: str) -> list[Masked]:
    """One for each number of the question, in their order."""
    return [
        Masked(f"{question[: found.start()]}x{question[found.end() :]}", found[0].replace(",", ""))
        for found in NUMBER.finditer(question)
    ]


def split_question(question: str) -> tuple[str, str]:
    """The story and the sentence that asks, its last one. The story is empty where there is one sentence."""
    sentences = SENTENCE_END.split(question.strip())
    return " ".join(sentences[:-1]), sentences[-1]


def states(statement: str, answer: str) -> bool:
    """Whether a model's statement holds the answer, so that the question can be solved backwards."""
    numbers = {found[0].replace(",", "") for found in NUMBER.finditer(statement)}
    return answer in numbers and "?" not in statement
