"""The noise floor: how far scores of the same command differ, if its engine is not deterministic.

In: a `Comparison` whose runs include replicates: equal settings and seed, but samples of their own, because they were
made in different stores (in one store the second run reuses the first). Out: an `Effect` for each replicate, its
difference paired by question. Another seed is no replicate: it asks other questions.
"""

from collections.abc import Iterator
from itertools import groupby

from crescent.reporting.analyse import axes as axis
from crescent.reporting.analyse.effects import Effect
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Column, Role, Row, evaluation_of, score_of
from crescent.reporting.read.items import Items, align
from crescent.reporting.read.runs import Run
from crescent.statistics.paired import Difference, paired_difference

NOISE = "the same again"
ROLES: tuple[Role, ...] = ("base", "student")


def noise(comparison: Comparison) -> list[Effect]:
    """The later run minus the first of each group of replicates: of the bases, scoring alone; of the students, all that
    the run did.
    """
    found, seen = [], set[object]()
    for label, seed, first, other in _replicates(comparison):
        for role in ROLES:
            effect = Effect("noise", f"{NOISE}: {label}, seed {seed}" if role == "student" else f"{NOISE}: the base")
            for column in comparison.columns:
                folders = tuple(_folder(run, role, column) for run in (first, other))
                if None in folders or folders[0] == folders[1] or (role, column, folders) in seen:
                    continue
                seen.add((role, column, folders))
                if (difference := _difference(comparison, first, other, role, column)) is not None:
                    effect.differences[column] = difference
                    effect.strata[column] = 1
            if effect.differences:
                found.append(effect)
    return found


def _replicates(comparison: Comparison) -> Iterator[tuple[str, int, Run, Run]]:
    """Pairs of runs with one configuration and one seed, each later one with the first."""
    for point, runs in axis.group(comparison.runs, comparison.axes).items():
        label = axis.label(comparison.axes, point) or runs[0].experiment
        for seed, alike in groupby(runs, key=lambda run: run.seed):
            first, *others = alike
            yield from ((label, seed, first, other) for other in others)


def _row(run: Run, role: Role) -> Row:
    return Row(role, (), role, run.last_iteration if role == "student" else 0, "none", (run,))


def _folder(run: Run, role: Role, column: Column) -> object:
    """Where the samples are; None if the role was not scored or they are gone."""
    evaluation = evaluation_of(run, _row(run, role), column)
    folder = run.artifact("evaluate", evaluation.key) if evaluation else None
    return folder.resolve() if folder else None


def _difference(comparison: Comparison, first: Run, other: Run, role: Role, column: Column) -> Difference | None:
    tables, metrics = [], set()
    for run in (other, first):
        row = _row(run, role)
        evaluation, score = evaluation_of(run, row, column), score_of(run, row, column, comparison.options.metric)
        items = comparison.reader.items(run, evaluation, column.part) if evaluation else None
        if not isinstance(items, Items) or score is None:
            return None
        tables.append(items)
        metrics.add(f"{score.metric},{score.filter}")
    if len(metrics) > 1:
        return None
    (after, before), groups = align(tables, metrics.pop())
    if len(set(groups)) < 2:
        return None
    return paired_difference(after, before, groups, interval=comparison.options.interval)
