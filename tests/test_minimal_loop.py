"""examples/minimal_loop.py runs, with few questions and as it is."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "minimal_loop.py"
FEW = {"COMPLETIONS": 6, "DRAWS": 3, "ITEMS": 4, "EPOCHS": 1}


def printed(capsys: pytest.CaptureFixture[str], **sizes: int) -> tuple[str, int, int]:
    """What the example prints with these sizes, and the accuracies before and after, in percent."""
    main = runpy.run_path(str(EXAMPLE))["main"]
    assert sizes.keys() <= main.__globals__.keys()
    main.__globals__.update(sizes)
    main()
    text = capsys.readouterr().out
    found = re.search(r"accuracy before (\d+)%, after (\d+)%", text)
    assert found is not None, text
    return text, int(found[1]), int(found[2])


@pytest.mark.slow
def test_a_few_questions_go_through_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    text, _, _ = printed(capsys, **FEW)
    pairs = re.search(r"^(\d+) pairs", text, re.MULTILINE)
    assert pairs is not None and int(pairs[1]) >= 3


@pytest.mark.slow
def test_the_model_gains_by_its_own_questions(capsys: pytest.CaptureFixture[str]) -> None:
    _, before, after = printed(capsys)
    assert after >= before + 10


def test_it_uses_neither_store_nor_hydra_nor_tracking() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert not re.search(r"import (hydra|wandb)|crescent\.(core|pipeline|config|observers)", text)
    assert len([line for line in text.splitlines() if line.strip()]) <= 125
