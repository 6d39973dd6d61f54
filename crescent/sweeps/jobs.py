"""The jobs of a sweep, composed before the first one starts, and the keys that vary.

In: Hydra's configuration of a multirun. Out: a `Plan`, and each job's configuration as its launcher will compose it; a
job that cannot be composed raises `UnfitJob`. `shared_work.py` finds what the jobs share.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from crescent.core.console import counted

if TYPE_CHECKING:
    from crescent.experiment import Experiment

MOST_LINES = 40


class UnfitJob(BaseException):
    """A job of a sweep does not compose, or has an invalid value. Not an Exception: Hydra turns those into warnings
    when a callback raises them, and continues.
    """

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name, error)
        self.name, self.error = name, error


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a sweep in order, each as its overrides; empty if the sweeper chooses jobs while it runs."""

    folder: Path
    jobs: tuple[tuple[str, ...], ...]
    launcher: str

    @property
    def in_turn(self) -> bool:
        """True if the jobs run in this process, one after another."""
        return self.launcher == "BasicLauncher"

    def lines(self, forecast: Sequence[str] = ()) -> list[str]:
        """The lines printed before the first job."""
        count = counted(len(self.jobs), "job") if self.jobs else "jobs chosen by the sweeper as it runs"
        axes = [f"varied: {key} = {', '.join(values)}" for key, values in self._axes().items()]
        jobs = [f"{number:3}  {self.name(job)}" for number, job in enumerate(self.jobs)]
        return [f"{count}, launcher {self.launcher}, in {self.folder}", *axes, *forecast, *shortened(jobs)]

    def name(self, overrides: Sequence[str]) -> str:
        """The overrides that distinguish a job from the others."""
        axes = self._axes()
        return " ".join(one for one in overrides if not self.jobs or one.partition("=")[0] in axes)

    def _axes(self) -> dict[str, list[str]]:
        """The keys that vary, with their values in order."""
        values: dict[str, list[str]] = {}
        for override in dict.fromkeys(override for job in self.jobs for override in job):
            key, _, value = override.partition("=")
            values.setdefault(key, []).append(value)
        return {key: seen for key, seen in values.items() if len(seen) > 1}


def plan(config: DictConfig) -> Plan:
    """The jobs as Hydra's own sweeper will make them. Errors in overrides are left for Hydra to report."""
    launcher, sweeper = (str(config.hydra[name]._target_).split(".")[-1] for name in ("launcher", "sweeper"))
    folder = Path(config.hydra.sweep.dir)
    if sweeper != "BasicSweeper":
        return Plan(folder, (), launcher)
    params = OmegaConf.to_container(config.hydra.sweeper.params, resolve=True) if config.hydra.sweeper.params else {}
    assert isinstance(params, dict)
    texts = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
        axes = {override.get_key_element(): _values(override) for override in overrides}  # the last of a key wins
    except HydraException:
        return Plan(folder, (), launcher)
    return Plan(folder, tuple(product(*axes.values())), launcher)


def _values(override: Override) -> list[str]:
    """The overrides that a sweep override expands to: a=1,2 gives a=1 and a=2."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    raise HydraException(f"{key} sweeps over an interval, which Hydra's basic sweeper cannot do")


def experiments(of: Plan, config: DictConfig) -> "Iterator[Experiment]":
    """The experiment of each job. Raises UnfitJob at the first job that is invalid."""
    from crescent.experiment import Job

    frames: dict[tuple[str, ...], DictConfig] = {}
    for number, job in enumerate(of.jobs):
        try:
            yield Job.from_node(_node(_composed(config, job, frames), number, of.folder)).experiment
        except Exception as error:  # the command decides whether it is the user's mistake
            raise UnfitJob(f"job {number} ({of.name(job) or ' '.join(job)})", error) from error


def _composed(config: DictConfig, job: Sequence[str], frames: dict[tuple[str, ...], DictConfig]) -> DictConfig:
    """The configuration of a job. Hydra takes 0.1 s to compose one, so group choices that several jobs share are
    composed once, and values (vote.draws=5, seed=1) are set in a copy; everything else is left to Hydra.
    """
    loader = GlobalHydra.instance().config_loader()
    overrides = OverridesParser.create().parse_overrides(list(job))
    values = [one for one in overrides if _is_value(one)]
    choices = tuple(text for text, one in zip(job, overrides, strict=True) if not _is_value(one))
    if all(isinstance(one.value(), str) for one in overrides if not _is_value(one)):
        if choices not in frames:
            frames[choices] = loader.load_sweep_config(config, list(choices))
        if all(_is_leaf(frames[choices], str(one.key_or_group)) for one in values):
            made = copy.deepcopy(frames[choices])
            for one in values:
                OmegaConf.update(made, str(one.key_or_group), one.value(), merge=True)
            return made
    return loader.load_sweep_config(config, list(job))


def _is_value(override: Override) -> bool:
    """True if an override may set a single value (`_is_leaf` decides): seed=1, iterate.start=last, but not
    dedup=none.
    """
    key, value = override.key_or_group, override.value()
    plain = override.type == OverrideType.CHANGE and override.package is None and "/" not in key
    return plain and not isinstance(value, dict | list) and ("." in key or not isinstance(value, str))


def _is_leaf(config: DictConfig, key: str) -> bool:
    """True if the configuration has a value, not a node, under this key."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and name in node and not OmegaConf.is_config(node[name])


def _node(config: DictConfig, number: int, folder: Path) -> dict[str, Any]:
    """The configuration as the job will see it: resolved with Hydra's own values, which are then left out."""
    with open_dict(config):
        config.hydra.job.num, config.hydra.job.id = number, str(number)
        config.hydra.runtime.output_dir = str(folder.absolute() / str(number))
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(config)
    try:
        settings = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        return OmegaConf.to_container(settings, resolve=True)  # type: ignore[return-value]
    finally:
        hydra.cfg = before


def shortened(lines: Sequence[str]) -> list[str]:
    """The first lines, and how many more there are."""
    left = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"... and {left} more"] if left > 0 else [])]
