"""Extracts the question from what a chat model wrote, or the reason why there is none.

In: one completion of a bait or modify prompt. Out: a `Cleaned`: the question as written, with every fact but without
its surroundings; or a named reason for rejecting it. Independent of any domain. Cleaning is idempotent, because a text
is read until it no longer changes.

    thoughts -> first turn -> wrapping -> sentences -> roles -> choice -> checks
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crescent.answers.thoughts import split_thoughts
from crescent.core.errors import UserError
from crescent.elicitation.choosing import choose
from crescent.elicitation.problem_phrases import NAMES_PROBLEM, SPEAKS_OF_WORD_PROBLEMS
from crescent.elicitation.repetition import repeats_itself
from crescent.elicitation.roles import Part, read_parts
from crescent.elicitation.sentences import read_sentences
from crescent.elicitation.talk import counts, speaks_of_a_task
from crescent.elicitation.turns import first_turn
from crescent.elicitation.wrapping import unwrapped, without_half_a_pair

Reason = Literal[
    "ok",
    "empty",
    "thought",
    "unclosed thought",
    "refusal",
    "no problem stated",
    "cut off",
    "unfinished",
    "too short",
    "too long",
    "repetition",
    "no question",
]
MAX_READINGS = 12  # a text with more layers of wrapping is not a question
WIDE = 3  # one Chinese character or one digit counts as this many letters
THIN = 120  # letters


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`question` is None unless `reason` is "ok"."""

    question: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Reading:
    """The remaining text, whether something after the question was removed, and the reason to reject it, if any."""

    text: str
    ended: bool
    against: Reason | None = None


def clean_question(
    text: str, finish_reason: str = "stop", min_characters: int = 20, max_characters: int = 2000
) -> Cleaned:
    """Returns the question in `text`, or the reason why there is none.

    `finish_reason` "length" means that the engine stopped the model midway: "cut off", unless the question was complete
    and only text after it was cut. Any other reason than "stop" gives "unfinished": the engine gave up. A Chinese
    character and a digit count as three towards `min_characters`. Raises UserError for limits that nothing can meet.
    """
    if not 0 < min_characters <= max_characters:
        raise UserError(f"min_characters={min_characters} must be between 1 and max_characters={max_characters}")
    if finish_reason not in ("stop", "length"):  # abort, content_filter, error, ...
        return Cleaned(None, "unfinished")
    written = split_thoughts(text)
    if written.is_open:
        return Cleaned(None, "unclosed thought")
    if not written.answer.strip() and text.strip():
        return Cleaned(None, "thought")
    reading = _read(written.answer)
    against = reading.against
    if against == "no question" and finish_reason == "length":
        against = "cut off"
    reason = against or _objection(reading, finish_reason, min_characters, max_characters)
    return Cleaned(None, reason) if reason else Cleaned(reading.text, "ok")


def _objection(reading: _Reading, finish_reason: str, min_characters: int, max_characters: int) -> Reason | None:
    """Why a text that reads as a question is rejected."""
    if finish_reason == "length" and not reading.ended:
        return "cut off"
    if _measure(reading.text) < min_characters:
        return "too short"
    if len(reading.text) > max_characters:
        return "too long"
    return "repetition" if repeats_itself(reading.text) else None


def _read(text: str) -> _Reading:
    """Reads `text` repeatedly until nothing more is removed."""
    text, ended = text.strip(), False
    for _ in range(MAX_READINGS):
        reading = _read_once(text)
        ended = ended or reading.ended
        if reading.against or reading.text == text:
            return _Reading(reading.text, ended, reading.against)
        text = reading.text
    return _Reading(text, ended, "no question")


def _read_once(text: str) -> _Reading:
    turn, cut = first_turn(text)
    inside = unwrapped(turn)
    if inside != text:
        return _Reading(inside, cut)
    parts = read_parts(read_sentences(text))
    choice = choose(parts)
    against = _against(parts, choice.parts)
    question = _joined(text, choice.parts)
    return _Reading(without_half_a_pair(question) if question != text else text, choice.ended, against)


def _against(parts: Sequence[Part], kept: Sequence[Part]) -> Reason | None:
    """The reason to reject a question: nobody asks, or the model asks or talks instead of stating a problem."""
    roles = {part.role for part in parts}
    texts = [part for part in kept if part.role == "text"]
    numbers = any(counts(part.bare) for part in texts)
    few = sum(_measure(part.bare) for part in texts) < THIN
    if "refusal" in roles and not numbers:
        return "refusal"
    if "thinking" in roles and not numbers:
        return "thought"
    if roles & {"request", "making"} and not numbers and few:
        return "no problem stated"
    if not any(any(map(str.isalnum, part.bare)) for part in texts):
        return "no problem stated" if roles & {"farewell", "about", "request", "making"} else "empty"
    said = [part.bare for part in texts]
    asked = [part.bare for part in texts if part.asks]
    if any(SPEAKS_OF_WORD_PROBLEMS.search(text) for text in said):
        return "no problem stated"
    if asked and not numbers and not few and not any("?" in text for text in asked):
        few = all(NAMES_PROBLEM.search(text) for text in asked)  # "Instead of steps to solve the problem, ..."
    if asked and few and not numbers and all(speaks_of_a_task(text, said) for text in asked):
        return "no problem stated"
    if not asked:
        return "no problem stated" if roles & {"request", "making"} else "no question"
    return None


def _joined(text: str, parts: Sequence[Part]) -> str:
    """The parts as they occur in `text`, with a blank line where parts between two paragraphs were removed."""
    pieces: list[str] = []
    for index, part in enumerate(parts):
        sentence = part.sentence
        if index:
            before = parts[index - 1].sentence
            gap = text[before.end : sentence.start]
            same = before.line.paragraph == sentence.line.paragraph
            pieces.append(
                gap if not gap.strip() else "\n\n" if not same else "\n" if before.line != sentence.line else " "
            )
        pieces.append(text[sentence.start : sentence.end])
    return "".join(pieces).strip()


def _measure(text: str) -> int:
    """Length of `text` in letters of an alphabet."""
    return sum(WIDE if letter.isdigit() or unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
