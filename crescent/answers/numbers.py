"""The number a response commits to: its last valid commitment, or without any, what its last statement gives.

A commitment that is not a number ("no solution", "Tuesday", 2\\sqrt{3}, a pair) is the answer too: the result is None.
"""

import re

from crescent.answers.choosing import Reading, read
from crescent.answers.commitments import Commitment, sentence_end
from crescent.answers.corrections import (
    after_negation,
    boxed_together,
    corrected_from,
    is_another_case,
    is_bound,
    is_one_of_several,
    standing,
    unchecked,
)
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts
from crescent.answers.values import written

_DIGIT = re.compile(r"\d")
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_TOTAL = re.compile(r"\b(?:total|sum|altogether|overall|in all|answer|result)\b[^\n\d$€£-]{0,20}[:=]?", re.IGNORECASE)
_REASONS = re.compile(r"\s*(?:first|let|step|we|to (?:find|solve|answer)|since|start)\b", re.IGNORECASE)
_EMPTY_PHRASE = re.compile(r"[\s*]*(?:(?:the|a|an|simply|just|what|how|that|in|as|to|equal)\b|$)", re.IGNORECASE)
_REFUSES = re.compile(
    r"\W*(?:text\s*\{?\s*)?(?:no|none|not|never|yes|true|false|unknown|undefined|undetermined|impossible"
    r"|infinit\w*|cannot|can't|there (?:is|are) no"
    r"|does not exist|dne|empty|n/a|insufficient|it (?:is|'s) (?:not|impossible))\b|\W*[∞∅]",
    re.IGNORECASE,
)
_NO_NUMBER = re.compile(
    r"\W*(?:it |this )?(?:cannot|can't|can not|is (?:impossible|not possible)|not (?:enough|possible)"
    r"|insufficient|impossible\b"
    r"|neither\b|undefined|no (?:real |integer |such )?(?:solutions?|answer|way)\b|infinit|(?:on )?(?:mon|tues"
    r"|wednes|thurs|fri|satur|sun)day\b)",
    re.IGNORECASE,
)
_UNSETTLED = re.compile(
    r"\W*(?:enough|known|possible|clear|determin|given|unique|defined|available|a number|an integer)", re.IGNORECASE
)
_YES = re.compile(
    r"\W*(?:yes|no|true|false)\W*(?:$|[,.]?\s*(?:because|since|as|she|he|it|they|the|\d+ is)\b)", re.IGNORECASE
)
# "First, we know that there are 17 jellybeans." · "We can find it by multiplying 20 by 2.": the response stopped before
# its answer
_TO_DO = (
    r"(?:find|calculat|determin|multipl|divid|subtract|add|figure|comput|substitut|solv|set up|convert|start|begin)\w*"
)
_PLANS = re.compile(
    rf"\W{{0,8}}(?:first(?:ly)?\b|to begin|to start"
    r"|(?:we|i) (?:know|are (?:told|given))\b"
    rf"|(?:[^.!?\n]{{0,160}}\b)?(?:we|i|you) (?:(?:now|then|also|first|simply|just) )?"
    rf"(?:can|need to|have to|should|must|will|could|want to) (?:(?:now|then|also|first|simply|just) )?{_TO_DO}"
    rf"|(?:[^.!?\n]{{0,80}}\b)?let(?:'s|’s| us) (?:now |first )?{_TO_DO}"
    rf"|to {_TO_DO}[^.!?\n]{{0,160}}\bwe\b|to do (?:this|that|so)\b)",
    re.IGNORECASE,
)
# "The total is 56. This includes the 8 extra chairs."
_ADDS = re.compile(
    r"\W{0,8}(?:this|that|these|which) (?:includes?|means|accounts|covers|leaves|matches|uses|assumes"
    r"|is because)\b(?![^.\n]*\btotal\b)",
    re.I,
)
# "It is not possible to determine how many, because only the 12 pears are mentioned."
_UNDETERMINED = re.compile(
    r"[^.!?\n]{0,160}\b(?:cannot|can't|can’t|can not|could not|couldn't|unable to|(?:not |im)possible to|no way "
    r"to|not able to|hard to)"
    r" (?:be )?(?:\w+ly )?(?:determin|solv|answer|calculat|comput|tell\b|say\b|know\b|find)\w*",
    re.IGNORECASE,
)
# "There are no apples left": zero
_NONE_LEFT = re.compile(
    r"\W{0,8}(?:[^.!?\n\d]{0,40}\b(?:is|are|were|was|has|have|had|with|will be) )?(?:no|none|zero)\b[^.!?\n\d]{0,40}"
    r"\b(?:left|remain\w*|over|unsold|unused)\b[^\n\d]{0,20}",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"[\s*]*(?:(?:[Oo]ption|[Cc]hoice)\s+)?(?:\([A-H]\)|[A-H][).:])[\s*]+(?=[^\n]*\d)(?![^\n]*\([B-H]\))"
)
_EXPLAINS = re.compile(
    r"[\W_]*(?:here(?:'s|’s| is) (?:why|how|the)|explanation|because|reason|this is|solution|steps?\b|to (?:see|get|find|solve)"
    r"|(?:let me|let's|let’s|i'll|i will) (?:explain|show)|how|why|breakdown|calculation|working|justification)",
    re.IGNORECASE,
)
# "Therefore, the equation has no real solution."
_ENDS_WITHOUT = re.compile(
    r"[^.!?\n\d]*\b(?:no (?:real |integer |such |valid |possible |whole-number )*(?:solutions?|answers?|values?|numbers?|way)"
    r"|impossible|not possible|undefined|(?:does|do) not exist|infinitely many|not enough information)\b[^\n\d]*",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\W*(?:let me know|i hope|hope (?:this|that)|feel free|would you like|note:|note that|if you(?:'d|’d| would)? "
    r"(?:like|want|need|have|prefer)|(?:shall|should|do you want|can) (?:i|me)\b)", re.IGNORECASE
)


def extract_number(text: str) -> str | None:
    """Returns the canonical number `text` commits to, or None."""
    text = plain(without_thoughts(text))
    other_case: str | None = None
    for commitment in standing(text):
        found = _committed(text, commitment)
        if found is None:
            continue
        if is_another_case(text, commitment):
            other_case = other_case or found.value
            continue
        if found.value is not None and is_one_of_several(text, commitment):
            return None
        if commitment.mark == "boxed" and (beside := boxed_together(text, commitment)):
            other = _committed(text, beside)
            return found.value if other is None or other.value == found.value else None
        return _uncorrected(text, found)
    return other_case or _last_statement(text, 0)


def _uncorrected(text: str, found: Reading) -> str | None:
    start = corrected_from(text, found.end)
    later = _last_statement(text, start) if start is not None else None
    return later if later is not None else found.value


def _committed(text: str, one: Commitment) -> Reading | None:
    """What a commitment states; None if it states nothing: a heading, a bound, the beginning of a calculation."""
    start, end = one.start, one.end
    option = _OPTION.match(text, start, end)
    start = option.end() if option else start
    if one.negated:
        if _UNSETTLED.match(text, start, end):
            return Reading(0, None, end)
        turned = after_negation(text, start, end)
        if turned is None:
            return None
        start, end = turned, sentence_end(text, turned)
    elif is_bound(text, one):
        return None
    if _NONE_LEFT.fullmatch(text, start, end):
        return Reading(1, "0", end, True)
    if one.mark in ("label", "hashes"):
        line = text.rfind("\n", one.at, start) + 1
        if line and _BULLET.match(text, line, end):
            return _list(text, line)
        return _labelled(text, one, start, end)
    if _REFUSES.match(text, start, end) and not _DIGIT.search(text, start, end):
        return Reading(0, None, end)
    found = read(text, start, end, exclaims=one.mark == "phrase")
    if found.quantities:
        return found
    if one.mark == "phrase" and _EMPTY_PHRASE.match(text, start, end):
        return None
    return Reading(0, None, end) if text[start:end].strip(" *_.$") else None


def _labelled(text: str, one: Commitment, start: int, end: int) -> Reading | None:
    """Reads "Answer: $18 a day" and "#### 18", but not "Answer: First, 16 - 3 = 13. Then ..." or a heading."""
    strong = one.mark == "hashes" or "#" in text[max(0, one.at - 12) : one.at]
    if (
        _YES.match(text, start, end)
        or _NO_NUMBER.match(text, start, end)
        or (_REFUSES.match(text, start, end) and not _DIGIT.search(text, start, end))
    ):
        return Reading(0, None, end)
    stop = (
        min(end, sentence_end(text, start)) if "=" not in text[start:end] or not _spans_lines(text, start, end) else end
    )
    if text[stop : stop + 1] == "!" and text[stop - 1].isalnum() and not re.search(r"[^\W\d_]", text[stop:end]):
        stop = end  # "5! × 3" is a factorial, "5! Well done" is not
    if stop < end and text[stop - 1] == "!" and text[stop:end].lstrip().startswith("="):
        stop = end
    found = read(text, start, stop)
    if found.quantities:
        goes_on = not (found.direct and stop - found.end <= 16 and found.quantities == 1)
        weak = one.mark == "label" and goes_on and (not strong or _REASONS.match(text, start, stop))
        return None if weak and _DIGIT.search(text, stop, _paragraph_end(text, stop)) else found
    bare = text[start:end].strip(" *_.$#:")
    if not bare or bare.lower() in ("answer", "final answer") or (
        _DIGIT.search(text, end) and (one.mark == "hashes" or not strong or _REASONS.match(text, start, stop))
    ):
        return None
    return Reading(0, None, end)


def _spans_lines(text: str, start: int, end: int) -> bool:
    return "\n" in text[start:end]


def _paragraph_end(text: str, start: int) -> int:
    end = text.find("\n\n", start)
    return end if end >= 0 else len(text)


def _list(text: str, start: int) -> Reading | None:
    """The total in a list; None for other lists with several numbers."""
    readings: list[Reading] = []
    at = start
    while at < len(text) and _BULLET.match(text, at) and len(readings) < 32:
        end = text.find("\n", at)
        end = end if end >= 0 else len(text)
        total = _TOTAL.search(text, at, end)
        bullet = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+").match(text, at)
        found = read(text, total.end() if total else bullet.end() if bullet else at, end)
        if total and found.quantities:
            return found
        readings.append(found)
        at = end + 1
    numbers = [one for one in readings if one.quantities]
    if len(numbers) == 1:
        return numbers[0]
    return Reading(len(numbers), None, min(at, len(text))) if numbers else None


def _last_statement(text: str, start: int) -> str | None:
    """What the last line with a number states, preferring bold text. None if the text ends with what is still to be
    done."""
    text = _without_farewell(text[: unchecked(text, start)], start)
    first = _leading_value(text) if not start else None
    if first is not None:
        return first
    end = len(text)
    tail = max(start, text.rfind("\n", start, len(text.rstrip())) + 1, text.rfind(". ", start) + 2)
    if _ENDS_WITHOUT.fullmatch(text, tail, len(text.rstrip())):
        return None
    if _PLANS.match(text, tail) and "=" not in text[tail:]:
        return None
    while end > start:
        line = max(start, text.rfind("\n", start, end) + 1)
        if _DIGIT.search(text, line, end) and not _FAREWELL.match(text, line, end):
            return _of_line(text, line, end)
        end = line - 1
    end = len(text.rstrip())
    line = max(start, text.rfind("\n", start, end) + 1, text.rfind(". ", start, end - 1) + 1)
    if not _REFUSES.match(text, line, end):
        found = read(text, line, min(end, line + 400))
        return found.value
    return None


def _without_farewell(text: str, start: int) -> str:
    """Without closing lines to the reader: "If you'd like, I can also ..."."""
    while (line := text.rfind("\n", start, len(text.rstrip()))) > start and (
        _FAREWELL.match(text, line) or not any(map(str.isalnum, text[line:]))
    ):
        text = text[:line]
    return text


def _leading_value(text: str) -> str | None:
    """The value that is all of the first line, where only its explanation follows: "**160 grams**\n\nHere's why: ..."."""
    first, _, rest = text.strip().partition("\n")
    if len(first) > 60 or not _EXPLAINS.match(rest):
        return None
    found = read(first, 0, len(first), marked=False)
    return found.value if found.direct and found.quantities == 1 and "=" not in first else None


def _of_line(text: str, start: int, end: int) -> str | None:
    bold = [read(text, one.start(1), one.end(1)) for one in _BOLD.finditer(text, start, end)]
    direct = [one.value for one in bold if one.direct and one.value is not None]
    if direct and (len(set(direct)) == 1 or text[start:end].rstrip(" .").endswith("**")):
        return direct[-1]
    at, sentence = max(start, end - 400), None
    while at > start and not text[at - 1].isspace():
        at -= 1
    while at < end:
        stop = min(end, sentence_end(text, at))
        while stop < end and text[stop].isalnum():  # do not split a long number
            stop += 1
        adds = sentence is not None and _ADDS.match(text, at, stop)
        if _DIGIT.search(text, at, stop) and not adds and not _FAREWELL.match(text, at, stop):
            sentence = at, stop
        at = stop + 1
    if sentence is None:
        return None
    at, stop = sentence
    if _UNDETERMINED.match(text, at, stop) or ("=" not in text[at:stop] and _PLANS.match(text, at, stop)):
        return None
    while at < stop and text[at] in " *_>#\"'":
        at += 1
    if text[at : at + 2] == "- ":
        at += 2
    return read(text, at, stop, exclaims=True, marked=False).value or _range_end(text, at, stop)


def _range_end(text: str, start: int, stop: int) -> str | None:
    """The 12 of "pages 10-12" if nothing follows: for a statement without a mark."""
    found = re.compile(r"(?:^|.*\s)\d{1,15}-(\d{1,15})[\s.*]*").fullmatch(text, start, stop)
    return written(found[1]) if found else None
