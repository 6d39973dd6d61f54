"""The command `crescent-eval`: scores a finished run on another suite, `crescent-eval outputs/latest eval=general`.

In: the folder of a run, and overrides of `eval`, `prompting` and `runtime`. Out: scores in the run's summary.json, its
report and its W&B run. The models are those that the run scored, asked in the same way; what is in the store is reused.
Trains nothing.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from crescent.cli.arguments import a_path, a_store
from crescent.cli.errors import full_disk_named
from crescent.cli.main import LOG, log_to, messages, quiet_libraries, tracked_as
from crescent.cli.next_steps import after_run
from crescent.config.composing import composed
from crescent.config.typed import ConfigError
from crescent.core.console import Console
from crescent.core.signals import stoppable
from crescent.preflight.busy import wait_passively
from crescent.reporting.read.runs import FINISHED, SUMMARY, Run, read

if TYPE_CHECKING:
    from crescent.core.context import EngineHandle, Stage, StageContext
    from crescent.core.store import Store
    from crescent.engines.weights import Weights
    from crescent.experiment import Experiment
    from crescent.runtime.local import Backend

PROGRAM = "crescent-eval"
SETTINGS = ("eval", "prompting", "runtime")
"""What may be chosen anew."""
HOW = (
    "chat_template", "fewshot_as_multiturn", "system_prompt", "stop", "seed", "models", "engine", "samples",
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty",
)  # fmt: skip
"""How models are asked: the run's own unless it is overridden. What they are asked comes from the suite."""


def main() -> None:
    """The console script."""
    wait_passively()
    with messages(PROGRAM), stoppable():
        _run(_parser().parse_args())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Score a finished run on another suite.")
    parser.add_argument("run", type=a_path, help="the folder of a run, such as outputs/latest")
    parser.add_argument(
        "overrides", nargs="+", metavar="eval=SUITE",
        help="as for crescent: eval=general, eval.limit=500, eval.models=[student], prompting=zero_shot_cot",
    )  # fmt: skip
    parser.add_argument("--store", type=a_store, help="the store's folder, if it was moved")
    parser.add_argument("--cfg", choices=("job",), help="only print the settings")
    return parser


def _run(asked: argparse.Namespace) -> None:
    folder = asked.run.resolve()
    run = _finished(asked.run, asked.store)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    node = settings(summary["config"], asked.overrides)
    if asked.cfg:
        print(OmegaConf.to_yaml(OmegaConf.create(node)), end="")
        return
    quiet_libraries()
    console = Console()
    with console.working("starting"):
        from crescent.core.store import Store
        from crescent.experiment import Job
        from crescent.observers.narration import Narrator
        from crescent.observers.summary import LaterScores
        from crescent.pipeline import evaluate

        job = Job.from_node(node)
        experiment = job.experiment.resolved()
        if not experiment.eval.tasks:
            raise ConfigError(f"eval={experiment.eval.name} has no tasks: name a suite, as in eval=general")
        place, trained = _student(run, asked.run, experiment)
        experiment = replace(experiment, store=str(place))
        _check(experiment)
        log_to(folder / LOG)
    console.heading(f"{PROGRAM}: {asked.run}  {' '.join(asked.overrides)}")
    later = LaterScores(folder, {"eval": node["eval"], "prompting": node["prompting"]})
    tracked = job.tracking.resume(_as_recorded(folder), summary["config"], *_names(folder, experiment.name))
    with full_disk_named(place, folder), console.working("at work"), tracked as tracker:
        context = _context(Store(place), console, run.last_trained, (Narrator(console), later, tracker))
        with experiment.runtime.start() as backend:
            evaluate(experiment, _Scoring(experiment, context, backend), trained, first=True)
        _report(folder, tracker)


def _finished(folder: Path, store: Path | None) -> Run:
    """The run of a folder. Raises ConfigError if there is none, or if it has not finished."""
    if not (folder / SUMMARY).is_file():
        raise ConfigError(f"{folder} has no {SUMMARY}: give the folder of a finished run, such as outputs/latest")
    try:
        run = read(folder, store)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if run.status != FINISHED:
        raise ConfigError(
            f"{folder} has not finished (its status is {run.status}): run the same `crescent` command again, which "
            "resumes it, then score it"
        )
    return run


