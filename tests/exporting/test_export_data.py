"""Pairs as files for other tools: what is in them, what the card says, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard
from voted_run import ANSWERS, voted_run

from crescent.cli.export import main
from crescent.exporting.facts import licence_of
from crescent.exporting.finished import open_run
from crescent.exporting.preferences import preferences

SUM, CAFE = "What is 3 + 4?", "Wie viel kostet ein Café für 5 €?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voted_run(tmp_path_factory.mktemp("voted"))


def exported(run: Path, folder: Path, form: str, *options: str) -> Any:
    """The rows of an export, as `datasets` reads them."""
    main(["data", str(run), str(folder), "--format", form, *options])
    cache = str(folder.parent / "cache")
    return load_dataset(str(folder), split="train", cache_dir=cache).to_list()  # type: ignore[union-attr]


def test_pairs_are_a_data_set_with_their_votes(run: Path, tmp_path: Path) -> None:
    rows = exported(run, tmp_path / "out", "parquet")
    assert [(row["question"], row["answer"], row["votes"], row["draws"]) for row in rows] == [
        (SUM, "7", 2, 3), ("What is 2 + 2?", "4", 3, 3), (CAFE, "5", 2, 3),
    ]  # fmt: skip
    assert rows[2]["response"] == "Es kostet 5 €.\n#### 5"  # as it is learned: train.reasoning=strip


def test_an_export_is_not_read_from_the_cache_of_another_of_its_name(run: Path, tmp_path: Path) -> None:
    other = voted_run(tmp_path / "other", {"Other?": ("#### 3",) * 3})
    for source, questions in ((run, 3), (other, 1), (run, 3)):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert len(exported(source, tmp_path / "out", "parquet")) == questions


def test_thoughts_stay_where_they_are_learned(tmp_path: Path) -> None:
    run = voted_run(tmp_path, train={"reasoning": "keep", "name": "lora"})
    assert exported(run, tmp_path / "out", "parquet")[2]["response"] == ANSWERS[CAFE][0]


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("trl", {"prompt": [{"role": "user", "content": SUM}],
                 "completion": [{"role": "assistant", "content": "3 + 4 = 7\n#### 7"}]}),
        ("llamafactory", {"instruction": SUM, "input": "", "output": "3 + 4 = 7\n#### 7"}),
        ("axolotl", {"messages": [{"role": "user", "content": SUM},
                                  {"role": "assistant", "content": "3 + 4 = 7\n#### 7"}]}),
    ],
)  # fmt: skip
def test_each_tool_gets_its_own_fields(form: str, row: dict[str, Any], run: Path, tmp_path: Path) -> None:
    rows = exported(run, tmp_path / "out", form)
    assert len(rows) == 3 and rows[0] == row


def test_a_preference_is_what_won_and_what_lost(run: Path, tmp_path: Path) -> None:
    rows = exported(run, tmp_path / "out", "preference")
    found = [(row["prompt"][0]["content"], row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows]
    assert found == [
        (SUM, "3 + 4 = 7\n#### 7", "I say\n#### 8"),
        (CAFE, "Es kostet 5 €.\n#### 5", "#### 6"),
    ]
    assert [(row["margin"], row["rejected_votes"], row["draws"]) for row in rows] == [(0.3333, 1, 3)] * 2


def test_the_least_frequent_answer_is_rejected_and_a_draw_without_answer_never(tmp_path: Path) -> None:
    said = ("#### 7", "no answer", "#### 8", "first\n#### 9", "second\n#### 9", "#### 7", "#### 7")
    found = open_run(voted_run(tmp_path, {"q?": said, "Which?": ("#### 9", "nothing", "#### 9", *["#### 9"] * 4)}, 7))
    [only] = preferences(found, found.pairs())
    assert (only.pair.question, only.rejected, only.loser.votes) == ("q?", "#### 8", 1)
    assert only.loser.margin == round((3 - 1) / 7, 4)


def test_the_card_says_what_the_pairs_are(run: Path, tmp_path: Path) -> None:
    main(["data", str(run), str(tmp_path / "out"), "--license", "cc-by-4.0"])
    card = DatasetCard.load(tmp_path / "out" / "README.md", ignore_metadata_errors=False)
    about: Any = card.data
    assert about.license == "cc-by-4.0" and about.size_categories == ["n<1K"]
    [file] = (tmp_path / "out" / "data").iterdir()
    assert about.configs == [
        {"config_name": "default", "data_files": [{"split": "train", "path": f"data/{file.name}"}]}
    ]
    for told in (
        "3 question-and-answer pairs",
        "without pair (tie: 1)",
        "not compared with any benchmark",
        "`majority`",
    ):
        assert told in card.text
    settings = yaml.safe_load(card.text.split("```yaml\n")[1].split("```")[0])
    assert settings["vote"]["name"] == "majority" and "store" not in settings
    assert str(Path.home()) not in card.text and "/crescent/organism" not in card.text


def test_the_licence_is_the_models_own(run: Path, tmp_path: Path, tiny_llama: Path) -> None:
    found = open_run(run)
    assert licence_of(found.teacher()) == "apache-2.0"  # the organism's
    folder = shutil.copytree(tiny_llama, tmp_path / "licensed")
    weights = found.teacher().in_folder(folder)
    assert licence_of(weights) is None
    (folder / "README.md").write_text("---\nlicense: llama3\n---\n# A model\n")
    assert licence_of(weights) == "llama3"


def test_a_run_is_exported_after_its_store_has_moved(tmp_path: Path) -> None:
    run = voted_run(tmp_path)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit):
        main(["data", str(run), str(tmp_path / "out")])
    main(["data", str(run), str(tmp_path / "out"), "--store", str(tmp_path / "elsewhere"), "--format", "preference"])
    assert list((tmp_path / "out" / "data").glob("train-*.parquet"))


def test_what_cannot_be_exported_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    agreed = voted_run(tmp_path / "agreed", {"q?": ("#### 1",) * 3})
    with pytest.raises(SystemExit):
        main(["data", str(agreed), str(tmp_path / "out"), "--format", "preference"])
    assert "has no preferences: no vote has a losing answer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    empty = voted_run(tmp_path / "empty", {"q?": ("what", "#### 1", "#### 2")})
    with pytest.raises(SystemExit):
        main(["data", str(empty), str(tmp_path / "out")])
    assert "no question reached an answer" in capsys.readouterr().err


def test_the_last_line_loads_the_export(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["data", str(run), str(tmp_path / "out")])
    last = capsys.readouterr().out.splitlines()[-1]
    code = last.removeprefix('next: python -c "').removesuffix('"')
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    exec(code)  # the command would take seconds to import
    assert "num_rows: 3" in capsys.readouterr().out
