"""Crescent's reading of answers as a filter of lm-evaluation-harness.

In: responses and the items they answer. Out: the answer that `crescent.answers` reads from each, "[invalid]" where
there is none. A task's YAML uses it by name after `register`, or anywhere, `lm_eval` run by hand included, as

    filter_list:
      - name: crescent
        filter:
          - {function: !function crescent.evaluation.extraction.CrescentAnswers, kind: number, target: answer}
          - {function: take_first}

It judges nothing: the task's own metric compares the answer with the target.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lm_eval.api.filter import Filter
from lm_eval.api.registry import filter_registry
from lm_eval.utils import apply_template

from crescent.answers import equivalent, extract

NO_ANSWER = "[invalid]"  # as the harness's own filters say it


class CrescentAnswers(Filter):
    """Reads answers of a `kind` of `crescent.answers`.

    Metrics compare characters, and a target may be spelled in a way that no canonical form has ("1/4", "9.80"). Where
    `target` (a field of the item, or a template) is given, an answer that is `equivalent` to it is therefore handed on
    in the target's spelling. An item whose target is not of that kind ("Mrs. Hilt" among numbers) is read as
    `otherwise`, where that is given.
    """

    def __init__(self, kind: str = "number", otherwise: str | None = None, target: str | None = None) -> None:
        super().__init__()
        self._kind, self._otherwise, self._target = kind, otherwise, target

    def apply(self, resps: Iterable[Sequence[str]], docs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """The answers of each item's responses, in order."""
        return [
            [self._read(text, target) for text in texts]
            for texts, target in zip(resps, map(self._spelled, docs), strict=True)
        ]

    def _spelled(self, doc: Mapping[str, Any]) -> str | None:
        """What the metric compares with: the target behind its last "#### "."""
        if self._target is None:
            return None
        target = doc[self._target] if self._target in doc else apply_template(self._target, dict(doc))
        return re.sub(r"(?s).*#### ", "", str(target))

    def _read(self, text: str, target: str | None) -> str:
        if target is None:
            return extract(text, self._kind) or NO_ANSWER
        kind = self._kind
        if self._otherwise is not None and not equivalent(extract(target, kind), target.strip()):
            kind = self._otherwise
        answer = extract(text, kind)
        return target if _same(answer, target.strip(), kind) else answer or NO_ANSWER


def _same(answer: str | None, target: str, kind: str) -> bool:
    """Whether the whole target is meant: "40" is not "8; 40". Words may lack an article: "red team", "the red team"."""
    if answer is None or equivalent(answer, target):
        return answer is not None
    return kind != "number" and not any(map(str.isdigit, target)) and answer == extract(target, kind)


def register() -> None:
    """Makes the filter known to the harness as `crescent_answers`."""
    filter_registry.register("crescent_answers", target=CrescentAnswers)
