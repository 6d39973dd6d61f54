"""Token ids of a prompt and seeds of its draws, the same for every engine.

In: a `Prompt` and a tokenizer. Out: ids with at most one begin-of-sequence token, or a seed. This module runs no model.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from crescent.engines import Prompt
from crescent.engines.spelling import chat_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode(prompt: Prompt, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Token ids of one user turn in the model's chat template, or of rendered text unchanged. Control tokens spelled
    out in the user turn are encoded as plain text."""
    if prompt.rendered:
        ids: Any = tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
    else:
        ids = chat_ids(tokenizer, [{"role": "user", "content": prompt.text}], add_generation_prompt=True)
    bos = tokenizer.bos_token_id
    assert bos is None or list(ids[:2]) != [bos, bos], "two begin-of-sequence tokens: text was templated twice"
    return list(ids)


def seed_of(seed: int, prompt: Prompt, bits: int) -> int:
    """A seed of `bits` bits for one draw of a text; consecutive draws have consecutive seeds.

    Engines that sample n completions from one seed count up from it, so a draw has the same seed no matter which other
    draws are requested with it.
    """
    text = f"{seed}:{prompt.rendered}:{prompt.text}".encode("utf-8", "surrogatepass")
    first = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    return (first + prompt.draw) % (1 << bits)
