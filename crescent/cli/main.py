"""The command `crescent`: runs an `Experiment` from Hydra's DictConfig.

In: overrides on the command line. Out: a run folder with summary.json, `.hydra/` and `wandb/`; the result table on
stdout. A user's mistake prints a few lines and ends with exit status 2, a fault while running prints one line and ends
with exit status 1; anything else is a bug of ours and shows its traceback.
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
from crescent.cli.next_steps import after_check, after_run
from crescent.config.resolvers import assets, register_resolvers
from crescent.config.typed import ConfigError
from crescent.core.console import Console
from crescent.core.signals import Stopped, stoppable
from crescent.core.use import in_use
from crescent.preflight.busy import Look, wait_passively, warning
from crescent.sweeps.callback import recorded, reported
from crescent.sweeps.jobs import UnfitJob

if TYPE_CHECKING:
    from crescent.experiment import Experiment

LOG = "crescent.log"
"""Name of the log file in the run folder."""
OPTIONS = (
    "--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run", "--multirun",
    "--shell-completion", "--config-path", "--config-name", "--config-dir", "--experimental-rerun", "--info",
)  # fmt: skip
"""Hydra's options."""
ALLOCATOR = "PYTORCH_ALLOC_CONF"
"""Read by torch 2.9 and later; earlier releases have only the name with CUDA in it."""


def main() -> None:
    """The console script."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us instead of Hydra's own report
    wait_passively()
    register_resolvers()
    entry = hydra.main(version_base="1.3", config_path=str(assets() / "conf"), config_name="config")(_job)
    with messages(), stoppable(), reported(Console(), command()):
        sys.argv[1:] = arguments(sys.argv[1:])
        entry()


def arguments(given: Sequence[str]) -> list[str]:
    """The command's arguments with options before settings, in whatever order they were given.

    Raises ConfigError for what Hydra would report as a usage error or a traceback, and for an empty run folder, because
    Hydra would write into the current one before our checks run.
    """
    settings = [one for one in given if not one.startswith("-") and ("=" in one or one.startswith("~"))]
    options = [one for one in given if one not in settings]
    for name, equals, value in (one.partition("=") for one in options if one.startswith("--")):
        if not any(option.startswith(name) for option in OPTIONS):  # Hydra takes abbreviations
            setting = f"{name.removeprefix('--')}={value if equals else 'true'}"
            raise ConfigError(f"{name} is not an option; settings are written without dashes, as in {setting}")
    for key, _, value in (one.lstrip("+~").partition("=") for one in settings):
        if not key.strip():
            raise ConfigError(f"={value} has no key; write KEY=VALUE, as in vote.draws=5")
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not value.strip(" '\""):
            raise ConfigError(f"{key} is empty; give it a value")
    return [*options, *settings]


def _job(config: DictConfig) -> None:
    """Runs one job. A single job ends with its own message; a sweep continues after a failed job and reports at its
    end.
    """
    job = HydraConfig.get()
    if _is_of_sweep(job):
        with recorded(Path(job.runtime.output_dir), job.job.num, job.overrides.task, failure_of):
            run_job(config)
    else:
        folder = Path(job.runtime.output_dir)
        try:
            with messages():
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
def messages(program: str = "crescent") -> Iterator[None]:
    """Ends the process with a few lines and an exit status if an error is the user's or the machine's."""
    try:
        yield
    except BrokenPipeError:  # the reader closed the pipe: crescent --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        _stop(program, failure.kind, failure.message, failure.status)
    except UnfitJob as unfit:
        failure = failure_of(unfit.error)
        if failure is None:
            raise unfit.error from None
        _stop(program, failure.kind, f"{unfit.name}: {failure.message}", failure.status)
    except KeyboardInterrupt:
        _stop(program, "stopped", f"finished work is kept; resume with: {command(program)}", 130)
    except Stopped as stopped:
        name = signal.Signals(stopped.signum).name
        _stop(program, "stopped", f"by {name}; finished work is kept; resume with: {command(program)}", 143)


def quiet_libraries() -> None:
    """Settings of libraries that must be made before they are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not os.environ.keys() & {ALLOCATOR, "PYTORCH_CUDA_ALLOC_CONF"}:
        os.environ[ALLOCATOR] = "expandable_segments:True"  # micro-batches of many lengths fragment GPU memory
    warnings.filterwarnings("ignore", category=FutureWarning)


