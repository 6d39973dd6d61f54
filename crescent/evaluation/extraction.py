"""Crescent's answer extraction as a filter of lm-evaluation-harness.

In: responses, and the items they answer. Out: the answer that `crescent.answers` extracts from each, or "[invalid]". A
task's YAML can use it by name after `register`, or without that (also with a plain `lm_eval`) as

    filter_list:
      - name: crescent
        filter:
          - {function: !function crescent.evaluation.extraction.CrescentAnswers, kind: number, target: answer}
          - {function: take_first}

It does not score: the task's own metric compares the answer with the target.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from lm_eval.api.filter import Filter
from lm_eval.api.registry import filter_registry
from lm_eval.utils import apply_template

from crescent.answers import equivalent, extract
from crescent.answers.symbolic import SymbolicEquality

NO_ANSWER = "[invalid]"  # the same text as in the harness's own filters
_PROSE = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{2,} [A-Za-z]{2,}")  # words in a row, outside \text{}
# 5\text{cm} · 15\mbox{cm}^2 · 5 cm · 90^\circ
_UNIT = re.compile(
    r"(?<=[\d.})])(?:\\(?:text|textrm|mathrm|mbox)\{[A-Za-z ./]+\}|\s[A-Za-z /]+|\^\{?\\circ\}?)(?:\^\{?\d\}?)?$"
)


class CrescentAnswers(Filter):
    """Extracts answers of a `kind` of `crescent.answers`.

    Metrics compare characters, and a target may be spelled unlike any canonical form ("1/4", "9.80"). So if `target` (a
    field of the item, or a template) is given, an answer `equivalent` to it is returned in the target's spelling. If
    `otherwise` is given, it is the kind for items whose target is not of `kind` ("Mrs. Hilt" among numbers). With
    `equality="symbolic"` an answer that is algebraically equal to the target is returned so, too (2\\sqrt{2} for
    \\sqrt{8}; `crescent.answers.symbolic`), as is one that differs from it only by having a unit or lacking its unit.
    """

    def __init__(
        self,
        kind: str = "number",
        otherwise: str | None = None,
        target: str | None = None,
        equality: Literal["canonical", "symbolic"] = "canonical",
    ) -> None:
        super().__init__()
        self._kind, self._otherwise, self._target, self._equality = kind, otherwise, target, equality

    def apply(self, resps: Iterable[Sequence[str]], docs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """The answers of each item's responses, in order."""
        with closing(SymbolicEquality()) as symbolic:  # starts a worker only if asked
            same = _same if self._equality == "canonical" else _symbolically(symbolic)
            return [
                [self._read(text, target, same) for text in texts]
                for texts, target in zip(resps, map(self._spelled, docs), strict=True)
            ]

    def _spelled(self, doc: Mapping[str, Any]) -> str | None:
        """The text that the metric compares with: the target after its last "#### "."""
        if self._target is None:
            return None
        target = doc[self._target] if self._target in doc else apply_template(self._target, dict(doc))
        return re.sub(r"(?s).*#### ", "", str(target))

    def _read(self, text: str, target: str | None, same: Callable[[str | None, str, str], bool]) -> str:
        if target is None:
            return extract(text, self._kind) or NO_ANSWER
        kind = self._kind
        if self._otherwise is not None and not equivalent(extract(target, kind), target.strip()):
            kind = self._otherwise
        answer = extract(text, kind)
        if kind == "expression" and answer and _PROSE.search(answer) and not same(answer, target.strip(), kind):
            answer = extract(text, "number") or answer  # "So there are 225 ways to choose them."
        return target if same(answer, target.strip(), kind) else answer or NO_ANSWER


def _same(answer: str | None, target: str, kind: str) -> bool:
    """True if the answer is the whole target: "40" is not "8; 40". Words may lack an article: "red team", "the red
    team".
    """
    if answer is None or equivalent(answer, target):
        return answer is not None
    return kind != "number" and not any(map(str.isdigit, target)) and answer == extract(target, kind)


def _symbolically(equality: SymbolicEquality) -> Callable[[str | None, str, str], bool]:
    """`_same`, for expressions: the target is read as a response's answer would be."""

    def same(answer: str | None, target: str, kind: str) -> bool:
        wanted = extract(rf"\boxed{{{target}}}", kind)
        if answer is None or wanted is None:
            return _same(answer, target, kind)
        if equality.equal(answer, wanted):
            return True
        bare, wanted_bare = _UNIT.sub("", answer), _UNIT.sub("", wanted)
        one_has_a_unit = (bare == answer) != (wanted_bare == wanted)
        return one_has_a_unit and equality.equal(bare, wanted_bare)

    return same


def register() -> None:
    """Registers the filter in the harness as `crescent_answers`."""
    filter_registry.register("crescent_answers", target=CrescentAnswers)
