"""The training targets of a thinking model: only the answer of a response, or also its thoughts.

In: sampled responses, a tokenizer, `train.reasoning`. Out: the text of each whole conversation that the chat template
cannot write itself, and what to report about it. Templates remove thoughts from responses (DeepSeek R1), or have a
generation prompt that ends in an open thought but render conversations without it; then the target is what the model
should write after that prompt:

    prompt            ... <|Assistant|><think>\\n
    target, strip     \\n</think>\\n\\nIt is 12.<|end|>
    target, keep      Maybe 13?\\n</think>\\n\\nIt is 12.<|end|>

A teacher may write thoughts in another format than the student; they are then kept in the student's own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crescent.answers.thoughts import CLOSING, OPENING, Parts, first_tag, split_thoughts
from crescent.engines.thoughts import close_thought, open_thought, own_tags
from crescent.engines.turns import text_before_answer, text_behind_answer
from crescent.training.settings import Reasoning

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_EMPTY = re.compile(rf"(?:{OPENING})\s*(?:{CLOSING})\s*\Z", re.IGNORECASE)


Turns = Sequence[tuple[str, str]]
"""Questions with their answers, without thoughts, as templates expect them of earlier turns."""


def conversation(turns: Turns) -> list[dict[str, str]]:
    """The messages of a chat template."""
    roles = ("user", "assistant")
    return [{"role": role, "content": text} for turn in turns for role, text in zip(roles, turn, strict=True)]


@dataclass(frozen=True, slots=True)
class Target:
    """`response` is the input of the template. `text` is the whole conversation if the template cannot write it.

    `is_stripped`: thoughts were removed; `is_unthinking`: the target begins with an empty thought.
    """

    response: str
    text: str | None
    is_stripped: bool
    is_unthinking: bool


class Targets:
    """Makes targets for one chat template."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", reasoning: Reasoning) -> None:
        self._tokenizer, self._keeps = tokenizer, reasoning == "keep"
        self._opened = open_thought(self._prompt([("How many?", "")]))
        self._tags = own_tags(tokenizer)
        self._behind = text_behind_answer(tokenizer) or ""
        self._is_unthinking = bool(self._opened) or bool(_EMPTY.search(text_before_answer(tokenizer)))

    def of(self, question: str, response: str, earlier: Turns = ()) -> Target:
        """Returns the target of a pair after `earlier` turns."""
        parts = split_thoughts(response)
        has_thought = parts.answer != response
        prompt = [*earlier, (question, "")]
        if has_thought and self._keeps:
            return Target(response, self._whole(prompt, self._kept(response, parts)), False, False)
        answer = parts.answer.strip() if has_thought else response
        text = self._whole(prompt, close_thought(self._opened) + answer) if self._opened else None
        return Target(answer, text, has_thought, self._is_unthinking)

    def _whole(self, turns: Turns, completion: str) -> str:
        return self._prompt(turns) + completion + self._behind

    def _prompt(self, turns: Turns) -> str:
        tokenizer: Any = self._tokenizer
        chat = conversation(turns)[:-1]
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def _kept(self, response: str, parts: Parts) -> str:
        """The thoughts and the answer as they follow the prompt: as they were written, if in the student's format."""
        if self._tags is not None and not self._is_own(response, *self._tags):
            opened, closed = self._tags
            response = f"{opened}{parts.thought.strip()}{closed}{parts.answer.strip()}"
        if self._opened and not response.startswith(self._opened):
            return response.removeprefix(self._opened.rstrip())
        return response.removeprefix(self._opened)

    def _is_own(self, response: str, opened: str, closed: str) -> bool:
        """True if the first tag is the student's own, and the response continues an open thought where there is one."""
        before, tag = first_tag(response)
        if tag == opened.strip():
            return not self._opened or not before.strip()
        return bool(self._opened) and tag == first_tag(closed)[1]
