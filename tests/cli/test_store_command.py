"""`crescent-store`: what is there, what made it, and what would be deleted."""

import shlex
from pathlib import Path

import pytest
from made_store import files, run_of

from crescent.cli.store import main
from crescent.core.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs in outputs/ and one elsewhere, and their store in outputs/store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CRESCENT_STORE", raising=False)
    store = Store(tmp_path / "outputs" / "store")
    for name, seed, draws in (("outputs/a/1", 1, 3), ("outputs/a/2", 1, 5), ("old/1", 2, 3)):
        run_of(store, tmp_path / name, seed, draws)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def test_ls_tells_items_apart_by_the_settings_in_which_they_differ(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, "ls")
    votes = [line for line in lines if line.startswith("vote")]
    assert len(votes) == 3 and sum("rule.draws=5" in line and "1 run" in line for line in votes) == 1
    assert [line.split()[0] for line in lines[:2]] == ["elicit", "elicit"]
    assert lines[-1].startswith("15 items; what made one, and its runs: crescent-store ls ")
    assert all("no run" in line for line in printed(capsys, "ls", "--unused")[:-1])


def test_ls_of_a_key_shows_what_made_it_and_for_which_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vote = next(line.split()[1] for line in printed(capsys, "ls") if "rule.draws=5" in line)
    text = "\n".join(printed(capsys, "ls", vote))
    assert f"vote {vote}" in text and '"draws": 5' in text and "needed by outputs/a/2" in text
    assert main(["ls", "zzz"]) == 1
    assert "no key" not in capsys.readouterr().out


def test_du_adds_up_and_names_the_command_that_prunes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "du")
    total = next(line.split() for line in lines if line.startswith("all"))
    assert (total[1], total[4]) == ("15", "6")
    assert lines[-1] == "to delete it: crescent-store prune --keep-runs outputs"


def test_prune_deletes_only_with_yes_by_the_command_it_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(folder / "outputs" / "store")
    before = files(store)
    lines = printed(capsys, "prune", "--keep-runs", "outputs")
    assert files(store) == before and "6 items" in lines[-2] and "would be deleted; 9 (" in lines[-2]
    command = shlex.split(lines[-1].removeprefix("to delete: "))
    assert command[0] == "crescent-store" and command[-1] == "--yes"
    assert "6 items" in printed(capsys, *command[1:])[-2] and len(files(store)) < len(before)
    assert printed(capsys, "prune", "--keep-runs", "outputs")[-1].startswith("0 items (0 B) would be deleted")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("ls", "--store", "nowhere"), "there is no store at nowhere: name one with --store DIR (or set CRESCENT_STORE)"),
     (("du", "--store", "old"), "old is not a store"),
     (("prune", "--keep-runs", "lost"), "there is no folder lost; name folders of runs, such as outputs or multirun"),
     (("ls", "77zz"), "nothing in the store has a key that begins with '77zz'; crescent-store ls lists the keys")],
)  # fmt: skip
def test_mistakes_get_one_line_with_a_fix(
    arguments: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
