"""The store: keys, commits, damage, kills and locks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from crescent.core.records import Question
from crescent.core.store import Artifact, Key, Outcome, Store, canonical, make_key, not_in_key, renamed_in_key

ROWS = [Question(str(n), f"question {n}?", 0) for n in range(5)]


@dataclass(frozen=True)
class Settings:
    KEY: ClassVar[str] = "Settings"
    threshold: float = 0.85
    name: str = "drop"
    batch_size: int = not_in_key(default=8)
    tags: tuple[str, ...] = field(default=("a", "b"))


def build(store: Store, settings: object = Settings(), rows: list[Question] = ROWS) -> Artifact:
    return store.build(Key("elicit", 1, settings, ("input",)), lambda work: Outcome(rows, {"tokens": 7}))


def test_keys_never_change() -> None:
    assert make_key("elicit", 1, Settings(), ["input"]) == "f59c7ecfc7e00c45431ad2bd"
    assert Key("elicit", 1, Settings(), ("input",)).digest == "f59c7ecfc7e00c45431ad2bd"


def test_what_cannot_change_a_result_is_not_in_a_key() -> None:
    assert make_key("s", 1, Settings(batch_size=8)) == make_key("s", 1, Settings(batch_size=64))


def test_every_other_part_is_in_the_key() -> None:
    keys = {
        make_key("s", 1, Settings()), make_key("t", 1, Settings()), make_key("s", 2, Settings()),
        make_key("s", 1, Settings(threshold=0.9)), make_key("s", 1, Settings(), ["x"]),
        make_key("s", 1, Settings(tags=())),
    }  # fmt: skip
    assert len(keys) == 6


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), lambda: 0, Path("x"), {1: 2}, b"x"])
def test_a_value_without_a_stable_form_raises(value: object) -> None:
    with pytest.raises(TypeError):
        canonical({"a": [value]})


def test_an_artifact_is_built_once_and_read_back(store: Store) -> None:
    first, second = build(store), build(store, rows=[])
    assert (first.reused, second.reused) == (False, True)
    assert second.read(Question) == ROWS and second.info == {"tokens": 7} and second.records == 5


def test_equal_runs_leave_equal_bytes(tmp_path: Path) -> None:
    one, two = (build(Store(tmp_path / name)).path for name in "ab")
    assert [file.read_bytes() for file in sorted(one.iterdir())] == [
        file.read_bytes() for file in sorted(two.iterdir())
    ]


@pytest.mark.parametrize("damage", ["truncate", "remove", "alter", "meta"])
def test_a_damaged_artifact_is_set_aside_named_and_built_again(
    store: Store, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = build(store).path
    records, meta = path / "records.jsonl", path / "meta.json"
    if damage == "truncate":
        records.write_bytes(records.read_bytes()[:-9])
    elif damage == "remove":
        records.unlink()
    elif damage == "alter":
        records.write_bytes(records.read_bytes().replace(b"question 3", b"question 4"))
    else:
        meta.write_text(meta.read_text()[:40])
    again = build(store)
    assert not again.reused and again.read(Question) == ROWS
    assert path.with_name(path.name + ".damaged-1").exists() and path.name in caplog.text


def test_files_move_into_the_artifact_and_the_scratch_folder_goes(store: Store) -> None:
    def builder(work: Path) -> Outcome:
        (work / "adapter").mkdir()
        (work / "adapter" / "weights").write_text("w")
        return Outcome(files={"adapter": work / "adapter"})

    artifact = store.build(Key("finetune", 1, {}), builder)
    assert (artifact.path / "adapter" / "weights").read_text() == "w"
    assert not (store.root / "work" / "finetune" / artifact.key).exists()


def test_a_failed_builder_leaves_its_scratch_folder_and_no_artifact(store: Store) -> None:
    def fails(work: Path) -> Outcome:
        (work / "checkpoint").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.build(Key("finetune", 1, {}), fails)
    again = store.build(Key("finetune", 1, {}), lambda work: Outcome(info={"found": (work / "checkpoint").exists()}))
    assert again.info["found"]


KILLED = """
import os, sys, time
from pathlib import Path
from crescent.core.records import Question
from crescent.core.store import Key, Outcome, Store
def rows():
    for n in range(5):
        yield Question(str(n), f"question {n}?", 0)
        if n == 3 and sys.argv[2] == "hang":
            Path(sys.argv[1], "ready").write_text("x")
            time.sleep(60)
