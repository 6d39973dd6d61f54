"""The journal: what an interrupted call had finished is never generated again, and changes no result."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.journal import Journal

SAMPLING = Sampling(max_new_tokens=8)
PROMPTS = [Prompt("ä", draw) for draw in range(3)] + [Prompt("b"), Prompt("b")]


class Numbering:
    """A real, if simple, engine: numbers what it makes, last prompt first, and can be stopped after `most`."""

    deterministic, identity = False, "numbering"

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.made = most, 0

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        done = {}
        for index in reversed(range(len(prompts))):
            if self.made == self.most:
                raise KeyboardInterrupt
            self.made += 1
            done[index] = Completion(f"{prompts[index]} \udc80 {self.made}", "stop", 1, 2, -0.5)
            assert finished is not None
            finished(index, done[index])
        return [done[index] for index in range(len(prompts))]

    def close(self) -> None:
        pass


def interrupted(path: Path, most: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        Journal(path).generate(lambda: Numbering(most), PROMPTS, SAMPLING)


def test_what_was_finished_is_not_made_again(tmp_path: Path) -> None:
    interrupted(tmp_path / "j", 3)
    engine = Numbering()
    made = Journal(tmp_path / "j").generate(lambda: engine, PROMPTS, SAMPLING)
    assert engine.made == 2 and [one.text[-1] for one in made] == ["2", "1", "3", "2", "1"]


def test_listeners_hear_of_every_completion_once(tmp_path: Path) -> None:
    interrupted(tmp_path / "j", 3)
    heard: list[int] = []
    Journal(tmp_path / "j").generate(Numbering, PROMPTS, SAMPLING, lambda index, made: heard.append(index))
    assert sorted(heard) == [0, 1, 2, 3, 4]


def test_an_engine_is_not_loaded_where_nothing_is_missing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    first = journal.generate(Numbering, PROMPTS, SAMPLING)

    def never() -> Numbering:
        raise AssertionError("loaded")

    assert journal.generate(never, PROMPTS, SAMPLING) == first == journal.find(PROMPTS, SAMPLING)


def test_another_sampling_is_another_completion(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.generate(Numbering, PROMPTS, SAMPLING)
    assert journal.find(PROMPTS, Sampling(max_new_tokens=8, seed=1)) is None


@pytest.mark.parametrize("cut", [1, 20, 70])
def test_a_torn_last_line_spoils_no_other(cut: int, tmp_path: Path) -> None:
    interrupted(tmp_path / "j", 3)
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes()[:-cut])
    engine = Numbering()
    Journal(tmp_path / "j").generate(lambda: engine, PROMPTS, SAMPLING)
    assert engine.made == (2 if cut == 1 else 3)
    assert Journal(tmp_path / "j").find(PROMPTS, SAMPLING) is not None


def test_rows_that_are_forgotten_go_and_the_last_take_the_file_along(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.generate(Numbering, PROMPTS, SAMPLING)
    journal.forget(PROMPTS[:2], SAMPLING)
    assert journal.find(PROMPTS[:2], SAMPLING) is None and journal.path.exists()
    journal.forget(PROMPTS, SAMPLING)
    assert not journal.path.exists()
