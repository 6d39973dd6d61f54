"""Progress where there is no terminal: a line now and then."""

import pytest

from crescent.core import console
from crescent.core.console import Console


def test_a_line_tells_rate_and_time_left_once_enough_is_done_to_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with Console().progress("gsm, 5-shot", 500, "items") as tally:
        tally.advance()
        tally.advance(249, note="loss 0.1")
    first, second = capsys.readouterr().err.splitlines()
    assert first.strip() == "gsm, 5-shot: 1/500 items"
    assert second.startswith("  gsm, 5-shot: 250/500 items, ") and second.endswith("/s, 0:00 left, loss 0.1")
