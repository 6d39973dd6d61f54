"""The keys of every stage of a composed experiment, so that a change of layout or names can be seen to change none.

    python -m tests.golden.stage_keys    # writes keys.json anew: only where results are meant to change

In: overrides of the command. Out: one key for each stage, with its settings as the store sees them. Inputs are
stand-ins: what a stage reads is made by the stage before it, whose key is here too. What a machine decides (precision)
is pinned.
"""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from crescent.config.composing import composed
from crescent.config.resolvers import assets
from crescent.core.context import ModelKeys
from crescent.core.store import Key, make_key
from crescent.evaluation.harness import PLAIN, plan
from crescent.experiment import Experiment
from crescent.pipeline import engine_key
from crescent.sources.seeds_stage import Seeds

FILE = Path(__file__).parent / "keys.json"
ROOT = assets()
MANDATORY = {
    "model=hf": ("model.path=x",),
    "distill=hf": ("distill.student.path=x",),
    "source=questions": ("source.data=x",),
    "source=pairs": ("source.data=x",),
}


def experiment(overrides: Sequence[str]) -> Experiment:
    """A typed experiment from overrides, without machine paths."""
    node = json.loads(json.dumps(composed(overrides)).replace(str(ROOT), "ASSETS"))
    return Experiment.from_node(node)


def keys(made: Experiment) -> dict[str, str]:
    """The key of each stage."""
    stages = made.stages()
    engine = engine_key(made.engine, "teacher")
    models = ModelKeys(engine, "embedder")
    finetune = replace(stages.finetune, settings=replace(made.training, precision="32-true"))
    return {
        "engine": engine,
        "scoring": engine_key(made.scoring, "student"),
        "embedder": make_key("embedder", 2, replace(made.embedder, dtype="float32")),
        "elicit": make_key("elicit", stages.elicit.VERSION, {"stage": stages.elicit, "shard": 0}, [engine]),
        "diversify": stages.diversify.key(models, "stream").digest,
        "decontaminate": make_key("decontaminate", stages.decontaminate.VERSION, made.contamination),
        "answer": stages.answer.key(models, "questions").digest,
        "vote": _digest(stages.vote.key(models, "questions", "ledger")),
        **({"select": _digest(select)} if (select := stages.select.key(models, "pairs")) else {}),
        "gather": make_key("gather", stages.gather.VERSION, stages.gather, ["pairs"]),
        "finetune": finetune.key(models, "student", "pairs").digest,
        "source": make_key("seeds", Seeds.VERSION, {"source": made.source}),
        "evaluate": make_key("evaluate", stages.evaluate.VERSION, made.eval),
        **_scorings(made),
    }


def _digest(key: Key | None) -> str:
    assert key is not None, "there is something to do"
    return key.digest


def _scorings(made: Experiment) -> dict[str, str]:
    """The real keys of scores, of suites whose tasks come with Crescent."""
    if not all(task.startswith("organism_") for task in made.eval.tasks):
        return {}
    here = replace(made.eval, task_folders=tuple(f.replace("ASSETS", str(ROOT)) for f in made.eval.task_folders))
    stage = replace(made.stages().evaluate, settings=here)
    return {
        f"evaluate {prompting.name} {source.name} {shots}": replace(stage, prompting=prompting)
        .task_key(ModelKeys("engine", "embedder"), source, shots)
        .digest
        for prompting in (PLAIN, *made.prompting.baselines.values())
        for source, shots in plan(here, prompting)
    }


def presets() -> Iterator[tuple[str, ...]]:
    """Every choice of every group, every experiment."""
    for file in sorted((ROOT / "conf").rglob("*/*.yaml")):
        group = file.parent.relative_to(ROOT / "conf")
        if not group.is_relative_to("hydra") and str(group) != "tracking":
            name = f"{group}={file.stem}"
            yield (name, *MANDATORY.get(name, ()))
    for file in sorted((ROOT / "experiments").rglob("*.yaml")):
        yield (f"+{file.parent.relative_to(ROOT)}={file.stem}",)


def sweep_jobs() -> Iterator[tuple[str, ...]]:
    """Every job of every sweep."""
    for file in sorted((ROOT / "sweeps").glob("*.yaml")):
        params = yaml.safe_load(file.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
        axes = [[f"{key}={value}" for value in str(values).split(",")] for key, values in params.items()]
        for values in itertools.product(*axes):
            yield (f"+sweeps={file.stem}", *values)


def of_presets() -> dict[str, dict[str, str | None]]:
    """The keys of the default run (""), and of each preset where they differ; None: the preset has no such stage."""
    default = keys(experiment(()))
    found: dict[str, dict[str, str | None]] = {"": dict(default)}
    for overrides in presets():
        made = keys(experiment(overrides))
        different = {name: key for name, key in made.items() if default.get(name) != key}
        found[" ".join(overrides)] = {**different, **dict.fromkeys(default.keys() - made.keys())}
    return found


def of_sweeps() -> dict[str, str]:
    """One key for each job, of all the keys of its stages: there are hundreds."""
    return {" ".join(job): make_key("job", 1, keys(experiment(job))) for job in sweep_jobs()}


def write(found: Mapping[str, Any]) -> None:
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.pop("CRESCENT_BENCHMARKS", None)  # files that are here and not elsewhere
    write({"presets": of_presets(), "sweeps": of_sweeps()})
