"""Where a response says "this is my answer": the marks that commit it, and the text each of them points to.

In: text that `plain` has been through. Out: `Commitment`s in order; the last that holds an answer of the kind asked for
wins. Which answer that is depends on the kind and is not decided here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Mark = Literal["hashes", "boxed", "tag", "phrase", "label"]

_ANSWER = re.compile(
    r"(?:answers?|ans)\b(?:[\s*_\"'`)]{0,4}(?:\([^()\n]{0,40}\)[\s*_]{0,3})?(?P<label>[:=])"
    r"|(?P<heading>[*_]{0,3}[ ]{0,3}\n\s{0,4}(?=[-*_$€£\\]{0,4}\d))"
    r"|[^\n.:=?!]{0,80}?\b(?:is|was|equals|would be|should be|will be|must be|comes? (?:out )?to)\b"
    r"(?!\s+(?:not|based|found|obtained|given|calculated|derived|correct|incorrect|wrong|right)\b)\s?:?)",
    re.IGNORECASE,
)
_HASHES = re.compile(
    r"\#+(?!\#|\s*(?:step|part|problem|question|case|method|solution|explanation|example|note)\b"
    r"|[ ]*\d{1,2}[.)][ ]+[A-Z*][^\n]*\n\s*\S)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z]+[*_]{0,3}:", re.IGNORECASE)
_BOXED = re.compile(r"boxed\s*\{")
_TAG = re.compile(r"<answer>", re.IGNORECASE)
# What is looked for in the lower-cased text (fast), and the pattern that then decides there:
# "#### 5" · "\\boxed{5}" · "<answer>5" · "The answer to the question is: 5" · '"answer": 5' · "A: 5" on a line
_MARKS: tuple[tuple[str, Mark, re.Pattern[str]], ...] = (
    ("###", "hashes", _HASHES),
    ("boxed", "boxed", _BOXED),
    ("<answer>", "tag", _TAG),
    ("answer", "phrase", _ANSWER),
    ("ans:", "phrase", _ANSWER),
    ("a:", "label", _LABEL),
    ("a**:", "label", _LABEL),
    ("result:", "label", _LABEL),
    ("conclusion:", "label", _LABEL),
)
_LINE_START = re.compile(r"[\s*_>-]*(?:final )?", re.IGNORECASE)
# A base model that was shown examples goes on to ask itself the next question.
_NEXT_TURN = re.compile(
    r"\n\s{0,8}(?:\#{2,6}\s?)?(?:question|q|problem|human|user|instruction|input)\s?:|\[INST\]|<\|[a-z_]+\|>|</s>|</answer>",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:wait|correction|oops|actually|scratch that|on second thought|(?:i|we) made an? (?:mistake|error)|my mistake"
    r"|let me (?:re-?\s?(?:check|calculate|compute|do|think|consider)|correct)|apologi[sz]e|sorry)\b",
    re.IGNORECASE,
)
_LEAD = re.compile(r"(?:\$\$|[\s*_>:\"'`=])*")
_LONGEST = 400  # characters in which a mark holds its answer, so that no text costs more than linear time
_MOST_MARKS = 32  # only the last ones can matter
_SENTENCE_END = re.compile(
    r"[.!?\n](?:(?<=\n)|(?=[\s*\"')\]]|$)(?<!\bmr.)(?<!\bmrs.)(?<!\bms.)(?<!\bdr.)(?<!\bst.)(?<!\brs.)(?<!approx.))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Commitment:
    """One mark: its answer starts at `start` and lies before `end`, the end of its sentence, line or braces."""

    mark: Mark
    start: int
    end: int


def commitments(text: str) -> list[Commitment]:
    """Every commitment of `text`, in order; headings such as "### Step 2" are none.

    Nothing counts from where the response, having answered, goes on to ask another question.
    """
    lowered = text.lower()
    if len(lowered) != len(text):  # no character that `plain` lets through grows; a caller's text may hold one
        lowered = text
    found = sorted(_places(text, lowered))
    if not found:
        return []
    turn = _NEXT_TURN.search(text, found[0][1])
    text = text[: turn.start()] if turn else text
    found = [place for place in found if place[0] < len(text)][-_MOST_MARKS:]
    return [_pointed_at(text, mark, end) for _, end, mark in found]


def _places(text: str, lowered: str) -> Iterator[tuple[int, int, Mark]]:
    """Where each mark stands: (start, end, mark)."""
    for literal, mark, pattern in _MARKS:
        at = lowered.find(literal)
        while at >= 0:
            found = pattern.match(text, at) if _may_stand(text, at, mark) else None
            if found:
                label = mark == "phrase" and (found["label"] or found["heading"])
                yield at, found.end(), "label" if label else mark
            at = lowered.find(literal, max(found.end() if found else 0, at + len(literal)))


def _may_stand(text: str, at: int, mark: Mark) -> bool:
    before = text[at - 1 : at]
    if mark == "boxed":
        return before == "\\" or text[max(0, at - 2) : at] == "\\f"
    if mark == "hashes":
        return before != "#"
    if mark == "phrase":
        return not before.isalnum()
    if mark == "label":
        line = text.rfind("\n", max(0, at - 16), at) + 1
        return (line > 0 or at < 16) and _LINE_START.fullmatch(text, line, at) is not None
    return True


def _pointed_at(text: str, mark: Mark, start: int) -> Commitment:
    """The braces, the rest of the sentence or line, or the next line that holds something: "Final answer:\\n\\n18"."""
    if mark == "boxed":
        return Commitment(mark, start, _closing_brace(text, start))
    lead = _LEAD.match(text, start)
    begin = lead.end() if lead else start
    if mark == "phrase":
        return Commitment(mark, begin, sentence_end(text, begin))
    limit = min(len(text), begin + _LONGEST)
    end = text.find("\n", begin, limit)
    return Commitment(mark, begin, end if end >= 0 else limit)


def correction_after(text: str, start: int) -> int | None:
    """Where the response takes back what it said before `start`, if it does."""
    found = _CORRECTION.search(text, start)
    return found.end() if found else None


def sentence_end(text: str, start: int) -> int:
    """Where the sentence or line that `start` is in ends; at most `_LONGEST` characters on."""
    limit = min(len(text), start + _LONGEST)
    found = _SENTENCE_END.search(text, start, limit)
    return found.start() if found else limit


def _closing_brace(text: str, start: int) -> int:
    depth, limit = 1, min(len(text), start + _LONGEST)
    for at in range(start, limit):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return limit
