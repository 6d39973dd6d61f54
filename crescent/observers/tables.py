"""The tables a run prints when it ends: scores, iterations, prompting baselines, and paths.

In: scores and their paired differences. Out: tables on stdout. Computes no score.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console as RichConsole
from rich.table import Table

from crescent.core.records import Score
from crescent.evaluation.metrics import THOUGHTS
from crescent.evaluation.settings import MODELS
from crescent.statistics.paired import Difference


def score_table(scores: Sequence[Score], differences: Mapping[tuple[str, int], Difference]) -> Table:
    """Primary scores of the scored models in percent; for base and student the difference with its paired standard
    error and interval.

    "MDE" is the minimum detectable effect (80 % power, corrected for all tasks), shown if the difference is smaller. An
    unpaired difference has no error here.
    """
    primary = {(one.model, one.task, one.shots): one for one in _of_last_models(scores) if one.primary}
    models = [model for model in MODELS if any(place[0] == model for place in primary)]
    is_compared = {"base", "student"} <= set(models)
    title = "lm-evaluation-harness, percent" + ("; difference = student - base, question by question" * is_compared)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("task")
    names = ("difference", "SE", "95 %", "MDE") if is_compared else ("SE",)
    for name in ("shots", "n", *models, *names):
        table.add_column(name, justify="right", no_wrap=True)
    for task, shots in dict.fromkeys(place[1:] for place in primary):
        found = [primary.get((model, task, shots)) for model in models]
        values = [_percent(one.value) if one else "" for one in found]
        [some, *_] = [one for one in found if one]
        errors = [" / ".join(_percent(one.stderr) if one else "-" for one in found)]
        if is_compared:
            errors = _compared(found[-2], found[-1], differences.get((task, shots)))
        table.add_row(task, str(shots), str(some.n), *values, *errors)
    return table


def sample_table(scores: Sequence[Score]) -> Table | None:
    """A row for each model with more than a score: for several samples the mean with its standard error, pass@k and
    maj@k, in percent; for a thinking model the mean tokens per thought and the percentage of responses cut off at the
    limit. None if there is no such model.
    """
    by_place: dict[tuple[str, int, str], list[Score]] = {}
    for one in sorted(_of_last_models(scores), key=lambda one: MODELS.index(one.model)):
        by_place.setdefault((one.task, one.shots, one.model), []).append(one)
    lines = [(place, _sampled(found)) for place, found in by_place.items()]
    names = list(dict.fromkeys(name for _, values in lines for name in values))
    if not names:
        return None
    table = Table(box=box.SIMPLE_HEAD, title="samples and thoughts of the models", title_justify="left")
    table.add_column("task")
    for name in ("shots", "model", *names):
        table.add_column(name, justify="right", no_wrap=True)
    order = {task: number for number, task in enumerate(dict.fromkeys((one.task, one.shots) for one in scores))}
    for (task, shots, model), values in sorted(lines, key=lambda line: order[line[0][:2]]):
        if values:
            table.add_row(task, str(shots), model, *(values.get(name, "") for name in names))
    return table


def _of_last_models(scores: Sequence[Score]) -> list[Score]:
    """Scores of whole tasks without prompting baseline; for students only the last iteration."""
    last = max((score.iteration for score in scores), default=0)
    plain = (score for score in scores if score.prompting == "none" and "/" not in score.task)
    return [score for score in plain if score.model != "student" or score.iteration == last]


def _sampled(found: Sequence[Score]) -> dict[str, str]:
    """One model's values in one task apart from its score, by column name."""
    named = {(one.metric, one.filter): one for one in found}
    values: dict[str, str] = {}
    for primary in (one for one in found if one.primary):
        for (metric, filter_name), one in named.items():
            kind = metric.removeprefix(f"{primary.metric}_")
            if filter_name == primary.filter and kind.startswith(("pass@", "maj@")):
                values |= {f"mean@{kind.partition('@')[2]}": _percent(primary.value), "SE": _percent(primary.stderr)}
                values[kind] = _percent(one.value)
    for metric, name, shown in zip(THOUGHTS, ("thought tokens", "cut off"), ("{:,.0f}".format, _percent), strict=True):
        if (metric, "none") in named:
            values[name] = shown(named[metric, "none"].value)
    return values


