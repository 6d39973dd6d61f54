"""The question inside what a chat model wrote, or why there is none.

In: one completion of a bait or modify prompt. Out: a `Cleaned`: every character of the question as it was written ($,
%, quotes, line breaks), without the chatter around it; or the named reason why it is not used. Knows no domain: a word
problem and a riddle are cleaned alike. Cleaning what was cleaned changes nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal

Reason = Literal["ok", "empty", "refusal", "cut off", "unfinished", "too short", "too long", "no question"]

_KIND = (
    r"(?:math(?:ematic(?:s|al))?|word|logic|story|algebra|geometry|reasoning|new|modified|unique|revised|rewritten"
    r"|creative)"
)
_NOUN = r"(?:problem|question|puzzle|riddle|version|one|challenge|scenario|rewrite)"
# "Sure! Here is a unique math word problem:" · "Of course, I'd be happy to help!" · "Certainly."
_GREETING = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|great|okay|ok|alright|no problem)\b[^\w\n]{0,6}\s*)"
    r"(?=$|\n|here\b|below\b|i\b|i'|let\b)"
    r"|i(?:'d| would)(?: be (?:happy|glad)| love) to (?:help|assist|create|do)[^\n:!.?]{0,120}[:!.]\s*"
    r"|(?:here(?:'s|’s| is| are| it is| you go)|below is|this is"
    r"|i(?:'ve|’ve| have) (?:created|modified|written|rewritten)"
    rf"|let me [a-z]+)\b[^\n:?]{{0,160}}?(?:{_NOUN}\b[^\n:?]{{0,120}})?:\s*(?=\S|$)"
    rf"|here(?:'s|’s| is)\b[^\n:?.!]{{0,120}}\b{_NOUN}\b[^\n:?.!]{{0,80}}[.!]?\s*(?=\n|$)",
    re.IGNORECASE,
)
# "**Problem:**" · "Question 3:" · "### Modified problem" · "Math Word Problem -"
_LABEL = re.compile(
    rf"[#>*_\s]*(?:the\s+)?(?:{_KIND}\s+){{0,3}}{_NOUN}(?:\s+\#?\d{{1,3}})?(?:\s*\([^()\n]{{0,40}}\))?"
    r"(?:\s*[*_]{0,3}\s*:\s*[*_]{0,3}\s*|\s*[*_]{1,3}\s*(?:\n|$)|(?<=\w)\s*\n)",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"(?:title:[^\n]*|\#{1,6}\s[^\n?]{1,100}|\*\*[^*\n?]{1,100}\*\*|__[^_\n?]{1,100}__)\s*\n", re.IGNORECASE
)
_FENCE = re.compile(r"```[A-Za-z]{0,12}\n")
_PAIRS = (('"', '"'), ("“", "”"), ("'", "'"), ("`", "`"), ("**", "**"), ("«", "»"))
# Where the question is over: "Answer: 12" · "**Solution:**" · "Let me know if ..." · "(Note: ...)" · "---"
_TAIL = re.compile(
    r"\n\s{0,8}(?:[-*_]{3,}\s{0,8}(?=\n|$)"
    r"|[#>*_(\s]{0,8}(?:(?:final |correct |sample |possible )?"
    r"(?:answer|solution|explanation|hint|rationale|notes?|p\.?s\.?)"
    r"(?:\s+key)?[*_]{0,3}\s*[:*]|(?:answer|solution)[*_]{0,3}\s*\n)"
    r"|[*_(]{0,3}(?:let me know|i hope|hope (?:this|that|you)|please let me know|feel free|can you solve"
    r"|good luck|have fun|would you like|is this what you|i(?:'ve|’ve| have)? (?:changed|modified|replaced|made)"
    r"|this (?:modified |new |revised )?(?:problem|question|puzzle|version)"
    r" (?:is|requires|has|tests|involves|uses|changes|can))\b)",
    re.IGNORECASE,
)
_TAIL_INLINE = re.compile(
    r"(?<=[?.!])\s+(?:(?:let me know|i hope this|hope this|feel free to)\b[^\n]*|(?:answer|solution):[^\n]*)$",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\W*(?:(?:i(?:'m| am) sorry|i apologi[sz]e|sorry|unfortunately)\b[^\n]{0,80}?)?"
    r"\b(?:i (?:cannot|can't|can’t|am unable|am not able|won't|do not feel)|i'm (?:unable|not able)|as an ai\b"
    r"|it is not (?:appropriate|possible) (?:for me )?to)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"[?？؟]"
    r"|\b(?:how (?:many|much|long|far|old|often|tall)|(?:wonder\w*|know|tell|find out) (?:what|how|who|which|where))\b"
    r"|(?:^|[.!:;]\s+|\n\s{0,8}|, )(?:(?:at|in|on|by|to|for|of) )?(?:what|whose)\b"
    r"|(?:^|[.!:;]\s+|\n\s{0,8})(?:who|which|where|when|why)\b"
    r"|(?:^|[.!:;,]\s+|\n\s{0,8}|\b(?:please|and|then|to|must|should) )(?:find|calculate|determine|compute|solve"
    r"|evaluate|name|express|prove|show|figure out|work out|estimate|identify|write|give|simplify|choose|decide|list"
    r"|state|arrange)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`question` is None unless `reason` is "ok"."""

    question: str | None
    reason: Reason


