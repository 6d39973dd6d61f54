"""Several passes of self-improvement: what is taken over, what counts as a collapse, and that a killed run goes on."""

import json
import signal
import subprocess
import time
from itertools import combinations
from pathlib import Path

import pytest
from test_end_to_end import command, contents, crescent, summary

from crescent.core.records import Question
from crescent.dedup import Candidate, Drop, Exact, KeepAll, MinHash, Paper, Rejection, Tools
from crescent.iteration import Figures, Iterate
from crescent.similarity import EmbedderSettings

FIRST = Figures(1, 100, 100, diversity=40.0, valid=0.9, agreement=0.95, score=0.6)
SEVERAL = ["iterations=2", "iterate.start=last", "iterate.data=accumulate", "iterate.pool=keep", "iterate.min_score=0",
           "eval.tasks=[organism_gsm]", "eval.shots=[0]", "tracking=none"]  # fmt: skip


def test_the_choices_say_what_is_taken_over() -> None:
    default, other = Iterate(), Iterate("last", "accumulate", "keep")
    assert (default.learner("base", "last"), other.learner("base", "last")) == ("base", "last")
    assert (list(default.training_data([1, 2])), list(other.training_data([1, 2]))) == ([2], [1, 2])
    assert (default.not_again(["a"]), other.not_again(["a"])) == ((), ("a",))


def test_a_figure_below_its_share_of_the_first_is_a_sign_of_collapse() -> None:
    now = Figures(3, 100, 100, diversity=19.0, valid=0.9, agreement=0.95, score=0.58)
    assert Iterate().falls(FIRST, now) == [
        "diversity fell to 19, 48% of the first iteration's 40 (iterate.min_diversity=0.5)"
    ]
    assert Iterate(min_diversity=0.0).falls(FIRST, now) == [] and Iterate().falls(FIRST, FIRST) == []


def test_what_is_not_known_is_no_sign_of_collapse() -> None:
    assert Iterate().falls(FIRST, Figures(2, 100, 100)) == [] == Iterate().falls(Figures(1, 1, 1), FIRST)


@pytest.mark.parametrize("dedup", [Exact(), MinHash(), Drop(), Rejection(max_rewrites=1)])
def test_a_question_of_an_earlier_iteration_is_not_kept_again(dedup: Exact | MinHash | Drop | Rejection) -> None:
    text = "Tom has 3 apples and buys 4 more. How many apples has he now?"
    judge = dedup.open(Tools(EmbedderSettings().build().embed, lambda asked: [None for _ in asked]))
    judge.remember([Question("q", text, 0)])
    [judged] = judge.judge([Candidate(text, text, 0)])
    assert judged.question is None and judged.decision.verdict == "dropped"


def test_strategies_that_keep_everything_still_know_the_neighbour() -> None:
    text = "Tom has 3 apples and buys 4 more. How many apples has he now?"
    tools = Tools(EmbedderSettings().build().embed, lambda asked: [near for _, near in asked])
    for dedup in (KeepAll(), Paper()):
        judge = dedup.open(tools)
        judge.remember([Question("q", text, 0)])
        [judged] = judge.judge([Candidate(text, text, 0)])
        assert judged.question is not None and judged.decision.nearest_id == ("q" if dedup.name == "paper" else None)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two passes on the organism that go on from the adapter, with all pairs and one pool."""
    folder = tmp_path_factory.mktemp("iterations")
    (folder / "printed").write_text(crescent(folder, *SEVERAL).stdout)
    return folder


def test_a_second_pass_goes_on_with_the_first(undisturbed: Path) -> None:
    seen = summary(undisturbed / "outputs" / "latest")
    first, second = seen["iterations"]
    assert second["trained_on"] == first["pairs"] + second["pairs"] and second["score"] is not None
    assert "by iteration" in (undisturbed / "printed").read_text()
    assert [stage["records"] for stage in seen["stages"] if stage["stage"] == "diversify"] == [12, 12]


def test_a_second_pass_draws_with_random_numbers_of_its_own(undisturbed: Path) -> None:
    shards = (undisturbed / "outputs" / "store" / "artifacts" / "elicit").iterdir()
    lines = [(shard / "records.jsonl").read_text().splitlines() for shard in shards]
    streams = [{json.loads(line)["text"] for line in one} for one in lines]
    assert len(streams) >= 2 and all(len(one & other) < len(one) / 2 for one, other in combinations(streams, 2))


@pytest.mark.slow
def test_a_collapse_ends_the_run_where_it_is_asked_to(undisturbed: Path) -> None:
    done = subprocess.run(
        command(*SEVERAL, "train.learning_rate=1", "iterate.on_collapse=stop", "iterations=3"),
        cwd=undisturbed, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0 and "may be collapsing" in done.stderr, done.stderr
    seen = summary(undisturbed / "outputs" / "latest")
    assert seen["iterations"][-1]["collapse"] and len(seen["iterations"]) < 3 and seen["status"] == "finished"


@pytest.mark.slow
def test_killed_passes_end_with_the_bytes_of_undisturbed_ones(tmp_path: Path) -> None:
    for seconds in (14, 20, 26):
        process = subprocess.Popen(
            command(*SEVERAL), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    crescent(tmp_path, *SEVERAL)
    other = tmp_path / "undisturbed"
    other.mkdir()
    crescent(other, *SEVERAL)
    assert contents(tmp_path / "outputs" / "store") == contents(other / "outputs" / "store")
