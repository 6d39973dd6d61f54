"""Which attention implementation a model's configuration needs.

In: a configuration. Out: the implementation to load the model with, or None if the library's default is correct. Gemma
2 soft-caps its attention scores (arXiv 2408.00118, section 2). `scaled_dot_product_attention` does not support that;
transformers before 5.21 chooses it anyway and ignores the cap. This module loads no model.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EAGER = "eager"
"""Supports every configuration in every release; flash and flex attention do so only in some releases."""


def needed_attention(config: Any) -> str | None:
    """For `from_pretrained(attn_implementation=...)`. `config` is the library's object or the parsed config.json."""
    return EAGER if is_soft_capped(config) else None


def is_soft_capped(config: Any) -> bool:
    """True if the model soft-caps its attention scores."""
    if isinstance(config, Mapping):
        text = config.get("text_config") or config
        return bool(text.get("attn_logit_softcapping"))
    return bool(getattr(config.get_text_config(decoder=True), "attn_logit_softcapping", None))


def needed_attention_in(folder: Path) -> str | None:
    """`needed_attention` of the config.json in a model's folder; None without one."""
    file = folder / "config.json"
    return needed_attention(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None
