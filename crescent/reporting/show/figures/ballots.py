"""Agreement of the draws, and its calibration. Uses the first seed of each configuration."""

from collections.abc import Sequence
from typing import Any

from crescent.core.records import Ballot
from crescent.reporting.analyse.details import lines_of
from crescent.reporting.analyse.results import Comparison
from crescent.reporting.analyse.rows import Row
from crescent.reporting.show.drawing import MUTED, draw, strokes
from crescent.reporting.show.figures.figure import Figure, key_of, short_labels, unnamed

CAPTION = (
    "First seed: how many questions reached which agreement (votes of the winner / draws made; with one draw it is "
    "always 1)."
)
CALIBRATION = (
    " Calibration, if true answers are known: the share of right labels at each agreement; on the dotted line "
    "agreement is a probability."
)


def votes(comparison: Comparison) -> list[Figure]:
    """Agreement, and its calibration if an oracle knew the truth."""
    found = [(row, lines_of(row.runs[0].stage_folder("vote"), "ballots.jsonl", Ballot)) for row in comparison.students]
    voted = {row.label: ballots for row, ballots in found if ballots}
    rows = [row for row in comparison.students if row.label in voted or row.runs[0].labels]
    panels = []
    if voted:
        panels.append(draw("Agreement of the draws", lambda axes: _agreement(axes, rows, voted)))
    known = any(row.runs[0].labels for row in rows)
    if known:
        panels.append(draw("Calibration of the vote", lambda axes: _calibration(axes, rows)))
    caption = CAPTION + (CALIBRATION if known else "") + unnamed(len(rows))
    return [Figure("Votes", caption, tuple(panels), key_of(short_labels(comparison, rows)))] if panels else []


def _agreement(axes: Any, rows: Sequence[Row], voted: dict[str, list[Ballot]]) -> None:
    """Bars for one configuration, step lines for several."""
    edges = [number / 10 for number in range(11)]
    for own, row in zip(strokes(len(rows)), rows, strict=True):
        values = [min(ballot.agreement, 0.999) for ballot in voted.get(row.label, ())]
        if len(rows) == 1:
            axes.hist(values, bins=edges, color=own.color, rwidth=0.9)
        else:
            axes.hist(values, bins=edges, color=own.color, histtype="step", linewidth=own.width, linestyle=own.line)
    axes.set_xlabel("agreement of the draws")
    axes.set_ylabel("questions")


def _calibration(axes: Any, rows: Sequence[Row]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1.2)
    for own, row in zip(strokes(len(rows)), rows, strict=True):
        bins = row.runs[0].labels[-1]["bins"] if row.runs[0].labels else []
        most = max((one["questions"] for one in bins), default=1)
        xs, ys = [one["agreement"] for one in bins], [one["right"] for one in bins]
        axes.plot(xs, ys, color=own.color, linestyle=own.line, linewidth=min(1.2, own.width))
        axes.scatter(xs, ys, s=[12 + 50 * one["questions"] / most for one in bins], color=own.color, marker=own.marker)
    axes.set_xlim(0, 1.04)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("agreement of the draws")
    axes.set_ylabel("share of right labels")
