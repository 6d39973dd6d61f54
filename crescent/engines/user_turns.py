"""The user turn of a chat template, left open for the model to complete (`elicit=pre_query`).

In: weights, and the text of a system turn. Out: the rendered template up to the user's text, and what ends a user turn.
Reads the tokenizer; loads no model.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crescent.core.errors import UserError
from crescent.engines.turns import closing_tokens, control_tokens
from crescent.engines.weights import Weights, load_tokenizer, local_folder, tokenizer_if_here

_QUESTION = "Seven pears and a plum"  # stands for the user's text; no template contains it


@dataclass(frozen=True, slots=True)
class UserTurn:
    """`prefix` is rendered text, including special tokens. `marks` end the turn: control tokens, as text, at which the
    model does not stop by itself; if the template has none, the text that follows the user's."""

    prefix: str
    marks: tuple[str, ...]


@lru_cache(maxsize=8)
def user_turn(weights: Weights, system: str | None) -> UserTurn:
    """The open user turn, after a system turn if `system` is given. Raises UserError if the template has no place for
    one of them.
    """
    return _user_turn(load_tokenizer(weights.in_folder(local_folder(weights))), weights.name, system)


def check_user_turn(weights: Weights, system: str | None, loads_weights: bool) -> None:
    """Raises UserError if `user_turn` would. A model that the run itself downloads is not checked."""
    tokenizer = tokenizer_if_here(weights)
    if tokenizer is not None:
        _user_turn(tokenizer, weights.name, system)
    elif not loads_weights:
        raise UserError(
            f"elicit=pre_query opens a turn of {weights.name}'s chat template, and its tokenizer is not on this "
            "machine: set model.path to a folder that has it, or choose elicit=bait or an engine that loads the model"
        )


def _user_turn(tokenizer: Any, name: str, system: str | None) -> UserTurn:
    from jinja2 import TemplateError

    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": _QUESTION})
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        hint = "leave elicit.opening.system at null" if system else "choose elicit=bait"
        raise UserError(f"elicit=pre_query: the chat template of {name} refuses such turns ({error}); {hint}") from None
    prefix, found, behind = text.rpartition(_QUESTION)
    if not found:
        raise UserError(f"elicit=pre_query: the chat template of {name} has no user turn; choose elicit=bait")
    if system and system.strip() not in prefix:
        raise UserError(f"elicit.opening.system: {name} has a template that leaves it out; leave it at null")
    return UserTurn(prefix, _marks(tokenizer, prefix, behind))


def _marks(tokenizer: Any, prefix: str, behind: str) -> tuple[str, ...]:
    ids = [token for text in (behind, prefix) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    control = control_tokens(tokenizer) - {tokenizer.bos_token_id}
    marks = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in ids if token in control}
    if not marks and behind.strip():
        return (behind.strip(),)
    return tuple(text for token, text in marks.items() if token not in closing_tokens(tokenizer))
