"""Questions become pairs, the pairs leave as a data set, and another run trains on exactly these."""

import json
from pathlib import Path

import pytest
from command_line import crescent

from crescent.cli.export import main
from crescent.exporting.finished import open_run

pytestmark = pytest.mark.slow
ASKED = [f"Tom has {n} apples and buys {n + 2} more. How many apples does Tom have now?" for n in range(3, 11)]


def test_what_one_run_answers_another_is_trained_on(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in ASKED))
    for_both = ("eval=none", "tracking=none", "train.epochs=1", "check=false")
    first = crescent(tmp_path, "source=questions", "source.data=mine.jsonl", "hydra.run.dir=first", *for_both)
    assert first.returncode == 0, first.stderr
    made = open_run(tmp_path / "first").pairs()
    assert made and {pair.question for pair in made} <= set(ASKED)
    assert first.stdout.splitlines()[-1].startswith("next: ")
    main(["data", str(tmp_path / "first"), str(tmp_path / "out")])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| source | `questions` |" in card and "| vote | `majority`, 5 draws |" in card and "| elicit" not in card
    second = crescent(tmp_path, "source=pairs", "source.data=out", "hydra.run.dir=second", *for_both)
    assert second.returncode == 0, second.stderr
    main(["data", str(tmp_path / "second"), str(tmp_path / "again")])
    card = (tmp_path / "again" / "README.md").read_text()
    assert "| source | `pairs` |" in card and "| vote |" not in card
    trained = open_run(tmp_path / "second").pairs()
    assert {(one.question, one.response, one.answer) for one in trained} == {
        (one.question, one.response, one.answer) for one in made
    }
