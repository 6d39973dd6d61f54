"""From a prompt to the token ids that a model reads, and what tells two draws of it apart: the same for every engine.

In: a `Prompt` and a tokenizer. Out: ids with at most one begin-of-sequence token, or a seed. It runs no model.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from crescent.engines import Prompt
from crescent.engines.spelling import chat_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode(prompt: Prompt, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Token ids of one user turn in the model's own chat template, or of rendered text as it is. Control tokens that
    the turn itself spells out are read as text."""
    if prompt.rendered:
        ids: Any = tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
    else:
        ids = chat_ids(tokenizer, [{"role": "user", "content": prompt.text}], add_generation_prompt=True)
    bos = tokenizer.bos_token_id
    assert bos is None or list(ids[:2]) != [bos, bos], "two begin-of-sequence tokens: text was templated twice"
    return list(ids)


def seed_of(seed: int, prompt: Prompt, bits: int) -> int:
    """A seed of so many bits for the draws of a text: consecutive draws have consecutive seeds.

    Engines that make n samples from one seed count up from it, so a draw has the same seed whichever draws are asked
    for beside it.
    """
    text = f"{seed}:{prompt.rendered}:{prompt.text}".encode("utf-8", "surrogatepass")
    first = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    return (first + prompt.draw) % (1 << bits)
