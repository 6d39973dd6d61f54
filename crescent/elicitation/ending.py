"""Where a problem ends.

In: the parts from the first sentence of a problem on. Out: how many of them belong to the problem. Nothing before the
problem's question ends it; if a line asks twice, nothing before the second question does. After that:

    a mark   "Answer:", "### Solution", "---", another problem, talk      ends it
    a step   "First, 42 - 9 = 33.", if the facts are known                ends it, with the lines that repeat the facts
    else     a condition, a table, options, a part, facts                 does not
"""

import re
from collections.abc import Sequence

from crescent.elicitation import asking, solving
from crescent.elicitation.kinship import is_foreign
from crescent.elicitation.roles import Part, Role
from crescent.elicitation.sentences import Line
from crescent.elicitation.words import content_words

MARKED: frozenset[Role] = frozenset(
    ("answer", "solution", "comment", "turn", "rule", "question", "next", "modified", "original")
)  # fmt: skip
ENDS: frozenset[Role] = (MARKED - {"question"}) | frozenset(
    ("metadata", "lead", "farewell", "about", "request", "making", "refusal", "greeting", "offer", "thinking")
)
_ITEMS = ("numbered", "lettered", "bullet")
COMPLETE = 2  # numbers
PASSAGE = 4  # sentences
MAX_REMARK = 8  # words
_LITERAL = ("fence", "code", "table")
_NUMERAL = re.compile(r"\d[\d,.]*\d|\d")
_FOLLOWING = re.compile(r"\bfollowing\b|\bbelow\W*$", re.IGNORECASE)
_SECOND = re.compile(r"\bb\s*:", re.IGNORECASE)


def end_of(body: Sequence[Part]) -> int:
    """Number of parts that belong to the problem."""
    asking_at = [index for index, part in enumerate(body) if part.role == "text" and part.asks]
    if not asking_at:
        return next((i for i, part in enumerate(body) if part.role in ("answer", "solution", "turn")), len(body))
    return _Asked(body, asking_at).end()


