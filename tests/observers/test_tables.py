"""The tables that a run prints when it ends: whatever was scored."""

from io import StringIO

import pytest
from rich.console import Console

from crescent.core.records import Score
from crescent.observers.tables import sample_table, score_table


def score(model: str, value: float, metric: str = "exact_match", filter_name: str = "f", primary: bool = True) -> Score:
    return Score(model, int(model == "student"), "none", "gsm8k", 0, metric, filter_name, primary, value, 0.05, 100)


def cells(table: object) -> list[list[str]]:
    """The words of each line."""
    console = Console(width=150, file=StringIO())
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines() if "─" not in line and line.strip()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("models", "line"),
    [
        (["teacher"], ["gsm8k", "0", "100", "50.0", "5.0"]),
        (["student"], ["gsm8k", "0", "100", "50.0", "5.0"]),
        (["teacher", "student"], ["gsm8k", "0", "100", "50.0", "50.0", "5.0", "/", "5.0"]),
        (["base", "student"], ["gsm8k", "0", "100", "50.0", "50.0", "+0.0"]),
        (["teacher", "base", "student"], ["gsm8k", "0", "100", "50.0", "50.0", "50.0", "+0.0"]),
    ],
)
def test_any_models_that_were_scored_stand_side_by_side(models: list[str], line: list[str]) -> None:
    header, row = cells(score_table([score(model, 0.5) for model in models], {}))[-2:]
    assert row == line
    assert [word for word in header if word in ("teacher", "base", "student")] == models


def test_samples_and_thoughts_have_a_line_for_each_model() -> None:
    scores = [
        *(score(model, 0.5) for model in ("student", "base")),
        score("base", 0.75, "exact_match_pass@8", "f", False), score("base", 0.625, "exact_match_maj@8", "f", False),
        score("base", 0.1, "exact_match_pass@8", "strict", primary=False),
        score("base", 812.4, "thought_tokens", "none", False), score("base", 0.05, "cut_at_limit", "none", False),
        score("student", 30.0, "thought_tokens", "none", False), score("student", 0.0, "cut_at_limit", "none", False),
    ]  # fmt: skip
    header, base, student = cells(sample_table(scores))[-3:]
    assert header[3:] == ["mean@8", "SE", "pass@8", "maj@8", "thought", "tokens", "cut", "off"]
    assert base == ["gsm8k", "0", "base", "50.0", "5.0", "75.0", "62.5", "812", "5.0"]
    assert student == ["gsm8k", "0", "student", "30", "0.0"]


def test_models_that_neither_think_nor_are_sampled_have_no_second_table() -> None:
    costs = [score("base", 30.0, name, "none", False) for name in ("prompt_tokens", "new_tokens")]
    assert sample_table([score("base", 0.5), *costs]) is None
