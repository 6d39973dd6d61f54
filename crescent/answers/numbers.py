"""The number a response commits to: its last commitment that holds one, else its last number."""

import re
from itertools import pairwise

from crescent.answers.commitments import Commitment, commitments, correction_after, sentence_end
from crescent.answers.numerals import Numeral, numerals
from crescent.answers.plain import plain
from crescent.answers.words import spelled_number

# "answer: x = 5", "answer is about $5": nothing but these before the number means that the number is the answer.
_DIRECT = re.compile(
    r"\W*(?:[a-z]\s*=\W*)?(?:(?:about|approximately|around|roughly|exactly|only|just|an?|total|of|therefore|then|thus|so"
    r"|equal|to|USD|EUR|Rs|RM|negative|minus)\b\W*)*",
    re.IGNORECASE,
)
_OPERATOR = re.compile(r"[-+*/×÷^]|\bx\b")
_CALCULATION_ENDS = re.compile(r"[\n;(?!]|\.\s|,(?![^=]*=)")
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
# "15, not 12" · "4.33 (rounded to 2 decimal places)" · "as in step 3"
_TAKEN_BACK = re.compile(
    r"\b(?:not|instead of|rather than|nearest|round(?:ed)? (?:up |down )?to|step|part|question)\s+[$€£]?$",
    re.IGNORECASE,
)
_TERSE = 16  # characters at most from a number to the end of its sentence, for "Answer: 18 eggs. Explanation: ..."
_FAREWELL = re.compile(
    r"\W*(?:let me know|i hope|hope (?:this|that)|feel free|would you like|note:|note that)", re.IGNORECASE
)


def extract_number(text: str) -> str | None:
    """The canonical number `text` commits to, or None."""
    text = plain(text)
    for commitment in reversed(commitments(text)):
        found = _committed(text, commitment)
        if found is None:
            continue
        answer, end = found
        retreat = correction_after(text, end)
        return (_last_number(text, retreat) if retreat is not None else None) or answer
    return _last_number(text, 0)


def _committed(text: str, commitment: Commitment) -> tuple[str, int] | None:
    """The number of one commitment and where it ends; None where it holds none, or only leads into a calculation."""
    tokens = [token for token in numerals(text, commitment.start, commitment.end) if token.canonical() is not None]
    if not tokens:
        spelled = spelled_number(text[commitment.start : commitment.end])
        return (spelled, commitment.end) if spelled is not None else None
    if commitment.mark == "label" and not _is_terse(text, commitment, tokens) and _reasons_on(text, tokens[0].end):
        return None
    token = _end_of_calculation(text, tokens)
    answer = token.canonical()
    assert answer is not None
    return answer, token.end


def _is_terse(text: str, commitment: Commitment, tokens: list[Numeral]) -> bool:
    """Whether a label is followed by one number and little else: "Answer: $18 a day", not "Answer: 16 - 3 = 13"."""
    start, end = tokens[0].end, sentence_end(text, tokens[0].end)
    direct = _DIRECT.fullmatch(text, commitment.start, tokens[0].start)
    return bool(direct) and end - start <= _TERSE and not (len(tokens) > 1 and tokens[1].start < end)


def _reasons_on(text: str, start: int) -> bool:
    """Whether more sentences with numbers follow: "Answer: First, 16 - 3 = 13. Then ..." is no commitment to 16."""
    return next(numerals(text, sentence_end(text, start)), None) is not None


def _end_of_calculation(text: str, tokens: list[Numeral]) -> Numeral:
    """Of "7 dozen eggs in 4 weeks" the 7; of "16 - 3 = 13 eggs" the 13."""
    answer = tokens[0]
    for token, following in pairwise(tokens):
        gap = text[token.end : following.start]
        if _CALCULATION_ENDS.search(gap):
            break
        if "=" in gap or "≈" in gap:
            answer = following
        elif not _OPERATOR.search(gap):
            break
    return answer


def _last_number(text: str, start: int) -> str | None:
    """The last number from `start` on: of the last line that has one, what is in bold before what is not."""
    end = len(text)
    while end > start:
        line_start = max(start, text.rfind("\n", start, end) + 1)
        if not _FAREWELL.match(text, line_start, end):
            answer = _last_bold(text, line_start, end) or _last_plain(text, line_start, end)
            if answer is not None:
                return answer
        end = line_start - 1
    return None


def _last_bold(text: str, start: int, end: int) -> str | None:
    answer = None
    for found in _BOLD.finditer(text, start, end):
        token = next(numerals(text, found.start(1), found.end(1)), None)
        if token is not None and _DIRECT.fullmatch(text, found.start(1), token.start):
            answer = token.canonical() or answer
    return answer


def _last_plain(text: str, start: int, end: int) -> str | None:
    for token in reversed(list(numerals(text, start, end))):
        answer = token.canonical()
        if answer is not None and not _TAKEN_BACK.search(text, max(start, token.start - 20), token.start):
            return answer
    return None
