"""How long is left: learned from finished jobs, summed over distinct work items, unknown where no job tells."""

import json
from pathlib import Path

import pytest
from configured import composed

from crescent.experiment import Experiment
from crescent.sweeps.callback import Sweep
from crescent.sweeps.estimates import Estimate, RuntimeEstimator
from crescent.sweeps.jobs import Plan
from crescent.sweeps.shared_work import WorkItem, work_items

SECONDS = {"elicit": 10.0, "diversify": 20.0, "answer": 30.0, "finetune": 40.0}
REST = 5.0
Work = list[WorkItem]


def of(*overrides: str) -> Work:
    return work_items(Experiment.from_node(composed("eval=none", "num_questions=100", *overrides)))


def finished(folder: Path, *overrides: str, reused: int = 0, artifact: str = "gone", state: str = "finished") -> Path:
    """The folder of a job that took SECONDS for 100 records a stage, and 5 s beside its stages."""
    folder.mkdir(parents=True)
    config = composed("eval=none", "num_questions=100", *overrides)
    stages = [
        {"stage": stage, "records": 100, "reused_records": reused, "seconds": seconds}
        for stage, seconds in SECONDS.items()
    ]
    known = {"status": state, "config": config, "stages": stages, "artifacts": {"adapter": artifact}}
    (folder / "summary.json").write_text(json.dumps(known))
    (folder / "status.json").write_text(json.dumps({"state": state, "seconds": sum(SECONDS.values()) + REST}))
    return folder


def learned(folder: Path, *overrides: str, **about: object) -> RuntimeEstimator:
    estimator = RuntimeEstimator()
    estimator.learn(finished(folder / "0", *overrides, **about))  # type: ignore[arg-type]
    return estimator


def known(job: Work) -> Work:
    """Without the items that SECONDS does not tell of."""
    return [item for item in job if item.stage in SECONDS]


def test_an_equal_job_takes_as_long(tmp_path: Path) -> None:
    assert learned(tmp_path).estimate([known(of())]) == Estimate(105.0, ())


def test_time_grows_with_the_questions_and_the_draws(tmp_path: Path) -> None:
    estimator = learned(tmp_path, "vote.draws=2")
    assert estimator.estimate([known(of("vote.draws=6"))]).seconds == pytest.approx(10 + 20 + 3 * 30 + 40 + REST)
    assert estimator.estimate([known(of("vote.draws=2", "num_questions=300"))]).seconds == pytest.approx(300 + REST)


def test_what_jobs_share_is_counted_once(tmp_path: Path) -> None:
    jobs = [known(of(f"vote.draws={draws}")) for draws in (1, 2)]
    assert learned(tmp_path, "vote.draws=2").estimate(jobs).seconds == pytest.approx(10 + 20 + 30 + 2 * 40 + 2 * REST)


def test_another_seed_is_done_anew_at_the_same_pace(tmp_path: Path) -> None:
    jobs = [known(of(f"seed={seed}")) for seed in range(3)]
    assert learned(tmp_path, artifact=str(tmp_path)).estimate(jobs).seconds == pytest.approx(2 * 100 + 3 * REST)


def test_what_a_finished_job_left_in_the_store_is_not_done_again(tmp_path: Path) -> None:
    estimator = learned(tmp_path, "vote.draws=2", artifact=str(tmp_path))
    assert estimator.estimate([known(of("vote.draws=2"))]).seconds == pytest.approx(REST)
    assert estimator.estimate([known(of("vote.draws=4"))]).seconds == pytest.approx(30 + 40 + REST)


def test_what_came_from_the_store_tells_no_pace(tmp_path: Path) -> None:
    estimate = learned(tmp_path, reused=90).estimate([known(of())])
    assert estimate.unknown == tuple(SECONDS) and estimate.text().startswith("at least 5 s (elicit, ")


def test_another_model_tells_nothing(tmp_path: Path) -> None:
    estimator = learned(tmp_path, "model=organism_small")
    assert estimator.estimate([known(of())]).unknown == tuple(SECONDS)


def test_another_strategy_of_the_same_model_tells_roughly(tmp_path: Path) -> None:
    assert learned(tmp_path, "dedup=none").estimate([known(of("dedup=rejection"))]) == Estimate(105.0, ())


@pytest.mark.parametrize("damage", ["", "{", '{"status": "finished"}', '{"status": "finished", "config": {"seed": 0}}'])
def test_a_summary_that_cannot_be_read_tells_nothing(damage: str, tmp_path: Path) -> None:
    folder = finished(tmp_path / "0")
    (folder / "summary.json").write_text(damage)
    estimator = RuntimeEstimator()
    estimator.learn(folder)
    assert estimator.jobs == 0


def test_a_failed_job_tells_nothing(tmp_path: Path) -> None:
    assert learned(tmp_path, state="failed").jobs == 0


def running(folder: Path, launcher: str, *jobs: Work) -> Sweep:
    """A sweep beside the one whose job is in `folder`."""
    plan = Plan(folder / "new", tuple((f"seed={seed}",) for seed in range(len(jobs))), launcher)
    return Sweep(plan, [known(job) for job in jobs], RuntimeEstimator.of_sweeps(folder))


def test_a_sweep_says_its_minutes_where_an_earlier_one_tells(tmp_path: Path) -> None:
    finished(tmp_path / "old" / "0")
    mine, cluster = (
        running(tmp_path, name, of("seed=1")).forecast()[-1] for name in ("BasicLauncher", "SlurmLauncher")
    )
    assert mine == f"expected: about 2 min; estimated from 1 finished job ({tmp_path})"
    assert cluster.startswith("expected: about 2 min of work, distributed by the launcher; ")


def test_a_sweep_without_an_earlier_one_says_when_its_minutes_will_be_known(tmp_path: Path) -> None:
    assert running(tmp_path, "BasicLauncher", of()).forecast()[-1] == "expected: known after the first job"


def test_after_each_job_it_is_said_how_long_is_left(tmp_path: Path) -> None:
    sweep = running(tmp_path, "BasicLauncher", *(of(f"seed={seed}") for seed in range(3)))
    finished(tmp_path / "new" / "0", "seed=0")
    assert sweep.progress(0) == "job 0 finished in 2 min; 1 of 3 done, about 4 min left"
    finished(tmp_path / "new" / "2", "seed=2")
    assert sweep.progress(2) == "job 2 finished in 2 min; 3 of 3 done"
