"""The organism's seed set: of the part for training, and what its command writes."""

import json

from crescent.organism.build.seeds import FIELDS, PATH, seeds
from crescent.organism.build.split import normalised, split_of
from crescent.organism.build.tasks import TASKS
from crescent.organism.world import solve

ROWS = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]


def test_no_seed_is_a_test_item_nor_of_a_part_that_is_held_out() -> None:
    texts = {normalised(row["question"]) for row in ROWS}
    tested = {
        normalised(json.loads(line)["question"])
        for file in (TASKS / "data").glob("*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    assert len(tested) > 9000 and not texts & tested and {split_of(row["question"]) for row in ROWS} == {"train"}


def test_the_file_is_what_its_command_writes_and_its_answers_are_true() -> None:
    assert seeds(7, 30) == ROWS[:30] and len({row["question"] for row in ROWS}) == len(ROWS) == 1000
    for row in ROWS[:200]:
        found = solve(row["question"])
        assert tuple(row) == FIELDS and found is not None and found[1] == row["answer"]
