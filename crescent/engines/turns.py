"""The end of a turn: the token that a model's chat template puts after an answer.

In: a tokenizer with its chat template, and what the model's folder lists as ends. Out: the one id that training teaches
a model to end with, which therefore must end its answers too, and whether the model lists it itself. The mask of
training, every engine, and the saved student ask here, so that they cannot disagree. It loads no model.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANSWER = "Nine pears are left"  # as an answer; no template contains it
_CHAT = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": _ANSWER}]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a model's turns end.

    `end` is None where the template ends a turn with no special token. `is_listed`: the generation config or the
    tokenizer has it, so that a model which was not trained here stops there as well. `is_followed`: the template goes
    on after the end, as the first Llama 3's does with the next generation prompt.
    """

    end: int | None
    is_listed: bool
    is_followed: bool

    @property
    def unlisted(self) -> int | None:
        """The end, if the model would not stop there by itself."""
        return None if self.is_listed else self.end


def end_of_turn(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The first special token that the chat template puts after an answer; None where it puts none."""
    behind = _control_tokens_behind(tokenizer)
    return behind[0] if behind else None


def end_tokens(generation_config: Any, tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Tokens that end an answer: those the generation config lists (Llama 3.1 has several), the tokenizer's, and the
    chat template's."""
    return {*as_ids(getattr(generation_config, "eos_token_id", None)), *closing_tokens(tokenizer)}


def closing_tokens(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Tokens that end an answer whatever the model lists: the chat template's end of turn and the tokenizer's."""
    return {*as_ids(end_of_turn(tokenizer)), *as_ids(tokenizer.eos_token_id)}


def without_end(tokens: Sequence[int], ends: Collection[int]) -> list[int]:
    """An answer's tokens without the one that ended it: not every tokenizer has it among those that decoding skips."""
    return list(tokens[:-1] if tokens and tokens[-1] in ends else tokens)


def control_tokens(tokenizer: Any) -> set[int]:
    """Special and added tokens, but not white space (Gemma has newlines as added tokens)."""
    added = {token for token, text in tokenizer.added_tokens_decoder.items() if text.content.strip()}
    return added | set(tokenizer.all_special_ids)


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """The tokens that decoding skips, with their text."""
    added = {token: text.content for token, text in tokenizer.added_tokens_decoder.items() if text.special}
    return {**dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)), **added}


def turn_of(folder: Path, tokenizer: "PreTrainedTokenizerBase") -> Turn:
    """How turns end with the template of `tokenizer` and the model in `folder`."""
    behind = _control_tokens_behind(tokenizer)
    if not behind:
        return Turn(None, False, False)
    listed = {*listed_ends(folder), *as_ids(tokenizer.eos_token_id)}
    return Turn(behind[0], behind[0] in listed, behind[-1] not in closing_tokens(tokenizer))


def list_end(model: Any, tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Adds the template's end of turn to the model's generation config, so that whoever loads the saved model stops
    there. False where nothing was missing; then the config is left as it is."""
    end, config = end_of_turn(tokenizer), getattr(model, "generation_config", None)
    listed = as_ids(getattr(config, "eos_token_id", None))
    if config is None or end is None or end in listed:
        return False
    config.eos_token_id = [*listed, end]
    return True


def listed_ends(folder: Path) -> list[int]:
    """Ends that a saved model lists: in its generation config, or without one in its config, as the library has it."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).exists():
            config = json.loads((folder / name).read_text(encoding="utf-8"))
            return as_ids(config.get("eos_token_id", (config.get("text_config") or {}).get("eos_token_id")))
    return []


def as_ids(value: Any) -> list[int]:
    """An id, a list of them, or None, as a list."""
    return [int(one) for one in (value if isinstance(value, Sequence) else [value]) if one is not None]


def text_behind_answer(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """What the chat template writes behind an answer; None where it cannot render one."""
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        return None
    try:
        text = str(tokenizer.apply_chat_template(_CHAT, tokenize=False))
    except TemplateError:
        return None
    at = text.rfind(_ANSWER)
    return None if at < 0 else text[at + len(_ANSWER) :]


def text_before_answer(tokenizer: "PreTrainedTokenizerBase") -> str:
    """What the chat template writes between its generation prompt and an answer: most nothing, Qwen3's an empty
    thought. Nothing too where it does not go on from its generation prompt."""
    prompt = str(tokenizer.apply_chat_template(_CHAT[:1], tokenize=False, add_generation_prompt=True))
    text = str(tokenizer.apply_chat_template(_CHAT, tokenize=False))
    return text[len(prompt) : text.rfind(_ANSWER)] if text.startswith(prompt) else ""


def _control_tokens_behind(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Control tokens that the template puts after an answer, in order; none where it cannot render one."""
    behind = text_behind_answer(tokenizer)
    if behind is None:
        return []
    ids: Any = tokenizer(behind, add_special_tokens=False)["input_ids"]
    control = control_tokens(tokenizer)
    return [token for token in ids if token in control]
