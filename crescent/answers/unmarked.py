"""What a response without a mark states: its last statement, or a first line that is all value.

In: text in plain notation (`plain`). Out: the canonical number, or None if the text ends in a plan, a doubt or nothing.
"""

import re

from crescent.answers.choosing import read
from crescent.answers.commitments import sentence_end
from crescent.answers.corrections import unchecked
from crescent.answers.values import written

_DIGIT = re.compile(r"\d")
REFUSES = re.compile(
    r"\W*(?:text\s*\{?\s*)?(?:no|none|not|never|yes|true|false|unknown|undefined|undetermined|impossible"
    r"|infinit\w*|cannot|can't|there (?:is|are) no"
    r"|does not exist|dne|empty|n/a|insufficient|it (?:is|'s) (?:not|impossible))\b|\W*[∞∅]",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
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
_BRACKETED = re.compile(r"[\s*]*\([^()\n]{1,120}\)?[\s.*]*")  # "It takes 6 hours. (6 × 45 = 270)"
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
_EXPLAINS = re.compile(
    r"[\W_]*(?:here(?:'s|’s| is) (?:why|how|the)|explanation|because|reason|this is|solution|steps?\b|to (?:see"
    r"|get|find|solve)"
    r"|(?:let me|let's|let’s|i'll|i will) (?:explain|show)|how|why|breakdown|calculation|working|justification)",
    re.IGNORECASE,
)
# "Therefore, the equation has no real solution."
_ENDS_WITHOUT = re.compile(
    r"[^.!?\n\d]*\b(?:no (?:real |integer |such |valid |possible |whole-number )*(?:solutions?|answers?|values?"
    r"|numbers?|way)"
    r"|impossible|not possible|undefined|(?:does|do) not exist|infinitely many|not enough information)\b[^\n\d]*",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\W*(?:let me know|i hope|hope (?:this|that)|feel free|would you like|note:|note that|if you(?:'d|’d| would)? "
    r"(?:like|want|need|have|prefer)|(?:shall|should|do you want|can) (?:i|me)\b)",
    re.IGNORECASE,
)


def last_statement(text: str, start: int) -> str | None:
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
    if not REFUSES.match(text, line, end):
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
    """The value that is all of the first line, where only its explanation follows: "**160 grams**\n\nHere's why:"
    " ..."."""
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
        adds = sentence is not None and (
            _ADDS.match(text, at, stop) or _BRACKETED.fullmatch(text, at, min(end, stop + 2))
        )
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
