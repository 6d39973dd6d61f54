"""Answers in words: a name or a short text."""

import re
import unicodedata
from collections.abc import Callable
from itertools import chain

from crescent.answers.corrections import after_negation, standing
from crescent.answers.numerals import whole_number
from crescent.answers.plain import plain
from crescent.answers.thoughts import without_thoughts

_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_TITLES = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Prof)\.", re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"[.,;:!?\n(){}\[\]]|\s[-=]\s|\b(?:because|since|as|who|whose|which|with|is|was|are|has|had|came|won|finished|sits|stands|comes|finishes|wins|owns|must|so|therefore|he|she)\b|\band\b(?!\s+[A-Z])|[。，！]",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b((?:(?:Mr|Mrs|Ms|Dr)\.?\s)?[A-Z][\w'-]{0,40})(?=\s+(?:is|was|has|had|came|comes|finished|finishes|won|wins|must|sits|owns)\b)"
)
# "The tallest person is Tom" · "It's Tom" · "that Ben came first"
_DESCRIBED = re.compile(
    r"(?:[\s*]*(?:so |thus |therefore,? |hence |then )?(?:it(?:'s|’s| is| was| must be)|that(?: it is)?"
    r"|(?:the|a|an)\b[^.!?\n]{1,80}?\b(?:is|was|must be))\s+)(?=[A-Z*\"])",
    re.IGNORECASE,
)
# "Hal took the cookie": the subject of a sentence
_ACTS = re.compile(
    r"((?:(?:Mr|Mrs|Ms|Dr)\s)?[A-Z][\w'-]{0,40}(?: [A-Z][\w'-]{0,40}){0,2})\s+(?:did|does|will|can|could|would"
    r"|should|lives?"
    r"|likes?|takes?|took|ate|eats?|gets?|got|goes|went|has|had|made|makes?|ran|runs?|bought|gave|sat|sits|stood|stole|wrote"
    r"|left|lost|broke|drank|drinks?|plays?|keeps?|kept|arrives?|came|comes|holds?|held|earns?|reads?|sold|[a-z]+ed)\b\s+\w"
)
_NOT_BUT = re.compile(r"not\b[^.,;\n]{1,60}?(?:,|;|\bbut|, it(?:'s| is))\s+", re.IGNORECASE)
_LEADS = re.compile(
    r"(?:so|thus|therefore|hence|then|and|finally|in conclusion|we conclude that)\b,?\s+(?=[A-Z])", re.IGNORECASE
)
_FIRST = re.compile(r"([A-Z][\w'-]{0,40})(?=,? (?:because|since|as)\b)")  # "Nina, because she is ..."
_STATES = re.compile(r"\b(?:is|was|has|had|must)\b")
_CAPITALISED = re.compile(r"(?<![\w'])[A-Z][\w'-]{0,40}")
_NOT_A_NAME = re.compile(
    r"a|an|and|answer|as|because|but|final|finally|first|hence|he|her|his|i|if|in|it|its|next|now|of|on|she|since|so"
    r"|that|the|their|then|there|therefore|they|this|thus|we|what|when|which|who|with|you|your",
    re.IGNORECASE,
)
_ASKED = re.compile(r"[^?\n]{1,200}\?\s*([^?\n]{1,60})")  # "Who is tallest? Tom."
_ARTICLES = re.compile(r"^(?:the|an|a) (?=\S)")


def extract_name(text: str) -> str | None:
    """Returns the name `text` commits to: case-folded, without title dots, article or punctuation; or None."""
    return _settled(_name, without_thoughts(text))


def extract_text(text: str) -> str | None:
    """Returns the short text that `text` commits to, or its last line: case-folded, with normalised spaces and without
    outer punctuation."""
    return _settled(_short_text, without_thoughts(text))


def folded(text: str) -> str:
    """`text` case-folded, with single spaces, without markup, outer punctuation or title dots."""
    text = _TITLES.sub(r"\1", unicodedata.normalize("NFKC", text)).casefold()
    text = re.sub(r"[*_`{}$\"\\“”‘]+", " ", text).replace("’", "'")
    text = " ".join(text.split())
    start, end = 0, len(text)
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return text[start:end]


def _settled(once: Callable[[str], str | None], text: str) -> str | None:
    """Applies `once` until nothing changes, so that a canonical form maps to itself."""
    for _ in range(16):
        answer = once(text)
        if answer is None or answer == text:
            return answer
        text = answer
    return None


def _name(text: str) -> str | None:
    text = plain(text)
    for commitment in standing(text):
        turned = after_negation(text, commitment.start, commitment.end) if commitment.negated else None
        name = _bare(_clause(text[turned or commitment.start : commitment.end]))
        if name:
            return name
    lines = _lines(text)
    if lines and (asked := _ASKED.fullmatch(lines[-1])):
        return _bare(_clause(asked[1]))
    return _named_in(lines[-1], alone=len(lines) == 1) if lines else None


def _short_text(text: str) -> str | None:
    text = plain(text)
    spans = (text[commitment.start : commitment.end] for commitment in standing(text))
    for span in chain(spans, reversed(_lines(text))):
        answer = whole_number(span.strip(" *_.")) or _bare(span)
        if answer:
            return answer
    return None


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(map(str.isalnum, line))]


def _bare(text: str) -> str | None:
    return _ARTICLES.sub("", folded(text)) or None


def _clause(span: str) -> str:
    """The name that a span begins with: "Tom because he is taller" Tom, "**Mrs. Hilt**." Mrs Hilt."""
    span = _TITLES.sub(r"\1", span).lstrip(" *_\"'`({[$")
    described = _DESCRIBED.match(span)
    if described and span[described.end() : described.end() + 3].strip('*"')[:1].isupper():
        span = span[described.end() :].lstrip(" *_\"'`({[$")
    instead = _NOT_BUT.match(span)
    span = span[instead.end() :] if instead else span
    acts = _ACTS.match(span)
    if acts and not _NOT_A_NAME.fullmatch(acts[1]):
        return acts[1]
    end = _CLAUSE_END.search(span)
    return span[: end.start()] if end else span


def _named_in(line: str, alone: bool) -> str | None:
    """The name in a line without a mark: a short line itself, what is bold, or its subject."""
    bold = _BOLD.findall(line)
    if bold:
        return _bare(_clause(bold[-1]))
    lead = _LEADS.match(line)
    line = line[lead.end() :] if lead else line
    acts = _ACTS.match(_TITLES.sub(r"\1", line))
    because = _FIRST.match(line)
    if alone and (acts or because):
        return _bare((acts or because or [""])[1])
    if alone and len(line.split()) <= 6 and not _STATES.search(line):
        return _bare(_clause(line)) or _bare(line)
    last = re.split(r"(?<=[a-z])[.!]\s+", line.rstrip(" .!*"))[-1]
    stated = _DESCRIBED.match(last)
    if stated:
        return _bare(_clause(last[stated.end() :]))
    names = _SUBJECT.findall(line) or _CAPITALISED.findall(line)
    names = [name for name in names if not _NOT_A_NAME.fullmatch(name)]
    return _bare(names[-1]) if names else None
