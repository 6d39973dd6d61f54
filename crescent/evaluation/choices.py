"""How the choices of a model that thinks are scored: as answers, and not as what it might think.

In: log-likelihood requests of the harness. Out: the same, each behind an empty thought where its prompt ends in an open
one (DeepSeek R1: `<think>`), and what is to be said of it. Inside of a thought every choice is a beginning of it, and
its likelihood says nothing about the answer. Prompts that open no thought are as the harness makes them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from lm_eval.api.instance import Instance

from crescent.engines.thoughts import close_thought, open_thought

CLOSED = "choices are scored as answers without a thought: the one that the chat template opens is closed at once"
UNTHOUGHT = (
    "choices are scored where the model would begin to think. Where its chat template has a switch, turn thinking off "
    "for such tasks: 'model.chat_template_kwargs={enable_thinking: false}'"
)


def as_answers(requests: Sequence[Instance]) -> tuple[list[Instance], bool]:
    """The requests with open thoughts closed, and whether there were any."""
    closed = [_as_answer(request) for request in requests]
    return closed, any(one is not request for one, request in zip(closed, requests, strict=True))


def _as_answer(request: Instance) -> Instance:
    context, choice = cast(tuple[str, str], request.args[:2])
    opened = open_thought(context)
    return replace(request, arguments=(context + close_thought(opened), choice)) if opened else request