def run_job(config: DictConfig) -> None:
    """Checks the configuration, then runs one job. Heavy imports come only after the cheap checks."""
    quiet_libraries()
    console, before = Console(), Look.now()
    with console.working("starting"):
        node: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        from crescent.experiment import Job
        from crescent.observers.summary import Summary
        from crescent.observers.tables import print_paths, print_table
        from crescent.pipeline import Runner, run
        from crescent.reporting.show.single import report_run

        configured = Job.from_node(node)
        experiment = configured.experiment
        experiment.check()
        _make_store(experiment.store)
        job = HydraConfig.get()
        folder = Path(job.runtime.output_dir)
        log_to(folder / LOG)
        _introduce(experiment, job, console)
        experiment = experiment.resolved()
        # record the number format that the run computes in: it is tracked, compared and exported
        node["model"]["dtype"] = experiment.model.dtype
        node["distill"]["student"]["dtype"] = experiment.distill.student.dtype
        if (slow := warning(Look.now().others_since(before))) is not None:
            console.say(slow)
        if not _fit_to_run(experiment, configured.check, folder, console):
            console.say(after_check(sys.argv[1:]))
            return
    _link_latest(folder)
    summary = Summary(experiment.name, experiment.seed, list(job.overrides.task), node, folder)
    group, name = tracked_as(job, experiment.name)
    full = full_disk_named(Path(experiment.store).absolute(), folder)
    tracked = configured.tracking.start(folder, node, group, name)
    used = in_use(Path(experiment.store).absolute())
    with full, stoppable(), used, summary.ends(), console.working("at work"), tracked as tracker:
        with experiment.runtime.start() as place:
            run(experiment, Runner(experiment, console, place, [summary, tracker]))
        summary.write()
        report = report_run(folder)
        tracker.report(report.differences, report.page)
        tracked = tracker.place
    print_table(summary.scores, report.differences, summary.iterations)
    paths = {"report": report.page} if report.page else {}
    print_paths({**paths, "summary": folder / "summary.json", "adapter": summary.artifacts["adapter"], "W&B": tracked})
    if not _is_of_sweep(job):  # a sweep has a last line of its own
        print(after_run(folder, report.page))


def _introduce(experiment: "Experiment", job: Any, console: Console) -> None:
    """Prints which run this is, and what was decided for its models on this machine."""
    from crescent.observers import narration

    models = (experiment.model, experiment.distill.student)
    console.heading(f"Crescent: {experiment.name}  {' '.join(job.overrides.task)}".rstrip())
    teacher, student = (weights.name for weights in models)
    who = f"{teacher} improves itself" if experiment.is_self_improvement else f"{teacher} teaches {student}"
    console.say(f"{who}; run folder {job.runtime.output_dir}")
    narration.tell_unusable_gpu()
    narration.tell_formats(console, models, lambda: experiment.device)
    choices = job.runtime.choices
    narration.tell_recipes(console, *(str(choices.get(group, "none")) for group in ("recipe", "student_recipe")))
    narration.tell_thinking(console, models)
    narration.tell_short_length(experiment.train, experiment.distill.student)


def _fit_to_run(experiment: "Experiment", check: bool | str, folder: Path, console: Console) -> bool:
    """Preflight, if requested or if the run is long. False if only the check was requested."""
    from crescent.preflight.forecast import forecast
    from crescent.preflight.requirements import is_long, preflight

    if check is False or (check == "auto" and not is_long(experiment)):
        return True
    console.heading("Preflight: can this run work here, and what will it cost?")
    preflight(experiment, folder, console)
    forecast(experiment, console)
    return check == "auto"


def _make_store(store: str) -> None:
    """Creates the store. Raises ConfigError if that is impossible."""
    try:
        Path(store).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"store is {store!r}: no such folder can be created ({error.strerror}); choose another, as in store=DIR"
        ) from None


def command(program: str = "crescent") -> str:
    """The command line of this process, for running it again."""
    return shlex.join([program, *sys.argv[1:]])


def tracked_as(job: Any, experiment: str) -> tuple[str, str]:
    """The W&B group (the sweep, or the experiment) and the job's name in it. `job` is Hydra's configuration, also as
    it was saved.
    """
    if _is_of_sweep(job):
        return Path(job.sweep.dir).name, job.job.override_dirname or f"job {job.job.num}"
    return experiment, job.job.override_dirname or experiment


def _is_of_sweep(job: Any) -> bool:
    return getattr(job.mode, "name", job.mode) == "MULTIRUN"


def _link_latest(folder: Path) -> None:
    """Points outputs/latest at the newest run; skipped where links cannot be made."""
    latest = Path("outputs") / "latest"
    try:
        latest.parent.mkdir(exist_ok=True)
        fresh = latest.with_name(f".latest-{os.getpid()}")
        fresh.symlink_to(os.path.relpath(folder, latest.parent))
        os.replace(fresh, latest)
    except OSError:
        logging.getLogger(__name__).info("could not create the link %s", latest)


def log_to(path: Path) -> None:
    """Sets up the package's log: everything goes to the run's folder and, as plain lines, to stderr."""
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


def _stop(program: str, kind: str, message: str, status: int) -> NoReturn:
    print(f"{program}: {kind}: {message}", file=sys.stderr)
    sys.unraisablehook = lambda _: None  # the message comes last: libraries' clean-up must print nothing after it
    raise SystemExit(status)


if __name__ == "__main__":
    main()
