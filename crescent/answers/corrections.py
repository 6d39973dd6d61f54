"""Which commitment of a response is final, and whether later text retracts it.

Text that restates, verifies or explains an answer ("Let me check: 12 * 3 = 36"), bounds it ("must be more than 12") or
is about another case ("if she had bought 4, the answer would be 19") does not replace it. A correction does: "Oh wait,
...".
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from crescent.answers.commitments import Commitment, commitments

_TURNS = re.compile(
    r"(?:^|[.!?:;\n—–)]\s*|\s-\s)[\s*_\"'(]*(?:oh,? |but |hmm+,? )?(?:wait|hmm+|no|oops|sorry|actually"
    r"|correction|scratch that"
    r"|on second thought|hold on|my mistake|(?:i|we) made an? (?:mistake|error)|that(?:'s| is"
    r"| was) (?:wrong|incorrect|not right)"
    r"|let me (?:re-?\s?(?:calculate|compute|do|think|consider)|correct)|apologi[sz]e|apologies)\b"
    r"(?=\s*[,.!:;…—-]|\s+(?:i|we|it|that(?!\s+was too)|this|there|the|so|no|wait|let|though|because)\b)"
    r"|[.,;(]\s*(?:i mean|or rather|make that|actually|edit:|correction:)(?=\s+(?:it )?(?:should be |is )?[$€£]?\d)",
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
_IF_IT_WERE = re.compile(r"\b[Ii]f\b[^.!?\n]*\b(?:were|had)\b[^.!?\n]*,\s*(?:then )?(?:the )?$")
_OTHER_QUESTION = re.compile(
    r"\b(?:bonus|follow-up|next|other|extra|extension) (?:question|problem|part|challenge)\b", re.I
)
_WOULD = re.compile(r"\b(?:would|might|could) be\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:this|your|that|wrong|incorrect|another|old|previous|earlier|intermediate)\s+$", re.IGNORECASE
)
# "We may check our answer: 17 * 44 = 748", "How to get the answer: 3 * 5 = 15"
_CHECKS = re.compile(
    r"\b(?:check|verif|confirm|test|prov(?:e|ing)|proof|validat|justif|plug|substitut|insert|review|inspect)\w*"
    r"(?: (?:back|in|on|of|for|to|with|by|the|our|my|your|this|that|his|her|their|final|correct|numerical|above))*\s+$"
    r"|\b(?:how|why|reason\w*|explanation|steps?|method|rationale)\b[^.!?:\n]{0,60}$",
    re.IGNORECASE,
)
_STATED = re.compile(r"answers?[\s*_]{0,4}(?:is|was|=)", re.IGNORECASE)
# "Check: if r = 1, the answer is 6.28"
_CHECK_LINE = re.compile(
    r"[\s*_#>(]*(?:(?:quick|sanity|double)[ -])?(?:check|verification|verify|test|proof)\b[\s*_]*:", re.I
)
_CLOSING_CHECK = re.compile(
    r"(?:(?:^|\n)[ *_#>(✅✓-]{0,12}(?:(?:let's|let’s|let us|let me|we can|we|i|you can|to|now,?|as a|quick|sanity"
    r"|double)[ -]){0,3}"
    r"|[.!] [(*]{0,3})(?:(?:double[ -]?)?(?:check|verif|proof|confirm)(?:ing|y|ication)?"
    r"(?:[ *_]{0,4}[:,]|[*_]{0,3}\n| (?:this|that|it|our|your|my|by|if|with|whether|the (?:answer|result|solution"
    r"|calculation))\b)"
    r"|(?:this|it|that) (?:makes sense|is (?:right|correct))\b|indeed,"
    r"|(?P<puts>(?:plug|substitut|insert)\w*\b[^.\n]{0,24}\bback\b|(?:we can )?see that\b))",
    re.IGNORECASE,
)
_CONFIRMS = re.compile(
    r"[✓✔✅]|\b(?:correct|match\w*|holds|true|works|as (?:required|expected|given|stated)|the given|satisf\w+"
    r"|checks out"
    r"|make sure)\b",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"[\s*]*(?:(?:still|always|certainly|definitely|a number|something) )?(?:more|less|greater|fewer"
    r"|larger|smaller|bigger|higher|lower|at least|at most|no (?:more|less)|between|under|over"
    r"|above|below|even\b|odd\b|an? (?:whole|even|odd|integer|positive|negative|two-digit|multiple)"
    r"|divisible|close to|near\b|positive|[<>≤≥])",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"\b(?:but(?: rather)?|it(?:'s|’s| is)(?! not)|rather|instead|is)\b\s*:?", re.IGNORECASE)
_JOINS_BOXES = re.compile(r"\}?[\s$\\()\[\]]*(?:[,;]|,?\s?(?:and|or|&))[\s$\\()\[\]]*(?:[A-Za-z]\s?=\s?)?\\?f?")
_PART = re.compile(r"(?:^|[\s*_])\(?([a-h])[):][\s*_]*(?:[Tt]he |[Ss]o |[Ff]inal )?\\?$", re.IGNORECASE)
_OPEN_BOX = re.compile(r"boxed\s*\{[^{}]*$")
_LOOKED_BACK = 240


def unchecked(text: str, start: int) -> int:
    """Where a closing check begins ("Verification: 30 + 36 = 66. ✅") behind a statement with a number; else the"
    " end."""
    for check in _CLOSING_CHECK.finditer(text, start):
        said, rest = text[start : check.start()], text[check.start() :]
        doubtful = check["puts"] and not _CONFIRMS.search(rest)  # "Substituting back: y = 12" goes on
        if (
            any(map(str.isdigit, said))
            and not said.rstrip().endswith(":")
            and not doubtful
            and not _RETRACTS.search(rest)
        ):
            return check.start()
    return len(text)


