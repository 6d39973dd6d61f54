"""Finds where a response commits to an answer: the marks ("####", "The answer is") and the text each points to.

In: text in plain notation (`plain`). Out: `Commitment`s in order; the last one that contains an answer of the requested
kind counts. What the answer is depends on the kind and is not decided here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Mark = Literal["hashes", "boxed", "tag", "phrase", "label"]
Marks = tuple[tuple[str, Mark, re.Pattern[str]], ...]

# "The answer is based on 3 facts": "is" introduces no answer
_NO_ANSWER = (
    r"(?:based|found|obtained|given|calculated|derived|correct|incorrect|wrong|right|rounded|computed|reached"
    r"|as follows"
    r"|below|shown|clear|obvious|simple|straightforward|already|also|consistent|reasonable|plausible|verified|confirmed"
    r"|valid|sensible|realistic)\b"
)
_ANSWER = re.compile(
    r"(?:answers?|ans)\b(?:[\s*_\"'`)]{0,4}(?:\([^()\n]{0,40}\)[\s*_]{0,3})?(?P<label>[:=|])"
    r"|(?P<heading>[*_]{0,3}[ ]{0,3}\n\s{0,4}(?=[-*_$€£\\]{0,4}\d|[*_]{2}\W{0,3}\d)"
    r"|[*_]{1,3}[ ]{0,3}\n\s{0,4}(?=[A-Z][^\n]{0,200}\d))"
    rf"|(?:(?!\bis\s+{_NO_ANSWER})[^\n.:=?!]){{0,80}}?\b(?:(?P<negated>isn[’']t|is not|was not|wasn[’']t|cannot be"
    r"|can[’']t be)|(?:is|was|equals|would be|should be|will be|must be|comes? (?:out )?to)\b"
    rf"(?!\s+{_NO_ANSWER}))\s?:?)",
    re.IGNORECASE,
)
_HASHES = re.compile(
    r"\#+(?!\#|\s*(?:step|part|problem|question|case|method|solution|explanation|example|note|verification|check)\b"
    r"|[ ]*\d{1,2}[.)][ ]+[A-Z*][^\n]*\n\s*\S"
    r"|[ ]*\d{1,2}[ ]+(?:conclusion|results?|solution|summary|final|answer|calculations?|find|calculate"
    r"|determine|add)\b[^\n]*\n\s*\S)",
    re.IGNORECASE,
)
# "La réponse est 5" · "Die Antwort lautet: 5" · "答案是5" · "الجواب: 5"
_FOREIGN = re.compile(
    r"[^\W\d_]{2,20}[\s*]{0,3}(?:(?:es|est|ist|lautet|è|é|to|是|は|为|為)\b|[:：=]|(?:是|は|为|為))[\s:：]{0,2}",
    re.IGNORECASE,
)
_FOREIGN_NAMES = (
    "respuesta", "réponse", "reponse", "antwort", "lösung", "risposta", "resposta", "odpowied", "答案", "答え", "答",
    "정답", "답", "ответ", "الجواب", "الإجابة", "उत्तर",
)  # fmt: skip
_LABEL = re.compile(r"[a-z]+[*_]{0,3}:", re.IGNORECASE)
_BOXED = re.compile(r"(?:f?boxed|framebox|box)\s*(?:\{|(?=\d))")
_TAG = re.compile(r"answer>", re.IGNORECASE)
_TAG_BEGINS = ("<", "<final_", "<final-", "<final ")
_FIELD = re.compile(r"\"(?:result|total|value)\"\s*:", re.IGNORECASE)
# The literal to search for in the lower-cased text (fast), and the pattern that then decides:
# "#### 5" · "\\boxed{5}" · "<answer>5" · "The answer to the question is: 5" · '"answer": 5' · "A: 5" on a line
_MARKS: Marks = (
    ("###", "hashes", _HASHES),
    ("box", "boxed", _BOXED),
    ("answer>", "tag", _TAG),
    ("answer", "phrase", _ANSWER),
    ("ans:", "phrase", _ANSWER),
    ("a:", "label", _LABEL),
    ("a**:", "label", _LABEL),
    ("result:", "label", _LABEL),
    ("conclusion:", "label", _LABEL),
    ('"result"', "phrase", _FIELD),
    ('"total"', "phrase", _FIELD),
)
_FOREIGN_MARKS: Marks = tuple((name, "phrase", _FOREIGN) for name in _FOREIGN_NAMES)
_LINE_START = re.compile(r"[\s*_>-]*(?:final )?", re.IGNORECASE)
# A base model with few-shot examples continues by asking itself the next question.
_NEXT_TURN = re.compile(
    r"\n\s{0,8}(?:[#*]{1,6}\s?)?(?:(?:next|new|another|practice|bonus|follow-?up|similar|related|second)\s)?(?:question|q|problem|exercise|example|human|user"
    r"|instruction|input|task)"
    r"(?:\s\d{1,3})?(?:\s\([^()\n]{1,40}\))?\s?[:.]"
    r"|\n\s{0,8}(?:now|next|let's|let us|here(?:'s| is))\b[^\n:.]{0,24}\b(?:another|try|next|similar"
    r"|related|second|new)\b[^\n:.]{0,24}[:.]"
    r"|\n\#{1,6}\s?(?:\w{1,12}\s)?(?:question|problem|exercise|example|task)(?:\s\d{1,3})?[ ]*\n"
    r"|\n\d{1,2}[.)]\s[^\n]{12,300}\?[ ]*(?:\n|$)"
    r"|\[/?INST\]|<\|[a-z_]+\|>|</s>|</(?:final[_ -])?answer>|<(?:end|start)_of_turn>|<eos>",
    re.IGNORECASE,
)
_LEAD = re.compile(r"(?:\$\$|[\s*_>:\"'`=])*")
_HEADING = re.compile(
    r"(?:final )?(?:answer|result)[*_ ]{0,4}\n\s{0,4}(?=[A-Z][^\n]{0,200}\d)", re.I
)  # "### Final Answer\n\nThe work costs ..."
_ANGLES = re.compile(r"<([^<>\n]{1,60})>[\s.*]*(?:\n|$)")  # a filled-in template: "#### Answer: <18>"
_CONTINUES = re.compile(r"\n\s{0,4}=[^\n]{1,100}")  # "12 + 3\n= 15"
_LONGEST = 400  # characters within which a mark's answer must lie, so the cost stays linear in the text
_MOST_MARKS = 32  # only the last ones can matter
_SENTENCE_END = re.compile(
    r"[.!?\n](?:(?<=\n)|(?=[\s*\"')\]]|$)(?<!\bmr.)(?<!\bmrs.)(?<!\bms.)(?<!\bdr.)(?<!\bst.)(?<!\brs.)(?<!approx.)(?<!\b[aiep]\.[emg]\.)(?<!no\.)(?<!vs\.))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Commitment:
    """One mark: its answer starts at `start` and lies before `end`, the end of its sentence, line or braces."""

    mark: Mark
    start: int
    end: int
    at: int = 0  # position of the mark itself
    negated: bool = False  # "the answer isn't ..."


def commitments(text: str) -> list[Commitment]:
    """Returns all commitments in `text`, in order; headings such as "### Step 2" do not count.

    Text is ignored from the point where the response, having answered, asks another question.
    """
    lowered = text.lower()
    # nothing left by `plain` grows in lower case, but a caller's text may contain such a letter
    if len(lowered) != len(text):
        lowered = text
    found = sorted(_places(text, lowered, _MARKS))
    if not found or not text.isascii():
        found = sorted([*found, *_places(text, lowered, _FOREIGN_MARKS)])
    if not found:
        return []
    turn = _NEXT_TURN.search(text, found[0][1])
    text = text[: turn.start()] if turn else text
    found = [place for place in found if place[0] < len(text)][-_MOST_MARKS:]
    return [_pointed_at(text, at, mark, end) for at, end, mark in found]


def _places(text: str, lowered: str, marks: Marks) -> Iterator[tuple[int, int, Mark]]:
    """Yields (start, end, mark) of each mark."""
    for literal, mark, pattern in marks:
        at = lowered.find(literal)
        while at >= 0:
            found = pattern.match(text, at) if _may_stand(text, at, mark) else None
            if found:
                label = (pattern is _ANSWER and (found["label"] or found["heading"])) or (
                    pattern is _FOREIGN and found[0].rstrip()[-1:] in ":：="
                )
                yield at, found.end(), "label" if label else mark
            at = lowered.find(literal, max(found.end() if found else 0, at + len(literal)))


def _may_stand(text: str, at: int, mark: Mark) -> bool:
    before = text[at - 1 : at]
    if mark == "boxed":
        return before == "\\" or text[max(0, at - 2) : at] == "\\f" or text[max(0, at - 6) : at] == "\\frame"
    if mark == "hashes":
        return before != "#"
    if mark == "tag":
        return text[max(0, at - 7) : at].lower().endswith(_TAG_BEGINS)
    if text[at : at + 1] == '"':
        return True
    if mark == "phrase":
        return not before.isalnum()
    if mark == "label":
        line = text.rfind("\n", max(0, at - 16), at) + 1
        return (line > 0 or at < 16) and _LINE_START.fullmatch(text, line, at) is not None
    return True


def _pointed_at(text: str, at: int, mark: Mark, start: int) -> Commitment:
    """Points to the braces, the rest of the sentence or line, or the next non-empty line: "Final answer:\n\n18"."""
    if mark == "boxed":
        if text[start - 1] != "{":
            end = start
            while end < len(text) and text[end].isdigit() and end < start + _LONGEST:
                end += 1
            return Commitment(mark, start, end, at)
        return Commitment(mark, start, _closing_brace(text, start), at)
    lead = _LEAD.match(text, start)
    begin = lead.end() if lead else start
    heading = _HEADING.match(text, begin) if mark == "hashes" else None
    begin = heading.end() if heading else begin
    if mark in ("label", "hashes") and (inside := _ANGLES.match(text, begin)):
        return Commitment(mark, inside.start(1), inside.end(1), at)
    if mark == "phrase":
        negated = (
            text[:start].rstrip().lower().endswith(("not", "n't", "n’t", "cannot be", "can't be"))
            if start - at < 120
            else False
        )
        return Commitment(mark, begin, sentence_end(text, begin), at, negated)
    limit = min(len(text), begin + _LONGEST)
    end = text.find("\n", begin, limit)
    end = end if end >= 0 else limit
    going_on = _CONTINUES.match(text, end)
    return Commitment(mark, begin, going_on.end() if going_on else end, at)


def sentence_end(text: str, start: int) -> int:
    """Where the sentence or line around `start` ends, at most `_LONGEST` characters later."""
    limit = min(len(text), start + _LONGEST)
    found = _SENTENCE_END.search(text, start, limit)
    return found.start() if found else limit


def _closing_brace(text: str, start: int) -> int:
    depth, limit = 1, min(len(text), start + _LONGEST)
    for at in range(start, limit):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return limit
