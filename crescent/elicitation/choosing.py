"""Which parts of a response are its question.

In: parts with their roles. Out: the parts to keep, and whether something after the question was dropped. Within the
problem only labels are dropped.

    opening   greeting, lead, label, title, metadata: dropped up to the first sentence of the problem
    problem   kept completely, up to its end (`ending`)
    modified  if there is an original and a modified problem, the text begins after the label of the modified one
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crescent.elicitation import asking, problem_phrases
from crescent.elicitation.ending import end_of
from crescent.elicitation.kinship import is_foreign
from crescent.elicitation.roles import Part, Role, is_capitalised
from crescent.elicitation.talk import counts
from crescent.elicitation.words import content_words

OPENING: frozenset[Role] = frozenset(
    ("greeting", "lead", "question", "original", "modified", "next", "title", "metadata", "rule", "refusal", "request",
     "making", "about", "turn", "offer", "thinking", "solution", "comment", "answer", "farewell")
)  # fmt: skip
LABELS: frozenset[Role] = frozenset(("question", "original", "modified"))
LEFT_HANGING: frozenset[Role] = LABELS.union(frozenset[Role](("note", "rule", "choices", "title", "lead")))
MIN_HEADING = 3  # words; "Store A:" is not a heading
MAX_RUN_UP = 4  # sentences
MAX_ASIDE = 16  # words
_WORDS_THAT_CONTRAST = ("after", "new", "updated", "changed", "now")


@dataclass(frozen=True, slots=True)
class Choice:
    """The parts to keep, in order, and whether parts after them were dropped."""

    parts: tuple[Part, ...]
    ended: bool


def choose(parts: Sequence[Part]) -> Choice:
    """Returns the parts of the question; none if no part is text."""
    parts = _with_a_question(parts)
    body = _without_opening(parts[_start(parts) :])
    kept = list(body[: end_of(body)])
    while kept and kept[-1].role in LEFT_HANGING:
        kept.pop()
    return Choice(tuple(part for part in kept if part.role not in LABELS), len(kept) < len(body))


def _with_a_question(parts: Sequence[Part]) -> Sequence[Part]:
    """If only talk asks, the talk becomes the question: "I have 3 cats and 2 dogs ... Can you solve it?"."""
    if any(part.role == "text" and part.asks for part in parts):
        return parts
    first = next((part for part in parts if part.role not in OPENING - {"solution"}), None)
    if first is not None and first.role == "solution" and first.bare.casefold().startswith("solve"):
        return [replace(part, role="text", asks=True) if part is first else part for part in parts]  # "Solve: 2x = 6"
    facts = [index for index, part in enumerate(parts) if part.role == "text" and asking.has_number(part.bare)]
    for index, part in enumerate(parts):
        if facts and index > facts[0] and part.role == "farewell" and part.asks:
            opens = part.bare.casefold().startswith(("can you", "could you"))
            return [*parts[:index], replace(part, role="text"), *parts[index + 1 :]] if opens else parts
    return parts


def _start(parts: Sequence[Part]) -> int:
    """Index where the modified problem begins, if there is one; else 0."""
    original = next((index for index, part in enumerate(parts) if part.role == "original"), len(parts))
    marks: list[int] = []
    asked = texted = False
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if part.role in ("answer", "solution"):
            asked = False  # what asks in a solution is not a problem
        elif part.role in ("modified", "lead"):
            second = original < index and (asked or (texted and part.role == "modified"))
            if second or (asked and part.role == "modified"):
                marks.append(index)
        texted = texted or part.role == "text"
        asked = asked or (part.role == "text" and part.asks)
    for mark in marks:
        contrasts = parts[mark].bare.strip(" :*_").casefold() in _WORDS_THAT_CONTRAST
        if not contrasts or original < mark:
            return mark + 1
    return 0


def _without_opening(parts: Sequence[Part]) -> Sequence[Part]:
    """The parts from the first one that belongs to the problem."""
    words = content_words(part.bare for part in parts if part.role == "text" and (part.asks or counts(part.bare)))
    for index, part in enumerate(parts):
        if _is_heading(parts, index):
            continue
        aside = _is_aside(part, words) and _ends_paragraph(parts, index)
        if part.role not in OPENING and not aside and not _is_announced(parts, index):
            return parts[index:]
        if part.role in OPENING and _states_something(part):
            return parts[index:]
    return parts[len(parts) :]


def _states_something(part: Part) -> bool:
    """True if the problem begins here despite the role: "The questions of a quiz come in three rounds: ...", "The
    answer to a sum is 48.", "Solution 1: 30 % acid"."""
    if part.role == "answer" and not part.bare.endswith((":", "：")) and counts(part.bare):
        return True
    if part.role in ("solution", "answer", "comment"):
        return part.number > 0 and not part.sentence.last
    if part.role == "farewell" and part.bare.casefold().startswith("thank"):
        return True  # "Thank you for shopping at Bob's! Your bill shows ..."
    speaks_of_text = problem_phrases.NAMES_PROBLEM.search(part.bare) or problem_phrases.NAMES_TEXT.search(part.bare)
    return part.role in ("about", "farewell") and (counts(part.bare) or (part.role == "about" and not speaks_of_text))


def _is_heading(parts: Sequence[Part], index: int) -> bool:
    """True if the text at `index` is the problem's only heading: "**The Lost Wallet:** Tom has ..."."""
    bare = parts[index].bare
    if not _is_head(parts[index]) or len(bare.split()) < MIN_HEADING or not is_capitalised(bare):
        return False
    return sum(map(_is_head, parts)) == 1


def _is_head(part: Part) -> bool:
    return part.role == "text" and part.sentence.emphasised and part.bare.endswith(":")


def _ends_paragraph(parts: Sequence[Part], index: int) -> bool:
    if index + 1 == len(parts):
        return False
    return parts[index + 1].sentence.line.paragraph != parts[index].sentence.line.paragraph


def _is_announced(parts: Sequence[Part], index: int) -> bool:
    """True if the text at `index` only prepares a lead: "I see! Let me think. Here is a problem:"."""
    for part in parts[index : index + MAX_RUN_UP]:
        if part.role == "lead":
            return True
        if part.role not in ("text", "greeting", "making", "about", "offer") or part.asks or counts(part.bare):
            return False
    return False


def _is_aside(part: Part, words: frozenset[str]) -> bool:
    """True if a text before the problem has nothing to do with it: "This will be fun!"."""
    brief = part.sentence.alone and len(part.bare.split()) <= MAX_ASIDE
    return bool(words) and part.role == "text" and not part.asks and brief and is_foreign(part.bare, words)