def clean_question(
    text: str, finish_reason: str = "stop", min_characters: int = 20, max_characters: int = 2000
) -> Cleaned:
    """The question in `text`, or why there is none.

    `finish_reason` "length" means that the engine stopped the model in mid-sentence: "cut off", unless the question was
    complete and only what came after it was cut. Any other than "stop" is "unfinished". Raises ValueError for limits
    that nothing can meet.
    """
    if not 0 < min_characters <= max_characters:
        raise ValueError(f"min_characters={min_characters} must lie between 1 and max_characters={max_characters}")
    if finish_reason not in ("stop", "length"):  # the engine gave up: abort, content_filter, error, ...
        return Cleaned(None, "unfinished")
    question, ended = strip_chatter(text)
    if not any(map(str.isalnum, question)):
        return Cleaned(None, "empty")
    if _REFUSAL.match(question):
        return Cleaned(None, "refusal")
    if finish_reason == "length" and not ended:
        return Cleaned(None, "cut off")
    if not min_characters <= len(question) <= max_characters:
        return Cleaned(None, "too short" if len(question) < min_characters else "too long")
    return Cleaned(question, "ok") if _ASKS.search(question) else Cleaned(None, "no question")


def strip_chatter(text: str) -> tuple[str, bool]:
    """`text` without what surrounds its question, and whether something after the question was taken off."""
    ended, before = False, None
    while text != before:
        before = text
        text, tail = _without_tail(_without_head(text.strip()))
        text, ended = _unwrapped(text), ended or tail
    return text, ended


def _without_head(text: str) -> str:
    """Greetings, labels and titles off the front. A title goes only if a question follows it."""
    at, before = 0, -1
    while at != before:
        before = at
        for pattern in (_GREETING, _LABEL, _TITLE):
            found = pattern.match(text, at)
            if found and (pattern is not _TITLE or _ASKS.search(text, found.end())):
                at = found.end()
                break
    return text[at:].lstrip()


def _without_tail(text: str) -> tuple[str, bool]:
    """Answers, solutions, notes and farewells off the end: the first after something was asked, and all behind it."""
    asked = _ASKS.search(text)
    found = [pattern.search(text, asked.end()) for pattern in (_TAIL, _TAIL_INLINE)] if asked else []
    starts = [tail.start() for tail in found if tail]
    return (text[: min(starts)].rstrip(), True) if starts else (text, False)


def _unwrapped(text: str) -> str:
    """Quotes, backticks, bold or a code fence off a text that is all inside one pair of them."""
    fence = _FENCE.match(text)
    if fence and text.endswith("```") and text.count("```") == 2:
        return text[fence.end() : -3].strip()
    for left, right in _PAIRS:
        inside = text[len(left) : -len(right)]
        around = len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right)
        if around and left not in inside and right not in inside:
            return inside.strip()
    return text