Store(Path(sys.argv[1])).build(Key("elicit", 1, {}), lambda work: Outcome(rows()))
"""


def test_a_kill_in_the_middle_of_a_write_leaves_no_artifact_and_the_next_run_builds_it(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), "hang"])
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("artifacts/elicit/*/meta.json"))
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "go"], check=True)
    assert len(list(tmp_path.glob("artifacts/elicit/*/meta.json"))) == 1


WAITS = """
import sys, time
from pathlib import Path
from crescent.core.store import Key, Outcome, Store
root = Path(sys.argv[1])
def build(work):
    with open(root / "built", "a") as file:
        file.write("x")
    time.sleep(1)
    return Outcome()
Store(root).build(Key("elicit", 1, {}), build)
"""


def test_two_processes_that_want_one_artifact_build_it_once(tmp_path: Path) -> None:
    jobs = [subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path)]) for _ in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    assert (tmp_path / "built").read_text() == "x"


def test_a_folder_that_cannot_be_written_raises_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(OSError):
        build(Store(tmp_path / "store"))


def test_meta_holds_the_settings_for_people(store: Store) -> None:
    meta = json.loads((build(store).path / "meta.json").read_text())
    assert meta["settings"] == {
        "class": "Settings", "threshold": 0.85, "name": "drop", "tags": ["a", "b"],
    }  # fmt: skip
    assert os.sep not in json.dumps(meta)


def test_many_writers_of_one_file_never_meet(tmp_path: Path) -> None:
    path = tmp_path / "shared.json"
    code = "import sys; from pathlib import Path; from crescent.core.store import write_atomic\n"
    code += "for n in range(200): write_atomic(Path(sys.argv[1]), sys.argv[2] * 1000)"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert path.read_text() in {letter * 1000 for letter in "abc"}
    assert [file.name for file in tmp_path.iterdir()] == ["shared.json"]


@dataclass(frozen=True)
class Own:
    draws: int = 3


def test_classes_of_one_name_in_different_modules_have_different_keys() -> None:
    other = make_dataclass("Own", [("draws", int, 3)], frozen=True)
    other.__module__ = "another_module"
    assert make_key("vote", 1, Own()) != make_key("vote", 1, other())


def test_a_fixed_class_gets_a_new_key_by_its_version() -> None:
    before = make_key("vote", 1, Own())
    fixed = type("Own", (Own,), {"VERSION": 2, "__module__": Own.__module__, "__qualname__": Own.__qualname__})
    assert make_key("vote", 1, fixed()) != before


def test_a_renamed_class_and_field_keep_their_key() -> None:
    @dataclass(frozen=True)
    class Renamed:
        KEY: ClassVar[str] = f"{Own.__module__}.Own"
        count: int = renamed_in_key("draws", default=3)

    @dataclass(frozen=True)
    class Masking:
        mask: bool = renamed_in_key("numbers", {True: "masked", False: "kept"}, default=True)

    assert make_key("vote", 1, Renamed()) == make_key("vote", 1, Own())
    assert canonical(Masking())["numbers"] == "masked"


def test_records_made_as_they_are_written_may_fill_the_counters_and_files_meanwhile(store: Store) -> None:
    def build(work: Path) -> Outcome:
        info: dict[str, int] = {}

        def records() -> Iterator[Question]:
            with open(work / "notes.txt", "w") as notes:
                for name in "abc":
                    notes.write(name)
                    info["made"] = info.get("made", 0) + 1
                    yield Question(name, name, 0)

        return Outcome(records(), info, {"notes.txt": work / "notes.txt"})

    made = store.build(Key("x", 1, {}), build)
    assert made.info == {"made": 3} and (made.path / "notes.txt").read_text() == "abc"
    assert [one.id for one in made.stream(Question)] == ["a", "b", "c"]
    assert store.build(Key("x", 1, {}), build).info == {"made": 3}
