"""Scores the choices of a thinking model as answers, not as thoughts.

In: log-likelihood requests of the harness. Out: the same requests; if a prompt ends in an open thought (DeepSeek R1:
`<think>`), it is closed before the choice. Within a thought, the likelihood of a choice says nothing about the answer.
Other prompts stay as the harness makes them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from lm_eval.api.instance import Instance

from crescent.engines.thoughts import close_thought, open_thought

CLOSED = "choices are scored as answers without a thought: the thought that the chat template opens is closed first"
UNTHOUGHT = (
    "choices are scored at the point where the model would start to think. If its chat template has a switch, turn "
    "thinking off for such tasks: 'model.chat_template_kwargs={enable_thinking: false}'"
)


def as_answers(requests: Sequence[Instance]) -> tuple[list[Instance], bool]:
    """(the requests with open thoughts closed, True if there were any)."""
    closed = [_as_answer(request) for request in requests]
    return closed, any(one is not request for one, request in zip(closed, requests, strict=True))


def _as_answer(request: Instance) -> Instance:
    context, choice = cast(tuple[str, str], request.args[:2])
    opened = open_thought(context)
    return replace(request, arguments=(context + close_thought(opened), choice)) if opened else request
