"""Whether `train.max_length` has room for a pair at all, which can be known before anything is generated.

In: settings, weights. Out: nothing, a warning, or a UserError. Reads the tokenizer; a model that is not on this machine
is checked once it is downloaded.
"""

from functools import lru_cache

from crescent.core.errors import UserError
from crescent.engines.model_files import folder_if_here
from crescent.engines.spelling import chat_ids
from crescent.engines.weights import Weights, tokenizer_if_here
from crescent.training.settings import TrainSettings

PLENTY = 512
"""Tokens that the shortest pairs never take in a chat template; so no tokenizer needs to be loaded to check that."""
_SHORTEST = ("a", "a")
_SHORT = ("What is 1 + 1?", "1 + 1 = 2. The answer is 2.")


def check_length(settings: TrainSettings, weights: Weights) -> None:
    """Raises UserError if even a pair of one letter each is too long for `train.max_length`."""
    if settings.max_length >= PLENTY:
        return
    least, _ = _lengths_if_here(weights)
    if least - (settings.overlong == "cut") > settings.max_length:
        raise UserError(
            f"train.max_length is {settings.max_length}, but in the chat template of {weights.name!r} even a question "
            f"and an answer of one letter take {least} tokens, so there would be nothing to train on; raise it"
        )


def why_short(settings: TrainSettings, weights: Weights) -> str | None:
    """A warning if `train.max_length` leaves out all but the shortest pairs; None if not, or if it cannot be known."""
    if settings.max_length >= PLENTY:
        return None
    _, short = _lengths_if_here(weights)
    if short <= settings.max_length:
        return None
    return (
        f"train.max_length is {settings.max_length}, but in the chat template of {weights.name!r} a pair as short as "
        f"{' '.join(_SHORT)!r} takes {short} tokens: most pairs will be too long to train on; raise it"
    )


def _lengths_if_here(weights: Weights) -> tuple[int, int]:
    folder = folder_if_here(weights)
    return (0, 0) if folder is None else _lengths(weights.in_folder(folder))


@lru_cache(maxsize=8)
def _lengths(weights: Weights) -> tuple[int, int]:
    """Tokens of the shortest pair, and of a short one, through the end of the turn; 0 if they cannot be known."""
    tokenizer = tokenizer_if_here(weights)
    if tokenizer is None:
        return 0, 0
    lengths = []
    for question, answer in (_SHORTEST, _SHORT):
        prompt = chat_ids(tokenizer, [{"role": "user", "content": question}], add_generation_prompt=True)
        lengths.append(len(prompt) + len(list(tokenizer(answer, add_special_tokens=False)["input_ids"])) + 1)
    return lengths[0], lengths[1]