def _compared(base: Score | None, student: Score | None, found: Difference | None) -> list[str]:
    """Student minus base, with its errors."""
    if base is None or student is None:
        return ["", "", "", ""]
    return [f"{100 * (student.value - base.value):+.1f}", *_errors(found)]


def iteration_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row per iteration of self-improvement: data, variety and accuracy, mean score, signs of collapse."""
    table = Table(box=box.SIMPLE_HEAD, title="by iteration; shares in percent", title_justify="left")
    names = ("iteration", "pairs", "trained on", "diversity", "largest cluster", "valid", "agreement", "labels right",
             "mean score", "collapse")  # fmt: skip
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        shares = (row[name] for name in ("largest_cluster", "valid", "agreement", "label_accuracy", "score"))
        diversity = "" if row["diversity"] is None else f"{row['diversity']:.1f}"
        signs = ", ".join(line.split()[0] for line in row["collapse"])
        counts = (str(row[name]) for name in ("iteration", "pairs", "trained_on"))
        table.add_row(*counts, diversity, *("" if one is None else _percent(one) for one in shares), signs)
    return table


def _errors(found: Difference | None) -> tuple[str, str, str]:
    """Standard error, interval, and MDE (if the difference is smaller)."""
    if found is None:
        return "", "", ""
    shows = _percent(found.detectable) if abs(found.value) < found.detectable else ""
    return _percent(found.stderr), f"{100 * found.low:+.1f} to {100 * found.high:+.1f}", shows


def print_table(
    scores: Sequence[Score],
    differences: Mapping[tuple[str, int], Difference],
    iterations: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Prints the result tables on stdout."""
    if scores:
        RichConsole(width=110).print(score_table(scores, differences))
    if (more := sample_table(scores)) is not None:
        RichConsole(width=110).print(more)
    if any(score.prompting != "none" for score in scores):
        RichConsole(width=100).print(prompting_table(scores))
    if len(iterations) > 1:
        RichConsole(width=110).print(iteration_table(iterations))


def prompting_table(scores: Sequence[Score]) -> Table:
    """The base model under each prompting baseline, and the student without one: accuracy and tokens per question."""
    table = Table(
        box=box.SIMPLE_HEAD, title="prompting the base model, or training it; tokens per question", title_justify="left"
    )
    table.add_column("task")
    table.add_column("model", no_wrap=True)
    for name in ("shots", "n", "percent", "SE", "prompt tokens", "new tokens"):
        table.add_column(name, justify="right")
    last = max(score.iteration for score in scores)
    asked = {score.task for score in scores if score.prompting != "none"}
    kept = [score for score in scores if score.task in asked and "/" not in score.task]
    for score in sorted((one for one in kept if one.primary), key=lambda one: (one.task, one.shots)):
        if score.model == "teacher" or (score.model == "student" and score.iteration != last):
            continue
        place = (score.model, score.iteration, score.prompting, score.task, score.shots)
        cost = {
            one.metric: f"{one.value:.0f}"
            for one in kept
            if (one.model, one.iteration, one.prompting, one.task, one.shots) == place
        }
        who = score.model if score.prompting == "none" else f"{score.model} + {score.prompting}"
        table.add_row(
            score.task, who, str(score.shots), str(score.n), _percent(score.value), _percent(score.stderr),
            cost["prompt_tokens"], cost["new_tokens"],
        )  # fmt: skip
    return table


def print_paths(paths: Mapping[str, object]) -> None:
    """Prints the paths of the run's outputs on stdout."""
    width = max(map(len, paths))
    for name, path in paths.items():
        print(f"  {name:<{width}}  {path}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
