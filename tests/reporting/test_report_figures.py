"""What figures draw, read off matplotlib's axes; their units, scales and keys."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure as Canvas

from crescent.core.console import Console
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.analyse.rows import Column
from crescent.reporting.read.runs import read_all
from crescent.reporting.show import figures
from crescent.reporting.show.drawing import stroke, swatch
from crescent.reporting.show.figures import by_axis, prompts, relations
from crescent.reporting.show.figures import iterations as by_iteration
from crescent.reporting.show.figures.figure import difference_unit, panel_title, panels_of, short_labels, total, unit

SHARES = Options()
Painted = Callable[..., list[Any]]


def compared(path: Path, options: Options = SHARES) -> Comparison:
    runs, notes = read_all([path])
    return compare(runs, options, Console(quiet=True), notes)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> Painted:
    """The axes that a figure of `module` draws on, one for each panel."""

    def paint_all(module: Any, make: Callable[[], Any]) -> list[Any]:
        made = []

        def keep(name: str, paint: Callable[[Any], None], **size: Any) -> str:
            made.append(Canvas().subplots())
            paint(made[-1])
            return name

        monkeypatch.setattr(module, "draw", keep)
        make()
        return made

    return paint_all


def markers(axes: Any) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in axes.get_lines() if line.get_marker() not in ("None", None, "")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]  # fmt: skip


def test_by_iteration_draws_the_mean_of_the_seeds_and_begins_at_the_plain_base(
    iterations: Path, painted: Painted
) -> None:
    comparison = compared(iterations)
    [axes] = painted(by_iteration, lambda: by_iteration.iterations(comparison))
    [plain] = {score.value for run in comparison.runs for score in run.scores
               if score.primary and (score.model, score.prompting) == ("base", "none")}  # fmt: skip
    second = [
        score.value for run in comparison.runs[:3] for score in run.scores if score.primary and score.iteration == 2
    ]
    places = markers(axes)
    assert len(places) == 2 * 4 and places[0][1] == pytest.approx(100 * plain)
    assert len(set(second)) > 1 and places[2][1] == pytest.approx(100 * sum(second) / 3)


def test_by_iteration_says_that_the_line_is_the_range_of_the_seeds(iterations: Path) -> None:
    found = {figure.title: figure for figure in figures.accuracy(compared(iterations))}
    assert "from the lowest seed to the highest" in found["By iteration"].caption
    assert [name for _, name in found["By iteration"].key] == ["none", "rejection"]


def test_the_dashed_line_is_the_base_asked_plainly_alone(iterations: Path, painted: Painted) -> None:
    [axes] = painted(by_axis, lambda: by_axis.by_axis(compared(iterations), 0))
    dashed = [line for line in axes.get_lines() if list(line.get_xdata()) == [0, 1] and line.is_dashed()]
    assert len(dashed) == 1


def test_students_of_different_bases_are_shown_with_their_own(sweep: Path, painted: Painted) -> None:
    comparison = compared(sweep)
    row = comparison.rows[-1]
    scores = [replace(one, value=0.1) if one.model == "base" else one for one in row.runs[0].scores]
    other = replace(row, runs=tuple(replace(run, scores=tuple(scores)) for run in row.runs))
    comparison = replace(comparison, rows=(*comparison.rows[:-1], other))
    first, *_ = painted(by_axis, lambda: by_axis.by_axis(comparison, 0))
    assert 10.0 in [round(y, 6) for _, y in markers(first)]
    assert "Hollow" in by_axis.by_axis(comparison, 0).caption


def test_numbers_make_a_curve_over_what_they_count(sweep: Path, painted: Painted) -> None:
    axes = painted(by_axis, lambda: by_axis.by_axis(compared(sweep), 1))[0]
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "answers drawn per question (vote.draws)"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5"]
    assert (
        sum(len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1] for line in axes.get_lines()) >= 2
    )


@pytest.mark.parametrize(
    ("values", "numeric", "ratios"),
    [((0.7, 0.95), True, False), ((250, 8000), True, True), ((0, 5), True, False), ((False, True), False, False),
     (("none", 5), False, False)],
)  # fmt: skip
def test_a_scale_of_ratios_is_for_numbers_that_reach_far(values: Any, numeric: bool, ratios: bool) -> None:
    found = by_axis.scale_of(values)
    assert (found.numeric, found.ratios) == (numeric, ratios)


def test_only_shares_are_in_percent_and_points(sweep: Path) -> None:
    shares, tokens = compared(sweep), compared(sweep, Options(metric="new_tokens,none"))
    assert (unit(shares, Column("gsm", 0)), difference_unit(shares, Column("gsm", 0))) == ("percent right", "points")
    assert unit(tokens, Column("gsm", 0)) == difference_unit(tokens, Column("gsm", 0)) == "new_tokens"


def test_runs_that_did_not_get_so_far_are_no_zeros(sweep: Path) -> None:
    row = compared(sweep).students[0]
    stopped = replace(row.runs[0], stages=row.runs[0].stages[:2])
    assert total(replace(row, runs=(stopped, *row.runs[1:])), "answer", "tokens") == total(row, "answer", "tokens") > 0


def test_prompting_is_drawn_over_what_a_question_costs(prompted: Path, painted: Painted) -> None:
    [axes] = painted(prompts, lambda: prompts.prompting(compared(prompted)))
    assert [x for x, _ in markers(axes)] == [130, 170, 3080, 130] and axes.get_xscale() == "log"


def test_without_baselines_there_is_no_figure_of_prompting(sweep: Path) -> None:
    assert figures.prompting(compared(sweep)) == []


def test_explanations_show_a_mark_for_each_configuration_and_claim_no_cause(sweep: Path, painted: Painted) -> None:
    labels, diversity = painted(relations, lambda: relations.explanations(compared(sweep)))
    assert {round(x) for x, _ in markers(labels)} == {82, 90} and {x for x, _ in markers(diversity)} == {46, 66}
    assert "no proof of cause" in figures.explanations(compared(sweep))[0].caption


def test_forty_eight_series_are_told_apart_and_twenty_four_without_marks() -> None:
    assert len({(one.color, one.marker) for one in map(stroke, range(48))}) == 48
    assert len({(one.color, one.line) for one in map(stroke, range(24))}) == 24
    assert len({swatch(stroke(number)) for number in range(48)}) == 48


def test_panels_of_parts_are_kept_apart_and_their_titles_fit() -> None:
    part = Column("organism_plus/distractor_insertion", 0)
    assert panels_of([Column("organism_plus", 0), part], lambda one: one.task) == (("organism_plus",), (part.task,))
    assert panel_title(part).splitlines() == ["organism_plus/", "distractor_insertion, 0-shot"]


def test_numbers_in_labels_keep_the_name_of_what_they_count(sweep: Path) -> None:
    comparison = compared(sweep)
    assert short_labels(comparison, comparison.students)[:2] == ["none · draws=1", "none · draws=5"]
    assert short_labels(replace(comparison, axes=()), [replace(comparison.rows[0], point=())]) == ["base (made up)"]
