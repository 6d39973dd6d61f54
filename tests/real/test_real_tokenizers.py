"""A tokenizer read from a GGUF file splits text as the published one does."""

import os
from pathlib import Path
from typing import Any

import pytest

from crescent.engines.weights import load_tokenizer

from .by_sample import GEMMA3, SMOLLM2

pytestmark = pytest.mark.real
PUBLISHED = os.environ.get("CRESCENT_TOKENIZERS")
TEXTS = (
    "Hello world 123\n\n4,5 é  two   spaces", "Question: Tom has 12 apples.\nAnswer:", " leading, trailing ",
    "\t\n\n\n1. a", "😀 中文 \u200b ½ ² ٣", "    def f(x):\n        return x % 3", "it's they'll 12'd",
    "$5.50 + 3/4 = 1,000 - 50%", "<start_of_turn>user\nhi<end_of_turn>\n", "<h1>x</h1>\r\n",
)  # fmt: skip


@pytest.mark.skipif(PUBLISHED is None, reason="CRESCENT_TOKENIZERS is not set: no published tokenizers here")
def test_gemma_s_tokens_are_those_of_the_published_tokenizer() -> None:
    from transformers import AutoTokenizer

    published: Any = AutoTokenizer.from_pretrained(Path(str(PUBLISHED)) / "gemma3")
    ours: Any = load_tokenizer(GEMMA3)
    for text in TEXTS:
        assert ours(text).input_ids == published(text).input_ids, text


def test_smollm2_s_tokens_are_those_of_llama_cpp() -> None:
    """As llama.cpp (xllamacpp 2026.10) reads the same file."""
    tokenizer: Any = load_tokenizer(SMOLLM2)
    expected = ["a", "ĊĊ", "1", ".", "Ġx", "Ġ", "2", "3", "ĠĠ", "4"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("a\n\n1. x 23  4").input_ids) == expected
    assert tokenizer("<|im_start|>user\n1<|im_end|>").input_ids[0] == 1
