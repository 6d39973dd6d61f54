"""Splits a text into lines with their shapes, and these into sentences.

In: a text. Out: `Sentence`s in order, as spans of the text, so that what is kept stays unchanged character for
character. A sentence ends at its punctuation, at a colon that announces something, and at the end of its line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Shape = Literal[
    "plain", "heading", "bold", "quoted", "bullet", "numbered", "lettered", "rule", "fence", "code", "table"
]

_RULE = re.compile(r"\s*(?:[-–—=_~]{3,}|\*{3,}|(?:[-*_=] ){2,}[-*_=])\s*")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_MARKER = re.compile(
    r"\s*(?:(?P<heading>#{1,6}(?=[\s*])\s*)|(?P<bullet>[-*•+–]\s+)"
    r"|(?P<numbered>\(?\d{1,2}[.)](?=\s)\s*)|(?P<lettered>\(?(?:[A-Ha-h]|[ivx]{1,4}|[IVX]{1,4})[.)]\s+))"
)
_BOLD = re.compile(r"(\*{1,3}|_{1,3})(?=\S)(?:(?!\1).)+\1[\s:.]*")
_EMPHASISED = re.compile(r"(\*{1,3}|_{1,2})(?=\S)(?:(?!\1).)+:?\1:?")
_QUOTED = re.compile(r"[\"“„«'‘][^\"”»]+[\"”»'’]\s*")
# Where a sentence ends: "total? (Note" · "total?** The" · "problem: A baker" · "多少？答"
_END = re.compile(r"(?:(?<!>)[.!?…]+|(?<=\S):)[\"'”’»)\]*_`$]*(?=\s)|[。！？；：][\"'”’»)\]*_]*")
_GOES_ON = re.compile(r"\s+[a-z]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|prof|vs|no|e\.g|i\.e|approx|fig|eq|jr|sr|etc|cf|[a-z])\.|\b[ap]\.m\.|\.{3}|…)$",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"\*{2,}|(?<![^\s(\"'])\*(?=\S)|(?<=\S)\*(?![^\s.,:;!?)\"'])|(?<!\w)_{1,3}(?=[^\W_])|(?:(?<=[^\W_])|(?<=[.?!]))_{1,3}(?!\w)|^#+\s+|^>!?\s*"
    r"|`+"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A non-blank line: its span, where its text begins after "1." or "##" (`content`), its paragraph, and its
    shape."""

    start: int
    end: int
    content: int
    paragraph: int
    shape: Shape
    number: int = 0
    """Number of a numbered line."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span of the text; `bare` is its text without emphasis marks and list markers."""

    start: int
    end: int
    bare: str
    line: Line
    first: bool
    last: bool
    """`first`, `last`: True for the first and the last sentence of its line."""
    emphasised: bool = False
    """True if the whole sentence is bold or italic."""

    @property
    def alone(self) -> bool:
        """True if the sentence fills its line."""
        return self.first and self.last


def read_lines(text: str) -> Iterator[Line]:
    """Yields the non-blank lines of `text`."""
    at, paragraph, fenced, blank = 0, 0, False, False
    for raw in text.splitlines(keepends=True):
        start, end = at, at + len(raw.rstrip())
        at += len(raw)
        if not raw.strip():
            blank = True
            continue
        paragraph, blank = paragraph + blank, False
        is_fence = _FENCE.match(raw) is not None
        yield _line(text, start, end, paragraph, "fence" if is_fence else "code" if fenced else None)
        fenced = fenced != is_fence


def _line(text: str, start: int, end: int, paragraph: int, shape: Shape | None) -> Line:
    if shape is not None:
        return Line(start, end, start, paragraph, shape)
    if _RULE.fullmatch(text, start, end):
        return Line(start, end, start, paragraph, "rule")
    marker = _MARKER.match(text, start, end)
    content = marker.end() if marker else start + len(text[start:end]) - len(text[start:end].lstrip())
    if marker and marker.lastgroup and content < end:
        kind = marker.lastgroup
        number = int(re.sub(r"\D", "", marker[0])) if kind == "numbered" else 0
        return Line(start, end, content, paragraph, kind, number)  # pyright: ignore[reportArgumentType]
    if text[content] == "|" and text[start:end].count("|") > 1:
        return Line(start, end, content, paragraph, "table")
    for pattern, name in ((_BOLD, "bold"), (_QUOTED, "quoted")):
        if pattern.fullmatch(text, content, end):
            return Line(start, end, content, paragraph, name)  # pyright: ignore[reportArgumentType]
    return Line(start, end, content, paragraph, "plain")


def read_sentences(text: str) -> list[Sentence]:
    """Returns the sentences of `text`, line by line."""
    return [sentence for line in read_lines(text) for sentence in _of_line(text, line)]


def _of_line(text: str, line: Line) -> Iterator[Sentence]:
    cuts = [] if line.shape in ("rule", "fence", "code", "table") else list(_ends(text, line))
    bounds = [line.content, *cuts, line.end]
    spans = [(left, right) for left, right in pairwise(bounds) if text[left:right].strip()]
    for index, (left, right) in enumerate(spans):
        while text[left].isspace():
            left += 1
        start = line.start if index == 0 else left
        bare = _MARKUP.sub("", text[left:right]).strip()
        emphasised = _EMPHASISED.fullmatch(text[left:right].strip()) is not None
        yield Sentence(start, right, bare, line, index == 0, index == len(spans) - 1, emphasised)


def _ends(text: str, line: Line) -> Iterator[int]:
    last = next((at for at in range(line.end - 1, line.content, -1) if text[at].isalnum()), line.content)
    for end in _END.finditer(text, line.content, line.end):
        before = text[max(line.content, end.start() - 8) : end.start() + 1]
        quotes = end[0][-1] in "\"'”’»" and _GOES_ON.match(text, end.end(), line.end)
        if quotes or end.end() > last:
            continue  # '"Shall we trade?" asked Ron' and "Enjoy! :)" are single sentences
        if before in ("Q.", "q.") or not (
            text[end.start()] == "." and len(end[0].rstrip("*_\"'")) == 1 and _ABBREVIATION.search(before)
        ):
            yield end.end()
