"""What a sweep will do is known before its first job: its jobs as Hydra will compose them, and what varies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from crescent.config.resolvers import assets, register_resolvers
from crescent.sweeps.jobs import Plan, UnfitJob, _composed, experiments


@pytest.fixture
def multirun() -> Iterator[DictConfig]:
    """Hydra's configuration of a sweep."""
    register_resolvers()
    with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
        yield compose("config", return_hydra_config=True)


def planned(*jobs: tuple[str, ...]) -> Plan:
    return Plan(Path("m"), jobs, "BasicLauncher")


def test_a_plan_names_what_varies() -> None:
    assert planned(("seed=1", "vote.draws=1"), ("seed=1", "vote.draws=5")).lines(["shared: much"]) == [
        "2 jobs, launcher BasicLauncher, in m", "varied: vote.draws = 1, 5", "shared: much",
        "  0  vote.draws=1", "  1  vote.draws=5",
    ]  # fmt: skip


def test_a_long_plan_is_shortened() -> None:
    assert planned(*((f"seed={seed}",) for seed in range(100))).lines()[-1] == "... and 60 more"


JOBS = [
    ("seed=1", "vote.draws=3"),
    ("seed=2", "vote.draws=3", "train.method.rank=4"),
    ("dedup=none", "seed=3", "name=other"),
    ("+sweeps=iterations", "iterate.start=last", "source.num_pairs=7"),
    ("eval.tasks=[organism_gsm]", "vote={draws: 2}", "vote.min_agreement=0.5"),
    ("train/batching=packed", "++vote.draws=9", "embedder.path=null"),
]


def settings(config: DictConfig) -> object:
    shown = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return OmegaConf.to_container(shown, resolve=True)


def test_a_job_is_composed_as_hydra_composes_it(multirun: DictConfig) -> None:
    frames: dict[tuple[str, ...], DictConfig] = {}
    for job in JOBS:
        theirs = GlobalHydra.instance().config_loader().load_sweep_config(multirun, list(job))
        mine = _composed(multirun, job, frames)
        mine, theirs = (
            OmegaConf.masked_copy(one, [str(key) for key in one if key != "hydra"]) for one in (mine, theirs)
        )
        assert OmegaConf.to_container(mine, resolve=True) == OmegaConf.to_container(theirs, resolve=True)
    assert len(frames) == 3  # jobs that differ in values alone are composed together


def test_every_job_becomes_an_experiment(multirun: DictConfig) -> None:
    jobs = planned(("seed=1", "vote.draws=3"), ("seed=2", "vote.draws=5"))
    made = list(experiments(jobs, multirun))
    assert [(one.seed, one.vote.draws, one.train.seed) for one in made] == [(1, 3, 1), (2, 5, 2)]


@pytest.mark.parametrize(
    ("override", "message"),
    [("vote.draws=0", "vote.draws is 0"), ("dedup=rejecton", "rejecton"), ("vote.drws=1", "vote.drws"),
     ("tracking.mode=maybe", "tracking.mode is 'maybe'"), ("check=perhaps", "check is 'perhaps'")],
)  # fmt: skip
def test_a_job_that_cannot_be_is_named(override: str, message: str, multirun: DictConfig) -> None:
    with pytest.raises(UnfitJob) as unfit:
        list(experiments(planned(("seed=1",), (override,)), multirun))
    assert unfit.value.name.startswith("job 1 (") and message in str(unfit.value.error)


def test_what_hydra_tells_a_job_of_itself_is_known_when_it_is_planned(multirun: DictConfig) -> None:
    (made,) = experiments(planned(("name=${hydra:job.num}-${hydra:runtime.output_dir}",)), multirun)
    assert made.name == f"0-{Path('m').absolute()}/0"


def test_a_sweep_over_models_brings_each_its_recipe(multirun: DictConfig) -> None:
    models = ("llama3_8b_instruct", "qwen3_thinking_4b", "organism")
    made = list(experiments(planned(*((f"model={name}", "answer.top_p=0.5") for name in models)), multirun))
    drawn = [(one.answer.temperature, one.answer.top_p, one.answer.top_k, one.train.max_length) for one in made]
    assert drawn == [(0.6, 0.5, 0, 2560), (0.6, 0.5, 20, 2560), (1.0, 0.5, 0, 1024)]
