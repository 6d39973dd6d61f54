"""Converts question-and-response pairs to token ids and labels with the model's own chat template.

In: `QAPair`s and a tokenizer. Out: `Example`s whose loss covers exactly the response and its end-of-turn token, and
padded batches of them. Independent of the model and the order of training (see `batch_schedule.py`).

Text is rendered and tokenised in one call of `apply_chat_template`; tokenising rendered text again with special tokens
is how a sequence gets two BOS.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.engines.spelling import ids_behind, spellable
from crescent.engines.thoughts import Decoder
from crescent.engines.turns import closing_tokens, end_of_turn
from crescent.training.settings import Overlong, Reasoning
from crescent.training.targets import Target, Targets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a position without loss, as in torch's cross entropy."""
_PROBE = [("a", "b")]


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence. The first `prompt_tokens` ids carry no loss, all others do."""

    question_id: str
    ids: tuple[int, ...]
    prompt_tokens: int

    @property
    def target_tokens(self) -> int:
        """Number of ids that carry loss."""
        return len(self.ids) - self.prompt_tokens

    @property
    def labels(self) -> tuple[int, ...]:
        """One label per id, not shifted."""
        return (IGNORED,) * self.prompt_tokens + self.ids[self.prompt_tokens :]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The usable examples, and the question ids of pairs that were cut (`truncated`) or dropped.

    `too_long`: the pair is longer than `max_length`, or the prompt alone fills it so that no target would be left.
    `unsafe`: the text itself spells a control token of the template, such as an end of turn. `stripped` counts
    responses whose thoughts are not targets, `unthinking` targets that begin with an empty thought.
    """

    examples: list[Example]
    truncated: list[str]
    too_long: list[str]
    unsafe: list[str]
    stripped: int = 0
    unthinking: int = 0

    @property
    def dropped(self) -> int:
        """Number of pairs not trained on."""
        return len(self.too_long) + len(self.unsafe)


def encode_pairs(
    pairs: Sequence[QAPair],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    overlong: Overlong = "drop",
    reasoning: Reasoning = "strip",
) -> Encoded:
    """Returns examples in the order of `pairs`. Raises UserError if the template does not allow a loss mask.

    A pair of more than `max_length` tokens is dropped, or with `overlong="cut"` trained on without its end, which
    contains the answer.
    """
    made = Targets(tokenizer, reasoning)
    targets = [made.of(pair.question, pair.response) for pair in pairs]
    stripped, unthinking = sum(one.is_stripped for one in targets), sum(one.is_unthinking for one in targets)
    encoded = Encoded([], [], [], [], stripped, unthinking)
    ends = closing_tokens(tokenizer)
    marks = Decoder(tokenizer).marks  # of thoughts: some targets contain more of them
    special = ({*tokenizer.all_special_ids, *spellable(tokenizer)} - marks) | ends
    normal = _counts(_render(tokenizer, _PROBE, whole=True)[0], special)
    _check_one_bos(_render(tokenizer, _PROBE, whole=False)[0], tokenizer)
    turns = [(pair.question, target.response) for pair, target in zip(pairs, targets, strict=True)]
    prompts, wholes = _render(tokenizer, turns, whole=False), _render(tokenizer, turns, whole=True)
    if end_of_turn(tokenizer) is None:
        raise UserError(
            "the chat template ends the assistant's turn without a special token, so the model would never learn to "
            "stop. Choose another model, or fix its chat_template.jinja."
        )
    for pair, target, prompt, whole in zip(pairs, targets, prompts, wholes, strict=True):
        if target.text is not None:
            whole = list(tokenizer(target.text, add_special_tokens=False)["input_ids"])
        if whole[: len(prompt)] != prompt:
            whole = _continued(tokenizer, prompt, pair.question, target)
        if _counts(whole, special) != normal:
            encoded.unsafe.append(pair.question_id)
            continue
        ids = _through_end_of_turn(whole, len(prompt), ends)
        if len(prompt) >= max_length or (len(ids) > max_length and overlong == "drop"):
            encoded.too_long.append(pair.question_id)
            continue
        if len(ids) > max_length:
            encoded.truncated.append(pair.question_id)
        encoded.examples.append(Example(pair.question_id, tuple(ids[:max_length]), len(prompt)))
    return encoded


def collate(
    examples: Sequence[Example], pad_id: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns (ids, labels), both int64 of shape (examples, longest), padded on the right.

    No attention mask is needed: causal attention never looks to the right, where all padding is.
    """
    longest = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + (pad_id,) * (longest - len(example.ids)) for example in examples])
    labels = torch.tensor([example.labels + (IGNORED,) * (longest - len(example.ids)) for example in examples])
    return ids.to(device), labels.to(device)


def _render(tokenizer: Any, turns: Sequence[tuple[str, str]], whole: bool) -> list[list[int]]:
    """Token ids of the prompts, including the generation prompt, or of the whole conversations."""
    chats = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": response}][: 2 if whole else 1]
        for question, response in turns
    ]
    return tokenizer.apply_chat_template(chats, add_generation_prompt=not whole, tokenize=True, return_dict=True)[
        "input_ids"
    ]


def _check_one_bos(ids: list[int], tokenizer: Any) -> None:
    bos = tokenizer.bos_token_id
    # Only the first two: a template may use its BOS to open each turn (SmolLM2 does).
    if bos is not None and ids[:2] == [bos, bos]:
        raise UserError("the chat template begins with two BOS tokens; remove one from the model's chat template")


def _continued(tokenizer: Any, prompt: list[int], question: str, target: Target) -> list[int]:
    """The conversation if its tokens do not continue the prompt's, because the response begins with white space that
    merges with the end of the prompt (Qwen2.5: newlines). The model continues the prompt as it is: so does the target.
    """
    asked: Any = [{"role": "user", "content": question}]
    before = str(tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))
    chat = [*asked, {"role": "assistant", "content": target.response}]
    text = target.text or str(tokenizer.apply_chat_template(chat, tokenize=False))
    if not text.startswith(before):
        raise UserError(
            f"the chat template does not continue its own generation prompt (question {question[:40]!r}), so a loss "
            "mask cannot separate prompt and response. Choose another model, or fix its chat_template.jinja."
        )
    return [*prompt, *ids_behind(tokenizer, text[len(before) :])]


def _counts(ids: list[int], special: set[int]) -> Counter[int]:
    """Count of each special token: the same in every conversation unless the text spells one."""
    return Counter(token for token in ids if token in special)


def _through_end_of_turn(whole: list[int], start: int, ends: set[int]) -> list[int]:
    """`whole` up to its last end-of-turn token. Templates put text after it that no model generates: a newline
    (ChatML), or the next generation prompt (the first Llama 3)."""
    return whole[: max(position for position in range(start, len(whole)) if whole[position] in ends) + 1]
