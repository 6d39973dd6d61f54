"""What no kept run needs is deleted, and nothing else."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_store import EMBEDDER, Made, files, run_of

from crescent.core.errors import UserError
from crescent.core.store import Store
from crescent.core.use import exclusively, in_use, users
from crescent.housekeeping.contents import Item, contents
from crescent.housekeeping.pruning import plan, prune
from crescent.housekeeping.references import needed, runs_below


@pytest.fixture
def first(store: Store, tmp_path: Path) -> Made:
    return run_of(store, tmp_path / "outputs" / "a" / "first", seed=1)


def keys(items: list[Item]) -> set[str]:
    return {item.key for item in items}


def test_a_finished_run_needs_all_it_made_its_rounds_and_the_ledger_of_its_rewrites_too(
    store: Store, first: Made
) -> None:
    items = contents(store.root)
    assert keys(items) == {
        first.stream, first.questions.key, first.pairs.key, first.adapter.key, *first.ledgers, EMBEDDER,
    }  # fmt: skip
    assert all(needed(items, runs_below([first.folder])).by)


def test_pruning_leaves_a_store_as_if_only_the_kept_run_had_been(store: Store, first: Made, tmp_path: Path) -> None:
    before = files(store)
    run_of(store, tmp_path / "outputs" / "a" / "second", seed=2)
    assert len(files(store)) > len(before)
    prune(store.root, [first.folder])
    assert files(store) == before and not (store.root / "trash").exists()


def test_what_two_runs_share_stays_for_either(store: Store, first: Made, tmp_path: Path) -> None:
    other = run_of(store, tmp_path / "outputs" / "b", seed=1, draws=5)
    assert keys(prune(store.root, [other.folder]).unused) == {first.pairs.key, first.adapter.key}
    assert store.open("diversify", first.questions.key) is not None


def test_a_plan_deletes_nothing(store: Store, first: Made, tmp_path: Path) -> None:
    run_of(store, tmp_path / "outputs" / "b", seed=2)
    before = files(store)
    assert len(plan(store.root, [first.folder]).unused) == 6
    assert files(store) == before


def test_an_unfinished_run_keeps_its_journals_all_draws_and_what_was_made_since_it_began(
    store: Store, first: Made, tmp_path: Path
) -> None:
    for path in (store.root / "artifacts").rglob("meta.json"):
        os.utime(path, (1, 1))  # long before the other run
    open_run = run_of(store, tmp_path / "outputs" / "b", seed=2, status="stopped")
    journal = store.root / "work" / "ledgers" / f"{first.ledgers[1]}.jsonl"
    journal.write_text("{}\n")
    os.utime(open_run.folder / ".hydra" / "config.yaml", (1000, 1000))
    since = run_of(store, tmp_path / "elsewhere", seed=3)
    made = prune(store.root, [open_run.folder])
    assert keys(made.unused) == {first.questions.key, first.pairs.key, first.adapter.key}
    assert made.unfinished == [open_run.folder] and journal.exists()
    assert store.open("finetune", open_run.adapter.key) and store.open("finetune", since.adapter.key)


def test_what_is_made_from_what_an_unfinished_run_names_stays_however_old_it_is(
    store: Store, first: Made, tmp_path: Path
) -> None:
    for path in (store.root / "artifacts").rglob("meta.json"):
        os.utime(path, (1, 1))
    again = run_of(store, tmp_path / "outputs" / "again", seed=1, status="failed")
    assert prune(store.root, [again.folder]).unused == []


def test_a_run_killed_before_its_first_stage_was_finished_is_an_unfinished_one(
    store: Store, first: Made, tmp_path: Path
) -> None:
    (first.folder / "summary.json").unlink()
    os.utime(first.folder / ".hydra" / "config.yaml", (1, 1))
    assert [run.finished for run in runs_below([tmp_path / "outputs"])] == [False]
    assert prune(store.root, [tmp_path / "outputs"]).unused == []


def test_leftovers_of_killed_builders_and_damaged_artifacts_go(store: Store, first: Made) -> None:
    before = files(store)
    aside = first.adapter.path.with_name(f"{first.adapter.key}.damaged-1")
    shutil.copytree(first.adapter.path, aside)
    half = store.root / "artifacts" / "vote" / ("0" * 24)
    half.mkdir()
    (half / "records.jsonl").write_text("{}\n")
    work = store.root / "work" / "finetune" / ("1" * 24)
    work.mkdir(parents=True)
    (work / "last.ckpt").write_bytes(bytes(100))
    states = {item.key: item.state for item in prune(store.root, [first.folder]).unused}
    assert states == {aside.name: "damaged", half.name: "incomplete", work.name: "incomplete"}
    assert files(store) == before


def test_an_interrupted_call_leaves_whole_items_and_the_next_one_finishes(
    store: Store, first: Made, tmp_path: Path
) -> None:
    before = files(store)
    run_of(store, tmp_path / "b", seed=2)

    def stop(item: Item) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(store.root, [first.folder], stop)
    assert not [item.key for item in contents(store.root) if item.state]
    trash = store.root / "trash" / "vote-x"  # as after a kill between the rename and the deletion
    trash.mkdir(parents=True)
    os.replace(next((store.root / "artifacts" / "finetune").iterdir()), trash / "0")
    if not store.open("finetune", first.adapter.key):
        os.replace(trash / "0", first.adapter.path)
    prune(store.root, [first.folder])
    assert files(store) == before


KILLED = """
import os, sys
from pathlib import Path
from crescent.housekeeping.pruning import prune
prune(Path(sys.argv[1]), [Path(sys.argv[2])], lambda item: os._exit(9))
"""


def test_a_killed_process_holds_nothing(store: Store, first: Made, tmp_path: Path) -> None:
    before = files(store)
    run_of(store, tmp_path / "b", seed=2)
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root), str(first.folder)], timeout=100, check=False)
    assert done.returncode == 9
    prune(store.root, [first.folder])
    assert files(store) == before


def test_nothing_is_deleted_while_a_run_is_at_work(store: Store, first: Made, tmp_path: Path) -> None:
    run_of(store, tmp_path / "b", seed=2)
    before = files(store)
    with in_use(store.root), pytest.raises(UserError, match=rf"in use by a run \(process {os.getpid()} on"):
        prune(store.root, [first.folder])
    assert files(store) == before and users(store.root) == []
    assert prune(store.root, [first.folder]).unused


def test_a_run_that_was_killed_uses_the_store_no_more(store: Store) -> None:
    code = "import os, sys; from pathlib import Path; from crescent.core.use import in_use\n"
    code += "with in_use(Path(sys.argv[1])): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(store.root)], timeout=100, check=False)
    assert len(list((store.root / "locks" / "runs").iterdir())) == 1
    assert users(store.root) == [] and not list((store.root / "locks" / "runs").iterdir())


def test_a_run_that_starts_while_something_is_deleted_waits(store: Store) -> None:
    order = []

    def start() -> None:
        with in_use(store.root):
            order.append("run")

    with exclusively(store.root) as at_work:
        thread = threading.Thread(target=start)
        thread.start()
        time.sleep(0.2)
        order.append("deleted")
    thread.join()
    assert at_work == [] and order == ["deleted", "run"]


def test_what_another_process_is_building_is_left_alone(store: Store, first: Made, tmp_path: Path) -> None:
    other = run_of(store, tmp_path / "b", seed=2)
    done: list[Item] = []
    with store.lock(f"vote-{other.pairs.key}"):
        made = prune(store.root, [first.folder], done.append)
    assert keys(made.unused) - keys(done) == {other.pairs.key} and other.pairs.path.exists()


def test_paths_without_runs_are_refused_rather_than_taken_for_none(store: Store, first: Made, tmp_path: Path) -> None:
    before = files(store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"there is no run in .*empty, so everything in .* would be deleted; name"):
        prune(store.root, [tmp_path / "empty"])
    with pytest.raises(UserError, match="there is no folder nowhere"):
        prune(store.root, [first.folder, Path("nowhere")])
    (first.folder / "summary.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read, so what its run needs is unknown"):
        prune(store.root, [first.folder])
    assert files(store) == before


def test_a_check_is_no_unfinished_run(store: Store, first: Made, tmp_path: Path) -> None:
    check = tmp_path / "outputs" / "a" / "checked" / ".hydra"
    check.mkdir(parents=True)
    (check / "config.yaml").write_text("name: default\ncheck: true\n")
    assert [run.folder for run in runs_below([tmp_path / "outputs"])] == [first.folder]
    (check / "config.yaml").write_text("name: default\ncheck: auto\n")
    assert len(list(runs_below([tmp_path / "outputs"]))) == 2
