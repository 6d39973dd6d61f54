"""The letter that a multiple-choice response commits to: "The answer is (B)." B."""

import re

from crescent.answers.commitments import Commitment
from crescent.answers.corrections import after_negation, standing
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts

# "option c" · "(B)" · "B." · "**B**" · "B) seven"; a bare "a" inside a sentence is the article.
_CHOICE = re.compile(
    r"(?:\b(?:option|choice|letter|opci[óo]n|opção|opzione|lettre)\s+[(\[*_\"'`{$\s]*(?P<named>[A-Ea-e])\b)|\(\s?(?P<enclosed>[A-Ea-e])\s?\)"
    r"|(?<![\w'(])(?P<bare>[B-Eb-eA](?=[)\].,:;*_\"'`}$\n]|\s*$|\s+(?:because|since|as|which|is|was|and|not|but|\W))|[B-E]\b(?!['.]\s?[a-z]))"
)
_WHOLE = re.compile(r"[\W_]*(?:(?:option|choice)\s+)?[\W_]*([A-Ea-e])[\W_]*", re.IGNORECASE)
_NEITHER = re.compile(r"\s*neither\b[^.!?;\n]{0,60}", re.IGNORECASE)
_ALONE = re.compile(r"[\s*_(\[\"'`]*([A-Ea-e])[\s*_)\]\"'`.]*")
_SEVERAL = re.compile(
    r"\W*(?:both )?[A-E]\W{1,4}(?:or|and|oder|ou|o)\s(?:(?:option|choice)\s+)?\W{0,3}[A-E]\b[^a-zA-Z]*"
)
_IS_BAD = re.compile(r"\b(?:not|wrong|incorrect|false|too|isn't|doesn't)\b", re.IGNORECASE)
_LEADING = re.compile(r"[\s*_(\[]{0,6}([A-E])[*_]{0,2}[.):\]]")
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_LEADS_TO = re.compile(r"(?::|\b(?:is|be|but|option|choice))[\s*(\"]*$")
_NOT = re.compile(
    r"\b(?:not|isn't|cannot be|can't be|never|rather than|instead of)\s+(?:option |choice )?[(*\"]{0,3}$", re.IGNORECASE
)
# "C: right" · "B is wrong" · "it's C" · "it must be (D)"
_VERDICT = re.compile(
    r"(?<![\w'])\(?(?:(?:option|choice)\s+)?\(?(?P<letter>[A-E])\)?\s?(?::|is|seems|looks|must be)\s+"
    r"(?:(?P<bad>wrong|incorrect|false|no|not|too|out|impossible)|(?P<good>right|correct|true|yes"
    r"|the (?:correct|right|best|only)|best))\b"
    r"|(?<![\w'])\(?(?:(?:option|choice)\s+)?\(?(?P<fits>[A-E])\)?\s(?:fits|works|matches|is the only)\b",
    re.IGNORECASE,
)
# "B) 7 - yes": a list that judges each option
_TICKED = re.compile(
    r"^[\s*_(-]*(?P<letter>[A-E])[).:]\s[^\n]{0,120}(?:[-–—:(]\s?(?:yes|correct|true|right)\b|[✓✔✅])[^\w\n]*$",
    re.I | re.M,
)
_CONCLUDED = re.compile(
    r"\b(?:(?:choice|option|one) is|[Ii]t(?:'s|’s| is| must be| has to be)|so|must be|choose|pick|select"
    r"|chose|go with|leaves|left with)\s+"
    r"(?:(?:option|choice)\s+)?[(*\"]{0,3}(?P<letter>[A-E]|(?<= is )[b-e](?=[.\s]*$))\b(?!['’])",
)


def extract_choice(text: str) -> str | None:
    """Returns the letter A to E that `text` commits to, in upper case, or None."""
    text = plain(without_thoughts(text))
    whole = _WHOLE.fullmatch(text) if len(text) < 64 else None
    if whole:
        return whole[1].upper()
    for commitment in standing(text):
        if _VERDICT.match(text, commitment.at):
            continue  # "A: false" is not a mark
        letter = _committed(text, commitment)
        if letter:
            return letter
    return _judged(text) or _last_letter(text)


def _committed(text: str, one: Commitment) -> str | None:
    start, end = one.start, one.end
    neither = _NEITHER.match(text, start, end)
    if one.negated or neither:
        turned = after_negation(text, neither.end() if neither else start, end)
        if turned is None:
            return None
        start, end = turned, min(len(text), turned + 80)
    alone = _ALONE.fullmatch(text, start, end)
    if _SEVERAL.fullmatch(text, start, end):
        return None  # "A or B"
    return alone[1].upper() if alone else _stated(text[start:end])


def _stated(span: str) -> str | None:
    """The letter a span names: the first one, but "option B" and a letter in brackets after a name ("Vitamin C (B)")
    win over a bare letter."""
    found = [
        one for one in _CHOICE.finditer(span) if not _NOT.search(span, max(0, one.start() - 24), _letter_start(one))
    ]
    if not found:
        return None
    first = found[0]
    if first["bare"]:
        before, after = span[: first.start()], span[first.end() :]
        if (before.strip(" *_\"'") and not _LEADS_TO.search(before)) or re.match(r"\.? [a-z]+ \(", after):
            first = next((one for one in found if one["enclosed"] or one["named"]), first)
    return (first["named"] or first["enclosed"] or first["bare"]).upper()


def _letter_start(one: re.Match[str]) -> int:
    return one.start("bare") if one["bare"] else one.start()


def _judged(text: str) -> str | None:
    """The last letter that is called right or concluded: "A: wrong. B: right." """
    found = [
        (one.start(), one["letter"] or one["fits"])
        for one in _VERDICT.finditer(text)
        if one["good"] or (one["fits"] and not _NOT.search(text, max(0, one.start() - 24), one.start()))
    ]
    found += [(one.start(), one["letter"]) for one in _TICKED.finditer(text)]
    found += [(one.start(), one["letter"]) for one in _CONCLUDED.finditer(text)]
    return max(found)[1].upper() if found else None


def _last_letter(text: str) -> str | None:
    """The last letter that is bracketed, named, or alone in its line, or the letter that begins a text of one line."""
    for line in reversed(text.splitlines()):
        whole = _WHOLE.fullmatch(line) if len(line) < 64 else None
        found = [
            m
            for m in _CHOICE.finditer(line)
            if m["named"] or m["enclosed"] or (m["bare"] and re.match(r" and not| but not", line[m.end() :]))
        ]
        kept = [
            m["named"] or m["enclosed"] or m["bare"]
            for m in found
            if not _NOT.search(line, max(0, m.start() - 24), m.start())
        ]
        bold = [m[1] for m in map(_WHOLE.fullmatch, _BOLD.findall(line)) if m]
        if whole or bold or kept:
            return (whole[1] if whole else bold[-1] if bold else kept[-1]).upper()
    lead = _LEADING.match(text)
    others = [line for line in text.splitlines()[1:] if line.strip()]
    return lead[1] if lead and not any(_LEADING.match(line) and not _IS_BAD.search(line) for line in others) else None
