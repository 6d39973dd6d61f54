"""The command `crescent`: Hydra's DictConfig comes in, an `Experiment` runs.

In: overrides on the command line. Out: a run folder with summary.json, `.hydra/` and `wandb/`; the result table on
stdout. A mistake of the user's ends in a few lines and exit status 2, a fault
while running in one line and exit status 1; anything else is a bug of ours and shows its traceback.
"""

import logging
import os
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from crescent.cli.errors import failure_of, full_disk_named
from crescent.config.resolvers import assets, register_resolvers
from crescent.config.typed import ConfigError
from crescent.core.console import Console
from crescent.core.signals import Stopped, stoppable
from crescent.sweeps.callback import recorded, reported
from crescent.sweeps.jobs import UnfitJob

if TYPE_CHECKING:
    from crescent.experiment import Experiment

LOG = "crescent.log"
"""In the run folder."""


def main() -> None:
    """The console script."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us here instead of Hydra's own report
    register_resolvers()
    entry = hydra.main(version_base="1.3", config_path=str(assets() / "conf"), config_name="config")(_job)
    with _messages(), stoppable(), reported(Console(), command()):
        _check_folders(sys.argv[1:])
        entry()


def _check_folders(overrides: Sequence[str]) -> None:
    """Raises ConfigError for an empty run folder: Hydra would write into the current one before it asks us."""
    for key, _, value in (one.lstrip("+").partition("=") for one in overrides):
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not value.strip(" '\""):
            raise ConfigError(f"{key} is empty; give it a value")


def _job(config: DictConfig) -> None:
    """One job. A single one ends with its own message; a sweep goes on after one that fails, and tells at its end."""
    job = HydraConfig.get()
    if job.mode is not None and job.mode.name == "MULTIRUN":
        with recorded(Path(job.runtime.output_dir), job.job.num, job.overrides.task, failure_of):
            run_job(config)
    else:
        folder = Path(job.runtime.output_dir)
        try:
            with _messages():
                run_job(config)
        except SystemExit:
            _remove_if_unused(folder)
            raise


def _remove_if_unused(folder: Path) -> None:
    """Removes the run folder of a configuration that was refused: Hydra creates it before the settings are checked."""
    found = {file.name: file for file in folder.iterdir()} if folder.is_dir() else {}
    log = found.pop(LOG, None)
    if found.keys() == {".hydra"} and (log is None or not log.stat().st_size):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _messages() -> Iterator[None]:
    """Ends the process with a few lines and a status where an error is the user's or the machine's."""
    try:
        yield
    except BrokenPipeError:  # whoever reads the output has seen enough: crescent --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        _stop(failure.kind, failure.message, failure.status)
    except UnfitJob as unfit:
        failure = failure_of(unfit.error)
        if failure is None:
            raise unfit.error from None
        _stop(failure.kind, f"{unfit.name}: {failure.message}", failure.status)
    except KeyboardInterrupt:
        _stop("stopped", f"everything finished is kept; go on with: {command()}", 130)
    except Stopped as stopped:
        name = signal.Signals(stopped.signum).name
        _stop("stopped", f"by {name}; everything finished is kept; go on with: {command()}", 143)


def run_job(config: DictConfig) -> None:
    """One job: checks the configuration, then runs. Imports what is heavy only after the cheap checks."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)
    node: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    from crescent.experiment import Job
    from crescent.observers.narration import tell_formats, tell_recipes, tell_thinking
    from crescent.observers.summary import Summary
    from crescent.observers.tables import print_paths, print_table
    from crescent.pipeline import Runner, run
    from crescent.reporting.show.single import report_run

    configured = Job.from_node(node)
    experiment = configured.experiment
    experiment.check()
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    _log_to(folder / LOG)
    console = Console()
    console.heading(f"Crescent: {experiment.name}  {' '.join(job.overrides.task)}".rstrip())
    console.say(f"{experiment.model.name} teaches {experiment.distill.student.name}; run folder {folder}")
    tell_formats(console, (experiment.model, experiment.distill.student), lambda: configured.experiment.device)
    tell_recipes(console, *(str(job.runtime.choices.get(group, "none")) for group in ("recipe", "student_recipe")))
    tell_thinking(console, (experiment.model, experiment.distill.student))
    experiment = experiment.resolved()
    # what is tracked, compared and exported is what the run computed in
    node["model"]["dtype"] = experiment.model.dtype
    node["distill"]["student"]["dtype"] = experiment.distill.student.dtype
    if not _fit_to_run(experiment, configured.check, folder, console):
        return
    _link_latest(folder)
    summary = Summary(experiment.name, experiment.seed, list(job.overrides.task), node, folder)
    group, name = _names(job, experiment.name)
    full = full_disk_named(Path(experiment.store).absolute(), folder)
    tracked = configured.tracking.start(folder, node, group, name)
    with full, stoppable(), summary.ends(), tracked as tracker:
        with experiment.runtime.start() as place:
            run(experiment, Runner(experiment, console, place, [summary, tracker]))
        summary.write()
        report = report_run(folder)
        tracker.report(report.differences, report.page)
        tracked = tracker.place
    print_table(summary.scores, report.differences, summary.iterations)
    paths = {"report": report.page} if report.page else {}
    print_paths({**paths, "summary": folder / "summary.json", "adapter": summary.artifacts["adapter"], "W&B": tracked})


def _fit_to_run(experiment: "Experiment", check: bool | str, folder: Path, console: Console) -> bool:
    """Checks before a run, where it is asked for or the run is long; False where nothing more is wanted."""
    from crescent.preflight.forecast import forecast
    from crescent.preflight.requirements import is_long, preflight

    if check is False or (check == "auto" and not is_long(experiment)):
        return True
    console.heading("Preflight: can this run work here, and what will it take?")
    preflight(experiment, folder, console)
    forecast(experiment, console)
    return check == "auto"


def command() -> str:
    """The command that was run, to be run again."""
    return shlex.join(["crescent", *sys.argv[1:]])


def _names(job: Any, experiment: str) -> tuple[str, str]:
    """The W&B group (the sweep, or the experiment) and the job's name in it."""
    if job.mode is not None and job.mode.name == "MULTIRUN":
        return Path(job.sweep.dir).name, job.job.override_dirname or f"job {job.job.num}"
    return experiment, job.job.override_dirname or experiment


def _link_latest(folder: Path) -> None:
    """outputs/latest points at the newest run; where links cannot be made, it is left out."""
    latest = Path("outputs") / "latest"
    try:
        latest.parent.mkdir(exist_ok=True)
        fresh = latest.with_name(f".latest-{os.getpid()}")
        fresh.symlink_to(os.path.relpath(folder, latest.parent))
        os.replace(fresh, latest)
    except OSError:
        logging.getLogger(__name__).info("no link %s could be made", latest)


def _log_to(path: Path) -> None:
    """The package's log: everything to the run's folder, warnings to stderr as single lines."""
    log = logging.getLogger("crescent")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    file = logging.FileHandler(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    line = logging.StreamHandler()
    line.setFormatter(logging.Formatter("  %(message)s"))
    log.addHandler(file)
    log.addHandler(line)
    log.setLevel(logging.INFO)
    log.propagate = False


def _stop(kind: str, message: str, status: int) -> NoReturn:
    print(f"crescent: {kind}: {message}", file=sys.stderr)
    sys.unraisablehook = lambda _: None  # the message is the last word: nothing that libraries' clean-up may add
    raise SystemExit(status)


if __name__ == "__main__":
    main()
