"""The end of a turn: the token that a model's chat template puts after an answer.

In: a tokenizer with its chat template, and the end tokens listed in the model's folder. Out: the token id that training
teaches as the end of an answer, which must therefore end generated answers too, and whether the model lists it itself.
Training masks, all engines and the saved student use this module, so they cannot disagree. It loads no model.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANSWER = "Nine pears are left"  # used as an answer; occurs in no template
_CHAT = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": _ANSWER}]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a model's turns end.

    `end` is None if the template ends a turn without a special token. `is_listed`: the end is in the generation config
    or the tokenizer, so a model that was not trained here stops there as well. `is_followed`: the template continues
    after the end, as the first Llama 3's does with the next generation prompt.
    """

    end: int | None
    is_listed: bool
    is_followed: bool

    @property
    def unlisted(self) -> int | None:
        """The end, if the model would not stop there by itself."""
        return None if self.is_listed else self.end


def end_of_turn(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The first special token that the chat template puts after an answer; None if there is none."""
    behind = _control_tokens_behind(tokenizer)
    return behind[0] if behind else None


def end_tokens(generation_config: Any, tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Tokens that end an answer: those in the generation config (Llama 3.1 has several), the tokenizer's end token, and
    the chat template's end of turn."""
    return {*as_ids(getattr(generation_config, "eos_token_id", None)), *closing_tokens(tokenizer)}


def closing_tokens(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Tokens that end an answer even if the model does not list them: the chat template's end of turn and the
    tokenizer's end token."""
    return {*as_ids(end_of_turn(tokenizer)), *as_ids(tokenizer.eos_token_id)}


def without_end(tokens: Sequence[int], ends: Collection[int]) -> list[int]:
    """An answer's tokens without its end token, which decoding does not skip for every tokenizer."""
    return list(tokens[:-1] if tokens and tokens[-1] in ends else tokens)


def control_tokens(tokenizer: Any) -> set[int]:
    """Special and added tokens, except white space (Gemma has newlines as added tokens)."""
    added = {token for token, text in tokenizer.added_tokens_decoder.items() if text.content.strip()}
    return added | set(tokenizer.all_special_ids)


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """Tokens that decoding skips: id to text."""
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
    """Adds the template's end of turn to the model's generation config, so that the saved model stops there wherever it
    is loaded. Returns False, and changes nothing, if nothing was missing."""
    end, config = end_of_turn(tokenizer), getattr(model, "generation_config", None)
    listed = as_ids(getattr(config, "eos_token_id", None))
    if config is None or end is None or end in listed:
        return False
    config.eos_token_id = [*listed, end]
    return True


def listed_ends(folder: Path) -> list[int]:
    """End tokens listed by a saved model: in its generation config, or without one in its config, as in the library."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).exists():
            config = json.loads((folder / name).read_text(encoding="utf-8"))
            return as_ids(config.get("eos_token_id", (config.get("text_config") or {}).get("eos_token_id")))
    return []


def as_ids(value: Any) -> list[int]:
    """Turns an id, a list of ids, or None into a list."""
    return [int(one) for one in (value if isinstance(value, Sequence) else [value]) if one is not None]


def text_behind_answer(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """What the chat template writes after an answer; None if it cannot render one."""
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
    """What the chat template writes between its generation prompt and an answer: usually nothing; for Qwen3 an empty
    thought. "" if the rendered answer does not start with the generation prompt."""
    prompt = str(tokenizer.apply_chat_template(_CHAT[:1], tokenize=False, add_generation_prompt=True))
    text = str(tokenizer.apply_chat_template(_CHAT, tokenize=False))
    return text[len(prompt) : text.rfind(_ANSWER)] if text.startswith(prompt) else ""


def _control_tokens_behind(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Control tokens that the template puts after an answer, in order; empty if it cannot render one."""
    behind = text_behind_answer(tokenizer)
    if behind is None:
        return []
    ids: Any = tokenizer(behind, add_special_tokens=False)["input_ids"]
    control = control_tokens(tokenizer)
    return [token for token in ids if token in control]
