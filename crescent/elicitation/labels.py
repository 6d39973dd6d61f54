"""Labels: "**Problem 2:**", "Original question:", "Answer:", "Difficulty:", and what each of them introduces.

In: one sentence. Out: its `Label`, if all of its words occur in labels (`vocabulary`): "Original price:" is not a
label.
"""

import re
from dataclasses import dataclass
from typing import Literal

from crescent.elicitation import vocabulary as words
from crescent.elicitation.sentences import Sentence

Kind = Literal[
    "question", "original", "modified", "next", "answer", "solution", "comment", "metadata", "title", "turn", "note",
    "choices",
]  # fmt: skip

_EDGES = " \t→➡️:：.-–—()[]{}<>\"'“”*_#/=|"
_WORD = re.compile(r"[^\s()\[\],/&|\"“”#:：=–—-]+(?:-[a-z]+)*")
_INDEX = re.compile(r"#?(?:\d{1,3}(?:\.\d{1,2})*|[ivx]{1,4}|[a-h])\.?", re.IGNORECASE)
_JOINED_INDEX = re.compile(r"(q|question|problem|puzzle|step|exercise|问题|题目|题|例题|例)(\d{1,3})\.?", re.IGNORECASE)
_DASH = re.compile(r"(?P<label>[^\n:]{1,60}?)\s[-–—]\s(?P<rest>\S[^\n]*)")
_COURSE = re.compile(r"(?:grade|level|class|year|unit|chapter|lesson) \d{1,2}", re.IGNORECASE)  # "Grade 9 - Algebra"
_TAG = re.compile(r"</?([a-z]{2,20})>", re.IGNORECASE)
MAX_WORDS = 9
_ALONE = (
    {"alternatively", "bonus", "follow-up", "extension"}
    | words.ORIGINAL - {"given", "initial", "previous", "source", "earlier"}
    | (words.MODIFIED - {"different", "modification", "rewrite", "revision", "edited"})
)
_LIKE_PROBLEM = words.PROBLEM | words.SET_UP | words.BESIDE | words.ORIGINAL | words.MODIFIED | words.NEXT
_LIKE_ANSWER = (
    words.ANSWER
    | words.SOLUTION
    | words.PROBLEM
    | words.BESIDE
    | {"to", "solve", "correct", "key", "sample", "expected"}
)
_LIKE_COMMENT = words.COMMENT | words.SOLUTION | words.PROBLEM | words.BESIDE | words.MODIFIED | words.ORIGINAL | {
    "of", "made", "between", "two", "in", "key", "what", "was", "were", "and",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """What the label introduces, its number (0: none), and the rest of its line ("Problem - The Ladder")."""

    kind: Kind
    number: int = 0
    rest: str = ""


def read_label(sentence: Sentence) -> Label | None:
    """Returns the label if `sentence` is one."""
    bare = sentence.bare
    tag = _TAG.match(bare)
    label = _named([tag[1].casefold()], 0) if tag else None
    if tag and (tag.end() == len(bare) or (label and label.kind != "question")):
        return label
    if sentence.first and sentence.last and not bare.endswith((":", "：")):
        dash = _DASH.fullmatch(bare)
        label = _words(dash["label"]) if dash else None
        if dash and label is None and _COURSE.fullmatch(dash["label"]):
            return Label("title")
        if dash and label is not None and label.kind in ("question", "original", "modified"):
            return Label(label.kind, label.number, dash["rest"])
    label = _words(bare) if _is_marked(sentence) else None
    if label is None and bare.endswith(":") and (sentence.emphasised or sentence.line.shape == "heading"):
        return Label("question") if is_difficulty(bare) else None
    return label


def is_difficulty(text: str) -> bool:
    """True for "Easy:" and the like: each of several problems has such a label."""
    return text.endswith(":") and {word.strip(_EDGES).casefold() for word in _WORD.findall(text)} <= words.DIFFICULTY


def _is_marked(sentence: Sentence) -> bool:
    """True if the sentence has the form of a label: a colon, a line of its own, "Q1."."""
    bare = sentence.bare
    if bare.rstrip(" )]").endswith((":", "：")):
        return True
    if sentence.first and _JOINED_INDEX.fullmatch(bare):
        return True
    if bare.endswith((".", "。")):
        return sentence.first and (len(bare.split()) == 1 or any(map(str.isdigit, bare)))
    return sentence.alone and not bare.endswith(("?", "!", ",", ";"))


def _words(text: str) -> Label | None:
    found = [word.strip(_EDGES).casefold() for word in _WORD.findall(text[:120].replace("’", "'"))]
    found = [word for word in found if any(map(str.isalnum, word))]
    joined = [_JOINED_INDEX.fullmatch(word) for word in found]
    number = next((int(word) for word in found if word.isdecimal() and len(word) < 4), 0)
    number = number or next((int(match[2]) for match in joined if match), 0)
    parts = [match[1] if match else word for word, match in zip(found, joined, strict=True)]
    if parts == ["a"] and not text.rstrip().endswith((":", "：")):
        return None
    named = [word for word in parts if len(parts) == 1 or word == "a" or not _INDEX.fullmatch(word)]
    if named == ["a"] != parts:
        return None
    return _named(named, number) if 0 < len(named) <= MAX_WORDS and len(text) <= 100 else None


def _named(found: list[str], number: int) -> Label | None:
    kind = _kind(frozenset(found))
    if kind == "metadata" and number:
        return None  # not metadata: "Source 1:", "Level 2:"
    return Label(kind, number) if kind else None


def _kind(found: frozenset[str]) -> Kind | None:
    has, within = found.intersection, found.issubset
    if within(words.TURN):
        return "turn"
    if within(words.NOTE | words.BESIDE) and has(words.NOTE):
        return "note"
    if has(words.CHOICES) and within(words.CHOICES | _LIKE_ANSWER):
        return "choices"
    if has(words.TITLE) and within(words.TITLE | words.PROBLEM | words.BESIDE):
        return "title"
    if has(words.COMMENT) and within(_LIKE_COMMENT) and found != {"a", "thought"}:
        return "comment"
    if has({"age"}) and has({"group", "range"}) and within(words.BESIDE_META):
        return "metadata"
    if has(words.META - {"level"} if has(words.PROBLEM) else words.META) and within(words.META | words.BESIDE_META):
        return "metadata"
    if found == {"solve"} or (within(_LIKE_ANSWER) and has(words.SOLUTION)):
        return "solution"
    if within(_LIKE_ANSWER) and (has(words.ANSWER) or found == {"a"}):
        return "answer"
    return _kind_of_problem(found)


def _kind_of_problem(found: frozenset[str]) -> Kind | None:
    if not found <= _LIKE_PROBLEM or not (found & (words.PROBLEM | words.SET_UP) or found & _ALONE):
        return None
    if found & words.ORIGINAL:
        return "original"
    if found & words.MODIFIED:
        return "modified"
    return "next" if found & words.NEXT else "question"
