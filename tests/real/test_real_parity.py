"""A real model's scores are `lm_eval`'s, sample by sample: texts, choices, log-likelihoods and numbers.

CRESCENT_REAL_ITEMS says how many items of each task (50), CRESCENT_REAL_TOKENS how long a reply may be (64).
`python -m tests.real.by_sample` prints the same as a table.
"""

import os
from typing import Any

import pytest

from crescent.engines.weights import load

from .by_sample import GEMMA3, SMOLLM2, compare, plans

DATA = os.environ.get("CRESCENT_BENCHMARKS")
ITEMS = int(os.environ.get("CRESCENT_REAL_ITEMS", "50"))
TOKENS = int(os.environ.get("CRESCENT_REAL_TOKENS", "64"))
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(DATA is None, reason="CRESCENT_BENCHMARKS is not set: no benchmark files here"),
]


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any]:
    return load(SMOLLM2, "cpu")


@pytest.mark.parametrize(("task", "shots"), list(plans()))
def test_a_chat_model_scores_the_same(task: str, shots: int, smollm2: tuple[Any, Any]) -> None:
    done = compare(task, shots, *smollm2, str(DATA), ITEMS, TOKENS)
    assert done.equal, done


@pytest.mark.parametrize(("task", "shots"), [("gsm8k", 0), ("arc_easy", 5)])
def test_a_base_model_that_is_asked_in_plain_text_scores_the_same(task: str, shots: int) -> None:
    done = compare(task, shots, *load(GEMMA3, "cpu"), str(DATA), ITEMS, TOKENS)
    assert done.equal, done
