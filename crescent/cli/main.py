"""The command `crescent`: Hydra's DictConfig comes in, an `Experiment` runs.

In: overrides on the command line. Out: a run folder with summary.json, `.hydra/` and `wandb/`; the result table on
stdout. A mistake of the user's ends in a few lines and exit status 2, a fault
while running in one line and exit status 1; anything else is a bug of ours and shows its traceback.
"""

import difflib
import errno
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from crescent.config.resolvers import PACKAGE, assets, register_resolvers
from crescent.config.typed import ConfigError
from crescent.core.console import Console
from crescent.core.signals import Stopped, stoppable
from crescent.engines.memory import is_out_of_memory
from crescent.sweeps.callback import Failure, recorded, reported
from crescent.sweeps.jobs import UnfitJob

if TYPE_CHECKING:
    from crescent.experiment import Experiment

_MEMORY = (
    "Use a smaller model, model.dtype=bfloat16, engine.max_batch, train.micro_batch_tokens or "
    "eval.loglikelihood_batch; what was finished is kept, and the same command goes on."
)


def main() -> None:
    """The console script."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us here instead of Hydra's own report
    register_resolvers()
    entry = hydra.main(version_base="1.3", config_path=str(assets() / "conf"), config_name="config")(_job)
    with _messages(), stoppable(), reported(Console(), command()):
        entry()


def _job(config: DictConfig) -> None:
    """One job. A single one ends with its own message; a sweep goes on after one that fails, and tells at its end."""
    job = HydraConfig.get()
    if job.mode is not None and job.mode.name == "MULTIRUN":
        with recorded(Path(job.runtime.output_dir), job.job.num, job.overrides.task, _failure):
            run_job(config)
    else:
        with _messages():
            run_job(config)


def _failure(error: Exception) -> Failure | None:
    """What there is to say of an error that is the user's or the machine's; None: it is a bug of ours."""
    if isinstance(error, ConfigError):
        return Failure("config", str(error), 2)
    if isinstance(error, HydraException):
        return Failure("config", _composition_message(error), 2)
    if isinstance(error, OmegaConfBaseException):
        return Failure("config", str(error).splitlines()[0], 2)
    if isinstance(error, OSError):
        return Failure("error", _os_message(error), 1)
    ours = not _is_bug(error)
    if is_out_of_memory(error) and not (ours and isinstance(error, MemoryError) and str(error)):  # ours say the mend
        return Failure("error", f"{(str(error) or 'out of memory').splitlines()[0][:200].rstrip('.')}. {_MEMORY}", 1)
    if isinstance(error, ValueError | MemoryError | RuntimeError) and ours:
        return Failure("error", str(error), 1)
    return None


@contextmanager
def _messages() -> Iterator[None]:
    """Ends the process with a few lines and a status where an error is the user's or the machine's."""
    try:
        yield
    except Exception as error:
        failure = _failure(error)
        if failure is None:
            raise
        _stop(failure.kind, failure.message, failure.status)
    except UnfitJob as unfit:
        failure = _failure(unfit.error)
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
    from crescent.observers.narration import tell_formats, tell_thinking
    from crescent.observers.summary import Summary
    from crescent.observers.tables import print_paths, print_table
    from crescent.pipeline import run
    from crescent.reporting.show.single import report_run

    configured = Job.from_node(node)
    experiment = configured.experiment
    experiment.check()
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    _log_to(folder / "crescent.log")
    console = Console()
    console.heading(f"Crescent: {experiment.name}  {' '.join(job.overrides.task)}".rstrip())
    console.say(f"{experiment.model.name} teaches {experiment.distill.student.name}; run folder {folder}")
    tell_formats(console, (experiment.model, experiment.distill.student), lambda: configured.experiment.device)
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
    full = _full_disk_named(Path(experiment.store).absolute(), folder)
    tracked = configured.tracking.start(folder, node, group, name)
    with full, stoppable(), summary.ends(), tracked as tracker:
        with experiment.runtime.start() as place:
            run(experiment, summary, console, tracker, place)
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


@contextmanager
def _full_disk_named(*folders: Path) -> Iterator[None]:
    """A write that finds no space names no file: the fullest of the folders that a run writes to is named."""
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if os.strerror(errno.ENOSPC) in str(error):  # also what libraries of other languages make of it
            number = errno.ENOSPC
        if number not in (errno.ENOSPC, errno.EDQUOT):
            raise
        there = {folder: next(place for place in (folder, *folder.parents) if place.exists()) for folder in folders}
        fullest = min(folders, key=lambda folder: shutil.disk_usage(there[folder]).free)
        raise OSError(number, os.strerror(number), str(getattr(error, "filename", None) or fullest)) from error


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


def _composition_message(error: BaseException) -> str:
    """Hydra's report of a configuration that does not compose, shortened to what is wrong and what may be."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read as KEY=VALUE ({text.splitlines()[0]}); quote special characters"
    key = re.search(r"Could not (?:override|delete|append)[^']*'([^'=]+)", text)
    if key:
        return f"{key[1]} is not a setting.{_similar_key(key[1])}"
    choice = re.search(r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']*':\s+(.*)", text, re.DOTALL)
    if choice:
        options = re.split(r"\n\s*\n|\nConfig search path", choice[3])[0].split()
        return f"{choice[1]}={choice[2]} is not a choice. There are: {', '.join(options)}."
    return "\n".join(line for line in text.splitlines()[:3] if line.strip())


def _similar_key(key: str) -> str:
    """A suggestion among the keys of the default configuration."""
    known = _known_keys()
    if key in known:
        return f" The chosen {key.partition('.')[0]} does not have it."
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    parent = key.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if close:
        return f" Did you mean {close[0]}?"
    return f" There are: {', '.join(siblings)}." if siblings else " `crescent --cfg job` prints all settings."


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration with these overrides, resolved. Raises ConfigError for what does not compose."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register_resolvers()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
            return OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)  # type: ignore[return-value]
    except HydraException as error:
        raise ConfigError(_composition_message(error)) from None


def _known_keys() -> list[str]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
        node: Any = OmegaConf.to_container(compose("config"))
    return list(_dotted(node))


def _dotted(node: Mapping[str, Any], path: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in node.items():
        keys.append(path + str(key))
        if isinstance(value, Mapping):
            keys += _dotted(value, f"{path}{key}.")
    return keys


def _os_message(error: OSError) -> str:
    """No space, no permission, no such folder: what, where, and what to do."""
    where = f" ({error.filename})" if error.filename else ""
    mend = "Make room there, or choose folders with hydra.run.dir=DIR store=DIR; the same command then goes on."
    return f"{error.strerror or error}{where}. {mend}"


def _is_bug(error: BaseException) -> bool:
    """Whether an error was raised outside Crescent's own checks: those raise from files of this package."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and PACKAGE not in Path(trace.tb_frame.f_code.co_filename).parents


def _stop(kind: str, message: str, status: int) -> NoReturn:
    print(f"crescent: {kind}: {message}", file=sys.stderr)
    sys.unraisablehook = lambda _: None  # the message is the last word: nothing that libraries' clean-up may add
    raise SystemExit(status)


if __name__ == "__main__":
    main()
