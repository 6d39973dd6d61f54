"""Counts the prompts of log-likelihood requests that exceed a model's context.

In: the harness's requests and its model. Out: counts, before anything is scored. (The harness cuts such prompts at the
beginning and mentions it only in its debug log; a choice longer than the context ends in an assertion error.)
"""

from collections.abc import Sequence
from typing import Any, cast

from lm_eval.api.instance import Instance

from crescent.core.errors import UserError


def count_cut(model: Any, requests: Sequence[Instance], title: str) -> tuple[int, int]:
    """(prompts that lose their beginning, prompts) for `model`, an HFLM; several choices may share a prompt.

    Raises UserError for a choice that is longer than the context.
    """
    cut: dict[str, bool] = {}
    for request in requests:
        context, choice = cast(tuple[str, str], request.args[:2])
        cut[context] = cut.get(context, False) or not _fits(model, context, choice, title)
    return sum(cut.values()), len(cut)


def _fits(model: Any, context: str, choice: str, title: str) -> bool:
    """True if prompt and choice fit; the choice's last token is only predicted, not read."""
    if len((context + choice).encode("utf-8", "replace")) < model.max_length:  # a token is at least one byte
        return True
    read, scored = model._encode_pair(context, choice) if context else ([0], model.tok_encode(choice))
    if len(scored) > model.max_length:
        raise UserError(
            f"{title}: a choice has {len(scored)} tokens, and the context of the model holds {model.max_length}; leave "
            "the task out, or use a model with a longer context"
        )
    return len(read) + len(scored) <= model.max_length + 1
