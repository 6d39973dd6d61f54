"""Token ids of conversations, with the model's own chat template, and where their targets begin.

In: questions with responses, perhaps after earlier turns, and a tokenizer. Out: a `Coded` for each: the ids of prompt
and response up to the end-of-turn token, or why it cannot be trained on.

Text is rendered and tokenised in one call of `apply_chat_template`; tokenising rendered text again with special tokens
is how a sequence gets two BOS.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from crescent.core.errors import UserError
from crescent.engines.spelling import ids_behind, spellable
from crescent.engines.thoughts import Decoder
from crescent.engines.turns import closing_tokens, end_of_turn
from crescent.training.settings import Overlong, Reasoning
from crescent.training.targets import Target, Targets, Turns, conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = [("a", "b")]


@dataclass(frozen=True, slots=True)
class Coded:
    """Token ids of a conversation, of which the first `prompt_tokens` are the prompt. `fault` is why it cannot be
    trained on."""

    ids: tuple[int, ...]
    prompt_tokens: int
    target: Target
    is_cut: bool
    fault: Literal["unsafe", "too long"] | None = None


class Encoder:
    """Encodes conversations for one chat template. Raises UserError if it does not allow a loss mask."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", max_length: int, overlong: Overlong, reasoning: Reasoning
    ) -> None:
        self._tokenizer, self._max_length, self._cuts = tokenizer, max_length, overlong == "cut"
        self._targets = Targets(tokenizer, reasoning)
        self._ends = closing_tokens(tokenizer)
        marks = Decoder(tokenizer).marks  # of thoughts: some targets contain more of them
        self._special = ({*tokenizer.all_special_ids, *spellable(tokenizer)} - marks) | self._ends
        self._normal: dict[int, Counter[int]] = {}
        _check_one_bos(_render(tokenizer, [_PROBE], whole=False)[0], tokenizer)
        if end_of_turn(tokenizer) is None:
            raise UserError(
                "the chat template ends the assistant's turn without a special token, so the model would never learn "
                "to stop. Choose another model, or fix its chat_template.jinja."
            )

    def encode(self, conversations: Sequence[Turns]) -> list[Coded]:
        """Each conversation is a pair, after any earlier turns."""
        targets = [self._targets.of(*turns[-1], turns[:-1]) for turns in conversations]
        chats = [
            [*turns[:-1], (turns[-1][0], target.response)] for turns, target in zip(conversations, targets, strict=True)
        ]
        prompts = _render(self._tokenizer, chats, whole=False) if chats else []
        wholes = _render(self._tokenizer, chats, whole=True) if chats else []
        return [self._coded(*each) for each in zip(chats, targets, prompts, wholes, strict=True)]

    def _coded(self, chat: Turns, target: Target, prompt: list[int], whole: list[int]) -> Coded:
        if target.text is not None:
            whole = list(self._tokenizer(target.text, add_special_tokens=False)["input_ids"])
        if whole[: len(prompt)] != prompt:
            whole = self._continued(prompt, chat, target)
        if self._counts(whole) != self._normal_counts(len(chat)):
            return Coded((), 0, target, False, "unsafe")
        ids = _through_end_of_turn(whole, len(prompt), self._ends)
        is_long = len(ids) > self._max_length
        if len(prompt) >= self._max_length or (is_long and not self._cuts):
            return Coded((), 0, target, False, "too long")
        return Coded(tuple(ids[: self._max_length]), len(prompt), target, is_long)

    def _continued(self, prompt: list[int], chat: Turns, target: Target) -> list[int]:
        """The conversation if its tokens do not continue the prompt's, because the response begins with white space
        that merges with the end of the prompt (Qwen2.5: newlines). The model continues the prompt as it is: so does
        the target.
        """
        render: Any = self._tokenizer.apply_chat_template
        messages = conversation(chat)
        before = str(render(messages[:-1], tokenize=False, add_generation_prompt=True))
        text = target.text or str(render(messages, tokenize=False))
        if not text.startswith(before):
            raise UserError(
                f"the chat template does not continue its own generation prompt (question {chat[-1][0][:40]!r}), so a "
                "loss mask cannot separate prompt and response. Choose another model, or fix its chat_template.jinja."
            )
        return [*prompt, *ids_behind(self._tokenizer, text[len(before) :])]

    def _normal_counts(self, turns: int) -> Counter[int]:
        """Those of every conversation of so many turns whose text spells no control token."""
        if turns not in self._normal:
            self._normal[turns] = self._counts(_render(self._tokenizer, [_PROBE * turns], whole=True)[0])
        return self._normal[turns]

    def _counts(self, ids: list[int]) -> Counter[int]:
        return Counter(token for token in ids if token in self._special)


def _render(tokenizer: Any, chats: Sequence[Turns], whole: bool) -> list[list[int]]:
    """Token ids of the prompts, including the generation prompt, or of the whole conversations."""
    messages = [conversation(turns)[: None if whole else -1] for turns in chats]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=not whole, tokenize=True, return_dict=True)[
        "input_ids"
    ]


def _check_one_bos(ids: list[int], tokenizer: Any) -> None:
    bos = tokenizer.bos_token_id
    # Only the first two: a template may use its BOS to open each turn (SmolLM2 does).
    if bos is not None and ids[:2] == [bos, bos]:
        raise UserError("the chat template begins with two BOS tokens; remove one from the model's chat template")


def _through_end_of_turn(whole: list[int], start: int, ends: set[int]) -> list[int]:
    """`whole` up to its last end-of-turn token. Templates put text after it that no model generates: a newline
    (ChatML), or the next generation prompt (the first Llama 3)."""
    return whole[: max(position for position in range(start, len(whole)) if whole[position] in ends) + 1]
