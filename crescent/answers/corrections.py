"""Which commitment of a response is final, and whether later text retracts it.

Text that restates, verifies or explains an answer ("Let me check: 12 * 3 = 36"), bounds it ("must be more than 12") or
is about another case ("if she had bought 4, the answer would be 19") does not replace it. A correction does: "Oh wait,
...".
"""

import re

from crescent.answers.commitments import Commitment

_TURNS = re.compile(
    r"(?:^|[.!?:;\n—–)]\s*|\s-\s)[\s*_\"'(]*(?:oh,? |but |hmm+,? )?(?:wait|hmm+|no|oops|sorry|actually"
    r"|correction|scratch that"
    r"|on second thought|hold on|my mistake|(?:i|we) made an? (?:mistake|error)|that(?:'s| is"
    r"| was) (?:wrong|incorrect|not right)"
    r"|let me (?:re-?\s?(?:calculate|compute|do|think|consider)|correct)|apologi[sz]e|apologies)\b"
    r"(?=\s*[,.!:;…—-]|\s+(?:i|we|it|that(?!\s+was too)|this|there|the|so|no|wait|let|though|because)\b)",
    re.IGNORECASE,
)
_VERIFIES = re.compile(
    r"\b(?:verif\w+|check\w*|confirm\w*|make sure|making sure|match(?:es)?|follows from|is clear from"
    r"|holds|it works|is that right"
    r"|is right|is correct|correct!|consistent|plugging)\b",
    re.IGNORECASE,
)
_RETRACTS = re.compile(
    r"\b(?:wrong|mistake|incorrect|error|forg[eo]ts?|forgotten|misread|not right|leaves out|twice"
    r"|too\b(?! (?:brief|short))|should be"
    r"|instead|missed|overlooked|so (?:it|the|there|she|he|they|we)\b[^.\n]{0,40}\b(?:is|are|pays?|has|have)\b)",
    re.IGNORECASE,
)
_FACT = re.compile(r"[=]|\b(?:is|are|so|therefore|there)\b", re.IGNORECASE)
_OTHER_CASE = re.compile(
    r"\b(?:if|had|were|suppose|assuming|in case|without)\b[^.!?\n]*$|\bsuppose\b[^\n]*$", re.IGNORECASE
)
_WOULD = re.compile(r"\b(?:would|might|could) be\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:this|your|that|wrong|incorrect|another|old|previous|earlier|intermediate)\s+$", re.IGNORECASE
)
_BOUND = re.compile(
    r"[\s*]*(?:(?:still|always|certainly|definitely|a number|something) )?(?:more|less|greater|fewer"
    r"|larger|smaller|bigger|higher|lower|at least|at most|no (?:more|less)|between|under|over"
    r"|above|below|even\b|odd\b|an? (?:whole|even|odd|integer|positive|negative|two-digit|multiple)"
    r"|divisible|close to|near\b|positive|[<>≤≥])",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:but(?: rather)?|it(?:'s|’s| is)(?! not)|rather|instead|is)\b\s*:?", re.IGNORECASE)
_LOOKED_BACK = 240


def is_another_case(text: str, one: Commitment) -> bool:
    """True for "If she had bought 4, the answer would be 19": correct in another case only."""
    return one.mark == "phrase" and bool(
        _WOULD.search(text, one.at, one.start) and _OTHER_CASE.search(text[max(0, one.at - _LOOKED_BACK) : one.at])
    )


def is_about_the_answer(text: str, one: Commitment) -> bool:
    """True for "This answer equals 3 times 5" and "a common wrong answer is 16", which mention an answer but give
    none."""
    return one.mark == "phrase" and bool(_ABOUT.search(text, max(0, one.at - 16), one.at))


def is_bound(text: str, one: Commitment) -> bool:
    """True for "The answer must be more than 12." """
    return one.mark == "phrase" and bool(_BOUND.match(text, one.start, one.end))


def after_negation(text: str, start: int, end: int) -> int | None:
    """Where "The answer isn't 12, it's 15" gives the answer; None if it does not."""
    found = _INSTEAD.search(text, start, min(len(text), end + 80))
    return found.end() if found else None


def corrected_from(text: str, start: int) -> int | None:
    """Where, after an answer that ends at `start`, the response begins to retract it; None if it never does."""
    for turn in _TURNS.finditer(text, start):
        rest = text[turn.end() : turn.end() + 600]
        if not any(map(str.isdigit, rest)):
            continue
        if _VERIFIES.search(rest) and not _RETRACTS.search(turn[0] + rest):
            continue
        if turn[0].lower().strip(" .!?\n*(,").startswith("actually") and re.match(
            r",? (?:this|we|you|it also)\b", rest
        ):
            continue
        return turn.end()
    return None
