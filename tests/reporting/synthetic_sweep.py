"""A sweep in the files that real runs write, with made-up results: for measuring and testing reports.

In: a folder and sizes. Out: runs below `<folder>/multirun` that share `<folder>/store`: summaries, samples, questions,
decisions, votes and training steps. Scores rise with the draws of the vote, by the same chances in every seed. Tasks
with "plus" in their name have four variants of each question, which are their parts.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crescent.core.records import Ballot, Decision, QAPair, Question, Score, TaskScore, TrainStep, encode, text_id
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.evaluation.metrics import cost_scores, subset_scores
from crescent.evaluation.samples import write

DEDUPS = ("none", "exact", "drop", "rejection")
DRAWS = (1, 3, 5)
TOKENS = {"few_shot": 3000}
"""New tokens an item, where they are not 90."""
PARTS = ("rephrased", "distractor insertion", "digit expansion", "critical thinking")
FILTERS = ("exact_match,strict-match", "exact_match,flexible-extract")
SENTENCE = "A shop sells {a} boxes of {b} apples for ${c} each. On Monday it sells {d} more. How much does it take in? "


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sizes of a made-up sweep."""

    folder: Path
    dedups: Sequence[str] = DEDUPS
    draws: Sequence[int] = DRAWS
    seeds: Sequence[int] = (0, 1, 2)
    tasks: Sequence[str] = ("gsm", "asdiv", "plus", "general", "ordering")
    shots: Sequence[int] = (0, 5)
    items: int = 1000
    questions: int = 1000
    prefix: str = ""
    promptings: Sequence[str] = ()
    iterations: int = 1
    parts: bool = False

    def build(self) -> Path:
        """Writes everything; returns the folder of the runs."""
        store = Store(self.folder / "store")
        number = 0
        for dedup in self.dedups:
            for draws in self.draws:
                for seed in self.seeds:
                    _run(self, store, dedup, draws, seed, self.folder / "multirun" / str(number))
                    number += 1
        return self.folder / "multirun"


def question(number: int, prefix: str = "") -> str:
    """The n-th question."""
    rest = {name: number * factor % 97 + 2 for name, factor in (("a", 1), ("b", 7), ("c", 13), ("d", 29))}
    return f"{prefix}{SENTENCE.format(**rest)}(number {number})"


def _run(sweep: Sweep, store: Store, dedup: str, draws: int, seed: int, folder: Path) -> None:
    settings = {"dedup": dedup, "draws": draws, "seed": seed}
    data = _data(sweep, store, settings)
    scores: list[Score] = []
    evaluations: list[dict[str, Any]] = []
    asked = [("base", 0, "none"), *(("base", 0, name) for name in sweep.promptings)]
    for model, iteration, prompting in [*asked, *(("student", at, "none") for at in range(1, sweep.iterations + 1))]:
        own = (settings | {"iteration": iteration} if iteration > 1 else settings) if iteration else {}
        own |= {} if prompting == "none" else {"prompting": prompting}
        for task in sweep.tasks:
            for shots in sweep.shots:
                found = _evaluation(sweep, store, task, shots, own)
                for one in found.read(TaskScore):
                    primary = f"{one.metric},{one.filter}" == FILTERS[1]
                    scores.append(Score(model, iteration, prompting, primary=primary, **asdict(one)))
                place = {"model": model, "iteration": iteration, "prompting": prompting, "task": task, "shots": shots}
                evaluations.append({**place, "key": found.key, "path": str(found.path)})
    config = {
        "seed": seed, "name": "synthetic", "iterations": sweep.iterations, "store": str(store.root),
        "dedup": {"name": dedup},
        "vote": {"name": "majority", "draws": draws, "seed": seed}, "train": {"name": "lora", "seed": seed},
        "model": {"name": "made up"}, "distill": {"name": "self", "student": {"name": "made up"}},
        "tracking": {"name": "wandb", "project": "synthetic", "entity": None},
        "eval": {"name": "made up", "limit": sweep.items, "seed": 1234},
    }  # fmt: skip
    stages = [_stage(name, artifact, tokens) for name, artifact, tokens in data]
    stages.append({"stage": "evaluate", "iteration": 1, "key": "made-up-weights", "records": sweep.items})
    labels = [{"iteration": 1, "labels_right": min(0.8 + 0.02 * draws, 0.99), "bins": [
        {"agreement": agreement, "right": agreement**0.5, "questions": 50} for agreement in (0.4, 0.6, 1.0)
    ]}]  # fmt: skip
    summary = {
        "experiment": "synthetic", "status": "finished", "overrides": [], "seed": seed, "config": config,
        "scores": [asdict(score) for score in scores], "evaluations": evaluations, "stages": stages, "labels": labels,
        "artifacts": {}, "git": None, "versions": {},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))


def _stage(name: str, artifact: Artifact, tokens: int) -> dict[str, Any]:
    return {
        "stage": name, "iteration": 1, "key": artifact.key, "records": artifact.records, "reused_records": 0,
        "tokens": tokens, "new_tokens": tokens, "seconds": 10.0, "info": dict(artifact.info),
    }  # fmt: skip