def settings(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The run's configuration with the overrides. Raises ConfigError for a setting that decides what the run made."""
    keys = [one.lstrip("+~").partition("=")[0] for one in overrides]
    for key in keys:
        if key.partition(".")[0] not in SETTINGS:
            raise ConfigError(
                f"{key} is a setting of the run, which has been made; only {', '.join(SETTINGS[:-1])} and "
                f"{SETTINGS[-1]} can be chosen here, as in eval=general"
            )
    made, node = composed(overrides), deepcopy(dict(config))
    for key in sorted(keys, key=lambda one: one.count(".")):  # a choice before the settings in it
        *groups, name = key.split(".")
        new, old = made, node
        for group in groups:
            new, old = new[group], old.setdefault(group, {})
        old[name] = new[name]
        if key == "eval":
            old[name] = {**new[name], **{how: config["eval"][how] for how in HOW if how in config["eval"]}}
    return node


def _student(run: Run, folder: Path, experiment: "Experiment") -> "tuple[Path, Weights]":
    """The store, and the run's last student. Raises ConfigError if its weights are gone."""
    student, report = experiment.distill.student, run.stage("finetune")
    artifact = run.artifact("finetune", str(report["key"])) if report else None
    if artifact is not None:
        return artifact.parents[2], experiment.train.method.trained(student, artifact, artifact.name)
    if "student" in experiment.roles:
        looked = report["key"] if report else "an adapter"
        raise ConfigError(
            f"the student of {folder} ({looked}) is in no store: give the store's folder with --store if it was moved, "
            "run the same `crescent` command again, which trains it again, or leave it out with eval.models=[base]"
        )
    return next((root for root in run.stores if root.is_dir()), Path(experiment.store)).absolute(), student


def _check(experiment: "Experiment") -> None:
    """Checks what can be known before a model loads. Raises ConfigError with a suggested fix."""
    from crescent.engines.weights import check
    from crescent.evaluation.harness import check as check_evaluation

    try:
        experiment.runtime.check()
        teacher = [experiment.model] if "teacher" in experiment.roles else []
        for weights in (*teacher, experiment.distill.student):
            check(weights)
        experiment.check_scored()
        check_evaluation(experiment.eval, experiment.prompting)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Scoring:
    """Scores with the context of a run that has ended."""

    experiment: "Experiment"
    context: "StageContext"
    backend: "Backend"

    def do(self, stage: "Stage", *inputs: Any, engine: "EngineHandle | None" = None, **options: Any) -> Any:
        return self.context.run(stage, *inputs, engine=engine, **options)

    def scorer(self, weights: "Weights") -> "EngineHandle":
        from crescent.pipeline import scorer

        return scorer(self.experiment, weights, self.context.store, self.backend, self.context.console)


def _context(store: "Store", console: Console, iteration: int, subscribers: Sequence[Any]) -> "StageContext":
    from crescent.core.context import StageContext
    from crescent.core.events import Subscribers
    from crescent.engines import LazyEngine

    def none(*_: Any) -> Any:
        raise AssertionError("scoring uses the engine of the model that is scored, and no embedder")

    return StageContext(store, LazyEngine("none", none), none, "none", console, Subscribers(subscribers), iteration)


def _report(folder: Path, tracker: Any) -> None:
    """Draws the run's report again, and prints all its scores."""
    from crescent.observers.tables import print_paths, print_table
    from crescent.reporting.show.single import report_run

    report = report_run(folder)
    tracker.report(report.differences, report.page)
    run = read(folder)
    print_table(run.scores, report.differences, run.iterations)
    paths = {"report": report.page} if report.page else {}
    print_paths({**paths, "summary": folder / SUMMARY, "W&B": tracker.place})
    print(after_run(folder, report.page))


def _hydra(folder: Path) -> Any:
    """What Hydra knew of the run; None if its files are gone."""
    file = folder / ".hydra" / "hydra.yaml"
    return OmegaConf.load(file).hydra if file.is_file() else None  # type: ignore[union-attr]


def _as_recorded(folder: Path) -> Path:
    """The run's folder in the spelling that its W&B run is identified by, unless it was moved."""
    known = _hydra(folder)
    recorded = Path(str(known.runtime.output_dir)) if known is not None else folder
    return recorded if recorded.resolve() == folder else folder


def _names(folder: Path, experiment: str) -> tuple[str, str]:
    known = _hydra(folder)
    return (experiment, experiment) if known is None else tracked_as(known, experiment)


if __name__ == "__main__":
    main()
