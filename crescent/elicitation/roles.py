"""The role of each sentence in a response.

In: sentences. Out: `Part`s, one per sentence. A role depends on the sentence itself; whether it is kept is decided in
`choosing`, which sees its position.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from crescent.elicitation import asking, solving
from crescent.elicitation.labels import Label, is_difficulty, read_label
from crescent.elicitation.sentences import Sentence
from crescent.elicitation.talk import act_of, speaks_of_the_problem
from crescent.elicitation.vocabulary import words_of

Role = Literal[
    "text", "title", "rule", "metadata", "note", "choices",
    "question", "original", "modified", "next",
    "answer", "solution", "comment", "turn",
    "greeting", "offer", "thinking", "lead", "farewell", "about", "request", "making", "refusal",
]  # fmt: skip

_HASHTAGS = re.compile(r"(?:#\w+\s*)+")
_FOR_YOU = re.compile(r"\bfor (?:you|your)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|has|have|had|was|were|can|will|must|does|do|sells?|buys?|goes|gets?|needs?|costs?|makes?|takes?|=)\b",
    re.IGNORECASE,
)
_SMALL = words_of("a an the of in on at and or to for with from by vs de la le du der die das und")
_CLOSES = (".", "?", "!", ":", ";", ",", "。", "？", "：", "，")
MAX_TITLE_WORDS = 12
MAX_TITLE = 120  # characters, markup included
MAX_PLAIN_WORDS = 8  # for a title that is not set off


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence with its role; `number` is the number of its label ("Problem 2:")."""

    sentence: Sentence
    role: Role
    number: int = 0
    asks: bool = False

    @property
    def bare(self) -> str:
        return self.sentence.bare


def read_parts(sentences: Sequence[Sentence]) -> list[Part]:
    """The parts of a text, in order."""
    lines = [list(group) for _, group in groupby(sentences, key=lambda sentence: sentence.line)]
    parts: list[Part] = []
    for index, line in enumerate(lines):
        below = lines[index + 1][0] if index + 1 < len(lines) else None
        parts += _of_line(line, below)
    last = parts[-1] if parts else None
    if last is not None and last.role == "text" and not last.asks and asking.breaks_off(last.bare):
        parts[-1] = replace(last, asks=True)
    return parts


def _of_line(line: Sequence[Sentence], below: Sentence | None) -> list[Part]:
    shape, bare = line[0].line.shape, line[0].bare
    if shape == "rule":
        return [Part(line[0], "rule")]
    if shape in ("fence", "code", "table"):
        return [Part(one, "text", asks=shape == "code" and asking.asks(one.bare)) for one in line]
    if len(line) == 1 and _HASHTAGS.fullmatch(bare) and not bare.lstrip("#").isdigit():
        return [Part(line[0], "metadata")]
    short = line[-1].end - line[0].start <= MAX_TITLE
    if len(line) > 1 and short and read_label(line[0]) is None and _is_title(line, below, labelled=False):
        return [Part(one, "title") for one in line]
    parts: list[Part] = []
    for index, sentence in enumerate(line):
        before = parts[-1] if parts else None
        if before is not None and before.role in ("metadata", "title"):
            parts.append(Part(sentence, before.role))
        else:
            parts += _part(line, index, before, below)
    return parts


def _part(line: Sequence[Sentence], at: int, before: Part | None, below: Sentence | None) -> list[Part]:
    """The sentence at `at` in a line as a part; "Changed version - A bus has 42 seats." gives two parts."""
    sentence = line[at]
    label = read_label(sentence)
    if label is None and sentence.first and is_difficulty(sentence.bare) and any(asking.asks(one.bare) for one in line):
        label = Label("question")  # "Easy: Tom has ... How many ...?"
    if label is not None and label.rest and not _like_title(label.rest):
        begins = sentence.end - len(label.rest)
        first = replace(sentence, end=begins, bare=sentence.bare.removesuffix(label.rest), last=False)
        return [
            Part(first, label.kind, label.number),
            _spoken(replace(sentence, start=begins, bare=label.rest, first=False)),
        ]
    if label is not None:
        return [_labelled(sentence, label)]
    labelled = before is not None and before.role in ("question", "modified", "next")
    if (
        (sentence.first or labelled)
        and line[-1].end - sentence.start <= MAX_TITLE
        and _is_title(line[at:], below, labelled)
    ):
        return [Part(sentence, "title")]
    return [_spoken(sentence)]


def _labelled(sentence: Sentence, label: Label) -> Part:
    if label.kind == "metadata" and not sentence.bare.rstrip(" )]").endswith((":", "：")):
        return Part(sentence, "text", asks=asking.asks(sentence.bare))
    return Part(sentence, label.kind, label.number)


def _is_title(rest: Sequence[Sentence], below: Sentence | None, labelled: bool) -> bool:
    """True if the rest of a line names the problem: it fills its line or follows a label, and text comes after it."""
    line = rest[0].line
    if below is None or below.line.shape in ("bullet", "numbered", "lettered", "table"):
        return False
    if not rest[0].first and not labelled:
        return False
    bare = " ".join(sentence.bare for sentence in rest)
    underlined = below.line.shape == "rule" and below.line.paragraph == line.paragraph
    if labelled or underlined or line.shape in ("heading", "bold", "quoted"):
        asked = re.fullmatch(r"[\"“'].*[?!][\"”'.]*|[^.?!]*[?!]", bare) is not None
        return _like_title(bare) or (asked and is_capitalised(bare))
    if line.shape != "plain" or below.line.paragraph == line.paragraph or re.search(r"\d", bare):
        return False
    return _like_title(bare) and is_capitalised(bare) and len(bare.split()) <= MAX_PLAIN_WORDS


def _like_title(bare: str) -> bool:
    text = bare.strip(" \"'“”‘’*_")
    if (
        not text
        or text.endswith(_CLOSES)
        or len(text) > 100
        or re.search(r"[$\\=<>^]", text)
        or not re.search(r"[^\W\d]", text)
    ):
        return False
    if len(text.split()) > MAX_TITLE_WORDS:
        return False
    return is_capitalised(text) or not (re.search(r"\d", text) or _VERB.search(text))


def is_capitalised(text: str) -> bool:
    """True if the text is in Title Case."""
    found = [word.strip("\"'“”‘’*_.,:;!?()") for word in text.split()]
    large = [word for word in found if word and word.casefold() not in _SMALL and word[0].isalpha()]
    return len(large) > 0 and all(word[0].isupper() for word in large) and (len(large) > 1 or len(found) > 0)


def _spoken(sentence: Sentence) -> Part:
    bare = sentence.bare
    act = act_of(bare, sentence.last or bare.endswith((":", "：")) or _FOR_YOU.search(bare) is not None)
    if act is not None:
        return Part(sentence, act, asks=asking.asks(bare))
    asks = asking.asks(bare) and ("?" in bare or not speaks_of_the_problem(bare))
    if solving.answers(bare) and (not asking.asks(bare) or (asking.has_number(bare) and "?" not in bare)):
        return Part(sentence, "answer")
    return Part(sentence, "text", asks=asks)