class _Asked:
    """A problem that asks a question."""

    def __init__(self, body: Sequence[Part], asking_at: Sequence[int]) -> None:
        self._body, self._at = body, asking_at[0]
        self._last_of_line = {body[index].sentence.line: index for index in asking_at}
        self._line = body[self._at].sentence.line
        known = [part for part in body[: self._last_of_line[self._line] + 1] if part.role == "text"]
        self._announces = _FOLLOWING.search(body[self._last_of_line[self._line]].bare) is not None
        self._alone = not self._announces and (len(known) > 2 or any(asking.has_number(part.bare) for part in known))
        self._complete = self._alone and sum(asking.count_numbers(part.bare) for part in known) >= COMPLETE
        self._words = content_words(part.bare for part in known)
        self._asked = content_words(part.bare for part in body[: self._at + 1] if part.asks)
        self._asks_at_the_end = self._last_question(asking_at[-1])

    def end(self) -> int:
        for index in range(self._at + 1, len(self._body)):
            part = self._body[index]
            asks_later = index < self._last_of_line.get(part.sentence.line, -1)
            if asks_later and part.role not in MARKED and not part.sentence.first:
                continue
            if self._is_over(index, part):
                return self._begun(index) if part.role == "text" and self._alone else index
        return len(self._body)

    def _last_question(self, last: int) -> int:
        """Index of a final question about the problem's world, as at the end of a passage: text before it is not a
        solution unless it calculates. 0 if there is no such question, or if a mark comes before it."""
        behind, between = self._body[last + 1 :], self._body[self._at : last]
        if any(part.role == "text" for part in behind) or self._body[last].sentence.line.shape in _ITEMS:
            return 0
        if any(part.role in MARKED or solving.calculates(part.bare) for part in between):
            return 0
        if self._complete and any(map(self._is_another_story, range(self._at + 1, last + 1))):
            return 0
        bare = self._body[last].bare
        if self._complete and (asking.challenges(bare) or not (bare.endswith("?") or asking.breaks_off(bare))):
            return 0
        works_out = solving.works_out(bare) and not asking.breaks_off(bare)
        return 0 if works_out or is_foreign(bare, self._words) else last

    def _goes_on_at_length(self, index: int) -> bool:
        """True if a passage continues here although the sentence sounds like talk: "I hope every Indian will ..."."""
        behind = self._body[index + 1 : min(self._asks_at_the_end, index + 4 * PASSAGE)]
        return sum(part.role == "text" for part in behind) >= PASSAGE

    def _is_over(self, index: int, part: Part) -> bool:
        if part.role not in MARKED and self._goes_on_at_length(index):
            return False
        if part.role in ENDS:
            return not (part.role == "answer" and self._is_one_of_several(part))
        if part.role == "title":
            return self._alone and index < max(self._last_of_line.values())
        if part.role == "question":
            return part.number != 1 and not self._has_set_up()
        return part.role == "text" and index > self._asks_at_the_end and self._ends_as_text(index, part)

    def _ends_as_text(self, index: int, part: Part) -> bool:
        shape, bare = part.sentence.line.shape, part.bare
        if shape in _LITERAL:
            return self._alone and shape == "fence" and self._fence_works_out(index)
        if part.sentence.first and self._is_another(part.sentence.line):
            return True
        items = shape in ("numbered", "bullet") and part.sentence.first and not self._listed
        if items and self._alone and "?" not in bare:
            return solving.instructs(bare) or solving.works_out(self._line_from(index))
        if part.sentence.line.paragraph != self._line.paragraph and self._is_new_matter(index, part):
            return True
        if self._complete and part.sentence.first and part.asks and asking.challenges(bare):
            return True
        if self._complete and part.sentence.first and solving.recaps(bare) and self._body[self._at].bare.endswith("?"):
            return True
        if not self._alone or (part.asks and not solving.works_out(bare)):
            return False
        return self._answers(index, part)

    def _is_new_matter(self, index: int, part: Part) -> bool:
        """True if a new paragraph begins talk or a solution."""
        if is_foreign(part.bare, self._words) and not self._listing(part):
            return True
        if self._complete and self._is_another_story(index):
            return True
        if self._alone and (solving.works_as_we(part.bare) or self._is_remark(index)):
            return True
        last = index == len(self._body) - 1 and part.sentence.line.shape not in _ITEMS and part.sentence.alone
        return last and solving.is_bare_value(part.bare)

    def _answers(self, index: int, part: Part) -> bool:
        """True if a statement after a self-contained problem works it out, or states the answer."""
        sentence, bare, before = part.sentence, part.bare, self._body[index - 1].bare
        if self._complete and sentence.first and sentence.line != self._line and self._is_behind(index, part):
            return True
        if sentence.alone and sentence.line.shape != "lettered" and solving.is_bare_value(bare):
            return True
        inline = not sentence.first and before.endswith("?")
        if self._restates(part) or (inline and solving.is_one_value(bare)):
            return True
        announced = not sentence.first and before.endswith((":", "："))
        return not announced and solving.works_out(bare)

    def _is_behind(self, index: int, part: Part) -> bool:
        """True if a line with numbers after a complete problem is not one of its conditions, parts, tables or lists."""
        shape, bare = part.sentence.line.shape, part.bare
        if shape in (*_ITEMS, *_LITERAL, "heading", "quoted") or part.asks:
            return False
        if asking.requires(bare) or asking.converts(bare):
            return False
        return asking.has_number(self._line_from(index))

    def _is_another_story(self, index: int) -> bool:
        """True if a paragraph begins here that introduces somebody new, states facts and asks, and shares no word with
        the problem."""
        paragraph = self._body[index].sentence.line.paragraph
        parts = [part for part in self._body[index:] if part.sentence.line.paragraph == paragraph]
        told = parts[0].role == "text" and parts[0].sentence.first and asking.introduces(parts[0].bare)
        told = told and paragraph > self._line.paragraph
        if not told or len(parts) < 2 or not any(part.asks for part in parts):
            return False
        return not content_words(part.bare for part in parts) & self._words

    def _listing(self, part: Part) -> bool:
        """True if the part is where "the following" is expected: in the first paragraph after the question."""
        return self._announces and part.sentence.line.paragraph <= self._line.paragraph + 1

    def _restates(self, part: Part) -> bool:
        """True if the part states what was asked, with a value: "What is the price? The price is $28."."""
        if "?" in part.bare or not asking.has_number(part.bare):
            return False
        if asking.qualifies(part.bare) or asking.converts(part.bare):
            return False
        words = content_words([solving.without_values(part.bare)])
        if self._complete and words <= self._words and words & self._asked and self._is_new_value(part.bare):
            return True
        if not words:
            return solving.is_pronoun_with_value(part.bare)
        return words <= self._asked and solving.states(part.bare)

    def _is_new_value(self, bare: str) -> bool:
        """True if a statement with the problem's words gives one number that the problem does not: "Nina keeps 24
        apples."."""
        known = {number for part in self._body[: self._at + 1] for number in _NUMERAL.findall(part.bare)}
        return len({*_NUMERAL.findall(bare)} - known) == 1

    @property
    def _listed(self) -> bool:
        """True if the first question is an item of a list."""
        return self._line.shape in _ITEMS

    def _begun(self, index: int) -> int:
        """Start of the solution recognised at `index`, including the lines before it that repeat the facts."""
        while index - 1 > self._at:
            part = self._body[index - 1]
            repeats = part.role == "text" and part.sentence.line.shape == "plain" and part.sentence.line != self._line
            if not repeats or "?" in part.bare or asking.requires(part.bare) or part.bare.endswith((":", "：")):
                break
            index -= 1
        return index

    def _line_from(self, index: int) -> str:
        """The line that begins here, or enough of it to recognise a calculation."""
        line = self._body[index].sentence.line
        return " ".join(part.bare for part in self._body[index : index + 3] if part.sentence.line == line)

    def _is_remark(self, index: int) -> bool:
        """True if a line begins here with a key and a few words unrelated to the problem: "Focus: ratios"."""
        line = self._body[index].sentence.line
        parts = [part for part in self._body[index : index + 3] if part.sentence.line == line]
        if len(parts) != 2 or not parts[0].sentence.first or not parts[0].bare.endswith(":"):
            return False
        text = " ".join(part.bare for part in parts)
        return (
            len(text.split()) <= MAX_REMARK and not asking.has_number(text) and not content_words([text]) & self._words
        )

    def _fence_works_out(self, index: int) -> bool:
        """True if the fence that opens here contains a calculation."""
        for part in self._body[index + 1 :]:
            if part.sentence.line.shape != "code":
                return False
            if solving.works_out(part.bare) or solving.is_code(part.bare):
                return True
        return False

    def _is_one_of_several(self, part: Part) -> bool:
        """True if "A:" is the first of A, B, C ... rather than an answer."""
        letter = part.bare.strip(" (").casefold().startswith("a:")
        return letter and any(_SECOND.search(other.bare) for other in self._body)

    def _is_another(self, line: Line) -> bool:
        """True if an item that asks is a separate problem: the first problem is also an item and nothing precedes it,
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
        """True if facts precede the first label of a question: they apply to everything labelled."""
        before = self._body[: self._at]
        label = next((index for index, part in enumerate(before) if part.role == "question"), 0)
        return any(part.role == "text" for part in before[:label])