def standing(text: str) -> Iterator[Commitment]:
    """Yields the commitments of `text` that may be its answer, the last one first: not those that check an answer or
    only speak of one."""
    found = commitments(text)
    for index in range(len(found) - 1, -1, -1):
        one = found[index]
        cut_off = one.end == len(text) and _OPEN_BOX.search(text, one.at, one.end) is not None
        other = _OTHER_QUESTION.search(text, one.at, one.start) is not None
        if not is_about_the_answer(text, one) and not (index and (cut_off or other or _is_in_a_check(text, one))):
            yield one


def boxed_together(text: str, one: Commitment) -> Commitment | None:
    """The box that stands beside `one`, as in "\\boxed{5} and \\boxed{7}"."""
    boxes = [other for other in commitments(text) if other.mark == "boxed"]
    return next((a for a, b in pairwise(boxes) if b == one and _JOINS_BOXES.fullmatch(text, a.end, b.at)), None)


def is_one_of_several(text: str, one: Commitment) -> bool:
    """True for the last answer of "(a) The answer is 5. (b) The answer is 7."."""
    part = _part(text, one)
    if part in ("", "a"):
        return False
    return any(_part(text, other) == chr(ord(part) - 1) for other in commitments(text) if other.at < one.at)


def _part(text: str, one: Commitment) -> str:
    """The letter of the part that a commitment begins: "b" in "(b) The answer is 7"."""
    labels = _PART.findall(text[max(0, one.at - 12) : one.at])
    return labels[-1].lower() if labels else ""


def is_another_case(text: str, one: Commitment) -> bool:
    """True for "If she had bought 4, the answer would be 19": correct in another case only."""
    if one.mark != "phrase":
        return False
    before = text[max(0, one.at - _LOOKED_BACK) : one.at]
    would = _WOULD.search(text, one.at, one.start) and _OTHER_CASE.search(before)
    return bool(would or _IF_IT_WERE.search(before))


def is_about_the_answer(text: str, one: Commitment) -> bool:
    """True for "This answer equals 3 times 5" and "a common wrong answer is 16", which mention an answer but give
    none."""
    if one.mark not in ("phrase", "label"):
        return False
    line = text.rfind("\n", max(0, one.at - 80), one.at) + 1
    before = text[max(line, one.at - 80) : one.at]
    if one.mark == "phrase" and _ABOUT.search(before):
        return True
    return _CHECKS.search(before) is not None and not _STATED.match(text, one.at)


def _is_in_a_check(text: str, one: Commitment) -> bool:
    if one.mark != "phrase":
        return False
    line = text.rfind("\n", max(0, one.at - _LOOKED_BACK), one.at) + 1
    begin = max(line, text.rfind(". ", line, one.at) + 2)
    return _CHECK_LINE.match(text, begin, one.at) is not None


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
