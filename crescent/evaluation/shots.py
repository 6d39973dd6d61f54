"""Draws worked examples that are not related to the item.

In: a task's examples and an item. Out: examples made from other seed questions. GSM-Plus-mini draws its examples from
the same set that it scores, in which every question has seven siblings: rewordings, or the same with other numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.samplers import SAMPLER_REGISTRY, ContextSampler

SEED_FIELD = "seed_question"


class NoSiblings(ContextSampler):
    """The harness's sampler without the examples whose `seed_question` is the item's.

    Used by name after `register` (`fewshot_config: {sampler: no_siblings}`), or without that as `sampler: !function
    crescent.evaluation.shots.NoSiblings`.
    """

    def sample(
        self, n: int, eval_doc: Mapping[str, Any] | None = None, df: Any = None, **options: Any
    ) -> Sequence[dict[str, Any]]:
        """Draws `n` examples; from the whole pool if there is no item to exclude."""
        pool = [doc for doc in self.fewshot_docs() if eval_doc is None or doc[SEED_FIELD] != eval_doc[SEED_FIELD]]
        return self.rnd.sample(pool, n)


def register() -> None:
    """Registers the sampler in the harness as `no_siblings`."""
    SAMPLER_REGISTRY["no_siblings"] = NoSiblings
