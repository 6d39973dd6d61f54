"""Where a problem is over.

In: the parts from the first sentence of a problem on. Out: how many of them are the problem. Nothing in front of what
the problem asks ends it; where a line asks twice, nothing in front of the second. Behind that:

    a mark   "Answer:", "### Solution", "---", another problem, talk     ends it
    a step   "First, 42 - 9 = 33.", where the facts are known   ends it, with the lines that repeat the facts
    else     a condition, a table, options, a part, facts         does not
"""

import re
from collections.abc import Sequence

from crescent.elicitation import asking
from crescent.elicitation.kinship import content_words, is_foreign
from crescent.elicitation.roles import Part, Role
from crescent.elicitation.sentences import Line

MARKED: frozenset[Role] = frozenset(
    ("answer", "solution", "comment", "turn", "rule", "question", "next", "modified", "original")
)  # fmt: skip
ENDS: frozenset[Role] = (MARKED - {"question"}) | frozenset(
    ("metadata", "lead", "farewell", "about", "request", "making", "refusal", "greeting", "offer", "thinking")
)
_ITEMS = ("numbered", "lettered", "bullet")
MAX_REMARK = 8  # words
_LITERAL = ("fence", "code", "table")
_FOLLOWING = re.compile(r"\bfollowing\b|\bbelow\W*$", re.IGNORECASE)
_SECOND = re.compile(r"\bb\s*:", re.IGNORECASE)


def end_of(body: Sequence[Part]) -> int:
    """How many of the parts are the problem."""
    asking_at = [index for index, part in enumerate(body) if part.role == "text" and part.asks]
    if not asking_at:
        return next((i for i, part in enumerate(body) if part.role in ("answer", "solution", "turn")), len(body))
    return _Asked(body, asking_at).end()


class _Asked:
    """A problem that asks."""

    def __init__(self, body: Sequence[Part], asking_at: Sequence[int]) -> None:
        self._body, self._at = body, asking_at[0]
        self._last_of_line = {body[index].sentence.line: index for index in asking_at}
        self._line = body[self._at].sentence.line
        known = [part for part in body[: self._last_of_line[self._line] + 1] if part.role == "text"]
        announces = _FOLLOWING.search(body[self._last_of_line[self._line]].bare) is not None
        self._alone = not announces and (len(known) > 2 or any(asking.has_number(part.bare) for part in known))
        self._words = content_words(part.bare for part in known)

    def end(self) -> int:
        for index in range(self._at + 1, len(self._body)):
            part = self._body[index]
            asks_later = index < self._last_of_line.get(part.sentence.line, -1)
            if asks_later and part.role not in MARKED and not part.sentence.first:
                continue
            if self._is_over(index, part):
                return self._begun(index) if part.role == "text" and self._alone else index
        return len(self._body)

    def _is_over(self, index: int, part: Part) -> bool:
        if part.role in ENDS:
            return not (part.role == "answer" and self._is_one_of_several(part))
        if part.role == "title":
            return self._alone and index < max(self._last_of_line.values())
        if part.role == "question":
            return part.number != 1 and not self._has_set_up()
        return part.role == "text" and self._ends_as_text(index, part)

    def _ends_as_text(self, index: int, part: Part) -> bool:
        shape, bare = part.sentence.line.shape, part.bare
        if shape in _LITERAL:
            return self._alone and shape == "fence" and self._fence_works_out(index)
        if part.sentence.first and self._is_another(part.sentence.line):
            return True
        if (
            shape in ("numbered", "bullet")
            and part.sentence.first
            and self._alone
            and "?" not in bare
            and not self._listed
        ):
            return asking.instructs(bare) or asking.works_out(self._line_from(index))
        if part.sentence.line.paragraph != self._line.paragraph:
            if is_foreign(bare, self._words) or (self._alone and (asking.works_as_we(bare) or self._is_remark(index))):
                return True
            last = index == len(self._body) - 1 and shape not in _ITEMS and part.sentence.alone
            if last and asking.is_bare_value(bare):
                return True
        if not self._alone or (part.asks and not asking.works_out(bare)):
            return False
        if part.sentence.alone and shape != "lettered" and asking.is_bare_value(bare):
            return True
        announced = not part.sentence.first and self._body[index - 1].bare.endswith((":", "："))
        return not announced and asking.works_out(bare)

    @property
    def _listed(self) -> bool:
        """Whether the first question is an item of a list."""
        return self._line.shape in _ITEMS

    def _begun(self, index: int) -> int:
        """Where the solution begins that is recognised at `index`: with the lines before it that repeat the facts."""
        while index - 1 > self._at:
            part = self._body[index - 1]
            repeats = part.role == "text" and part.sentence.line.shape == "plain" and part.sentence.line != self._line
            if not repeats or "?" in part.bare or asking.qualifies(part.bare) or part.bare.endswith((":", "：")):
                break
            index -= 1
        return index

    def _line_from(self, index: int) -> str:
        """The line that begins here, or as much of it as tells a calculation."""
        line = self._body[index].sentence.line
        return " ".join(part.bare for part in self._body[index : index + 3] if part.sentence.line == line)

    def _is_remark(self, index: int) -> bool:
        """Whether a line of a key and a few words, foreign to the problem, begins here: "Focus: ratios"."""
        line = self._body[index].sentence.line
        parts = [part for part in self._body[index : index + 3] if part.sentence.line == line]
        if len(parts) != 2 or not parts[0].sentence.first or not parts[0].bare.endswith(":"):
            return False
        text = " ".join(part.bare for part in parts)
        return (
            len(text.split()) <= MAX_REMARK and not asking.has_number(text) and not content_words([text]) & self._words
        )

    def _fence_works_out(self, index: int) -> bool:
        """Whether the fence that opens here holds a calculation."""
        for part in self._body[index + 1 :]:
            if part.sentence.line.shape != "code":
                return False
            if asking.works_out(part.bare):
                return True
        return False

    def _is_one_of_several(self, part: Part) -> bool:
        """Whether "A:" is the first of A, B, C ... and no answer."""
        letter = part.bare.strip(" (").casefold().startswith("a:")
        return letter and any(_SECOND.search(other.bare) for other in self._body)

    def _is_another(self, line: Line) -> bool:
        """Whether an item that asks is a problem of its own: the first problem is an item too and nothing is before it,
        or its "1." was read as its label."""
        if line.shape != "numbered" or line.number < 2 or line not in self._last_of_line:
            return False
        first = self._body[0].sentence.line
        return self._line == first and (
            first.shape == "numbered" or (line.number == 2 and self._alone and not self._first_item())
        )

    def _first_item(self) -> bool:
        return any(part.sentence.line.shape == "numbered" and part.sentence.line.number == 1 for part in self._body)

    def _has_set_up(self) -> bool:
        """Whether facts stand before the first label of what asks: they belong to all that is labelled."""
        before = self._body[: self._at]
        label = next((index for index, part in enumerate(before) if part.role == "question"), 0)
        return any(part.role == "text" for part in before[:label])
