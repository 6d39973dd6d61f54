"""Which attention implementation a model's configuration needs.

In: a configuration. Out: the name to load the model with, or None where the library's own choice computes all of it.
Gemma 2 soft-caps its attention scores (arXiv 2408.00118, section 2). `scaled_dot_product_attention` cannot; releases of
transformers before 5.21 choose it all the same and leave the cap out. It loads no model.
"""

from collections.abc import Mapping
from typing import Any

EAGER = "eager"
"""Computes everything a configuration can ask for, in every release; flash and flex attention do so in some."""


def needed_attention(config: Any) -> str | None:
    """For `from_pretrained(attn_implementation=...)`. `config`: of the library, or a config.json as it was read."""
    return EAGER if is_soft_capped(config) else None


def is_soft_capped(config: Any) -> bool:
    """Whether attention scores are soft-capped."""
    if isinstance(config, Mapping):
        text = config.get("text_config") or config
        return bool(text.get("attn_logit_softcapping"))
    return bool(getattr(config.get_text_config(decoder=True), "attn_logit_softcapping", None))