def _data(sweep: Sweep, store: Store, settings: dict[str, Any]) -> list[tuple[str, Artifact, int]]:
    """Questions with decisions, votes, and training steps."""
    texts = [question(number, sweep.prefix) for number in range(sweep.questions)]
    questions = [Question(text_id(text), text, number // 100) for number, text in enumerate(texts)]
    near = [f"{text} And then?" for text in texts[: len(texts) // 5]]
    kept = [Decision(one.id, "accepted", None, 0.0, 0, "", one.text, one.round) for one in questions]
    dropped = [
        Decision(text_id(text), "dropped", questions[at].id, 0.97, 1, "too similar", text, 0)
        for at, text in enumerate(near)
    ]
    decisions = [*kept, *dropped]
    draws = int(settings["draws"])
    ballots, pairs = [], []
    for number, one in enumerate(questions):
        answers = tuple(str(number % 7) if draw or number % 5 else "0" for draw in range(draws))
        votes = max(answers.count(answer) for answer in answers)
        ballots.append(Ballot(one.id, answers, answers[-1], votes, draws, round(votes / draws, 4), draws - 1, ""))
        pairs.append(
            QAPair(one.id, one.text, f"Step by step: {answers[-1]}.", answers[-1], votes, draws, votes / draws)
        )
    steps = [TrainStep(step, 1, 1 / step, 1e-3, 900) for step in range(1, 61)]
    spread = {"before": 30.0, "after": 30.0 + 4 * len(settings["dedup"])}
    info = {f"{when}/{name}": value for when in ("before", "after") for name, value in
            (("nearest_mean", 0.7), ("vendi", spread[when]), ("largest_cluster", 0.1))}  # fmt: skip
    return [
        ("elicit", _built(store, "elicit", settings, questions), 50_000),
        ("diversify", _built(store, "diversify", settings, questions, info, **{"decisions.jsonl": decisions}), 4_000),
        ("answer", _built(store, "answer", settings, []), 90_000 * draws),
        (
            "vote",
            _built(
                store,
                "vote",
                settings,
                pairs,
                {"pairs": len(pairs), "mean_agreement": 0.8},
                **{"ballots.jsonl": ballots},
            ),
            0,
        ),
        ("finetune", _built(store, "finetune", settings, steps), 54_000),
    ]


def _built(
    store: Store, stage: str, settings: dict[str, Any], records: Sequence[Any], info: Any = None, **files: Sequence[Any]
) -> Artifact:
    def build(work: Path) -> Outcome:
        for name, rows in files.items():
            (work / name).write_text("".join(encode(row) + "\n" for row in rows), encoding="utf-8")
        return Outcome(records, info or {}, {name: work / name for name in files})

    return store.build(Key(stage, 1, settings), build)


def _evaluation(sweep: Sweep, store: Store, task: str, shots: int, settings: dict[str, Any]) -> Artifact:
    def build(work: Path) -> Outcome:
        rows = _samples(sweep, task, shots, settings)
        write(rows, work / "samples.jsonl")
        means = {name: float(np.mean([row["metrics"][name] for row in rows])) for name in FILTERS}
        scores = [
            TaskScore(task, shots, *name.split(","), value, 0.01, len(rows))  # type: ignore[call-arg]
            for name, value in means.items()
        ]
        scores += subset_scores(task, shots, rows, PARTS[-1] if "plus" in task else None)
        scores += cost_scores(task, shots, rows)
        return Outcome(
            scores, {"task": task, "shots": shots, "items": len(rows)}, {"samples.jsonl": work / "samples.jsonl"}
        )

    return store.build(Key("evaluate", 1, {"task": task, "shots": shots, **settings}), build)


def _samples(sweep: Sweep, task: str, shots: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Each item has a difficulty of its own; a student answers a little better the more draws its labels had."""
    chance = np.random.default_rng([len(task), shots, *task.encode()])
    difficulty = chance.random(sweep.items)
    named = (
        [settings["seed"], settings["draws"], shots, *settings["dedup"].encode(), *task.encode()]
        if "draws" in settings
        else [1, *settings.get("prompting", "").encode()]
    )
    own = np.random.default_rng([*named, settings.get("iteration", 0)] if "iteration" in settings else named)
    gain = 0.04 + 0.03 * settings["draws"] + 0.02 * settings.get("iteration", 0) if "draws" in settings else 0.0
    gain += 0.1 if "prompting" in settings else 0.0
    right = difficulty + own.normal(0, 0.15, sweep.items) < 0.5 + gain
    rows = []
    for number in range(sweep.items):
        text = question(number, sweep.prefix)
        said = "Let us see. " + "So it is more and more. " * 8 + f"#### {number % 7}"
        group = {"seed_question": question(number // 4)} if "plus" in task else {}
        identity = text_id(task, text) * 4
        value = float(right[number])
        rows.append(
            {
                "task": task, "doc_id": number, "item": identity[:16], "doc_hash": identity,
                "cluster": text_id(group["seed_question"]) if group else identity[:16],
                "subset": PARTS[number % 4] if group else "even" if sweep.parts and number % 2 == 0 else None,
                "doc": {"question": text, "answer": str(number % 7), **group}, "prompt": None,
                "prompt_hash": text_id(text) * 4, "target": str(number % 7), "response": said,
                "filtered": dict.fromkeys(("strict-match", "flexible-extract"), str(number % 7)),
                "metrics": dict.fromkeys(FILTERS, value),
                "prompt_tokens": 80 if "prompting" in settings else 40,
                "new_tokens": TOKENS.get(settings.get("prompting", ""), 90),
            }
        )  # fmt: skip
    return rows
