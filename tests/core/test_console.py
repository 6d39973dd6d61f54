"""Progress where there is no terminal: a line every few seconds, whether or not anything advances."""

import time
from collections.abc import Callable

import pytest

from crescent.core import console
from crescent.core.console import Console
from crescent.core.progress import TOKENS, Tally

Capture = pytest.CaptureFixture[str]


def lines(capture: Capture, done: Callable[[str], bool]) -> list[str]:
    """What is printed until `done`."""
    text, end = "", time.monotonic() + 20
    while not done(text) and time.monotonic() < end:
        time.sleep(0.01)
        text += capture.readouterr().err
    return text.splitlines()


def test_a_line_tells_rate_and_time_left_once_enough_is_done_to_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(console, "LOOK", 100.0)
    with Console().progress("gsm, 5-shot", 500, "items") as tally:
        tally.advance()
        tally.advance(249, note="loss 0.1")
    first, second = capsys.readouterr().err.splitlines()
    assert first.strip() == "gsm, 5-shot: 1/500 items, 0:00 so far"
    assert second.startswith("  gsm, 5-shot: 250/500 items, ") and second.endswith("/s, 0:00 left, loss 0.1")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.02)
    monkeypatch.setattr(console, "LOOK", 0.01)


@pytest.mark.usefixtures("often")
def test_work_that_does_not_advance_is_not_silent(capsys: Capture) -> None:
    with Console().progress("finetune", 10, "steps"):
        found = lines(capsys, lambda text: text.count("\n") >= 2)
    assert found[0] == found[1] == "  finetune: 0/10 steps, 0:00 so far"
    time.sleep(0.1)
    capsys.readouterr()
    time.sleep(0.1)
    assert not capsys.readouterr().err, "what has ended says no more"


@pytest.mark.usefixtures("often")
def test_work_of_unknown_size_is_not_silent_and_gives_way_to_what_it_begins(capsys: Capture) -> None:
    shown = Console()
    with shown.working("loading tiny"):
        assert lines(capsys, lambda text: "\n" in text)[0] == "  loading tiny: 0:00 so far"
        with shown.progress("answers", 4, "draws"):
            lines(capsys, lambda text: "answers" in text)
            assert not any("loading" in line for line in lines(capsys, lambda text: text.count("\n") >= 3))
        assert "loading tiny" in lines(capsys, lambda text: "loading" in text)[-1]


@pytest.mark.usefixtures("often")
def test_a_quiet_console_says_nothing(capsys: Capture) -> None:
    with Console(quiet=True).working("loading tiny"):
        time.sleep(0.1)
    assert not capsys.readouterr().err


def test_tokens_are_counted_before_the_first_completion_is_finished() -> None:
    tally = Tally("answers", 100, "draws", token_limit=500)
    assert tally.rate() == "" and tally.left() == ""
    TOKENS.add(300)
    assert tally.rate().endswith(" tokens/s") and tally.left() == ""
    assert tally.text().startswith("answers: 0/100 draws, ")


def test_the_time_left_follows_from_the_tokens_still_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("crescent.core.progress.time.monotonic", lambda: now[0])
    tally = Tally("answers", 10, "draws", token_limit=500)
    now[0] = 60.0  # the model is loaded: no token yet
    tally.look()
    TOKENS.add(900)
    now[0] = 70.0
    assert tally.rate() == "90 tokens/s"
    tally.complete()
    tally.advance()
    assert tally.left() == "0:46 left", "a text has 500 tokens at most: 5,000 less the 900 that are written"
    for _ in range(8):
        tally.complete()
        tally.advance()
    assert tally.left() == "0:01 left", "900 tokens make 9 texts, and one is to come"
    TOKENS.add(100)
    tally.complete()
    tally.advance()
    assert tally.left() == "0:00 left"


def test_no_time_left_is_told_where_the_completions_to_come_are_unknown() -> None:
    tally = Tally("questions kept", 30, "questions", token_limit=500)
    left: list[int | None] = [None]
    tally.completions_left = lambda: left[0]
    TOKENS.add(1000)
    for _ in range(40):
        tally.complete()
    assert tally.left() == "" and "so far" in tally.text()
    left[0] = 0
    assert tally.left() == "0:00 left"


@pytest.mark.usefixtures("often")
def test_work_that_ended_early_is_said_once(capsys: Capture) -> None:
    with Console().progress("answers drawn", 10, "draws") as tally:
        tally.advance(4)
        tally.settle("6 draws were not needed")
        time.sleep(0.1)
    assert [line for line in capsys.readouterr().err.splitlines() if "needed" in line] == [
        "  answers drawn: 4 draws; 6 draws were not needed"
    ]
