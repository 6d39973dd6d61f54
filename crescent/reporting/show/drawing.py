"""Draws small SVG figures that follow the page's light and dark colours, typeface and width.

In: a function that draws on matplotlib axes. Out: an SVG element as text, equal for equal data. Colours are CSS
variables, text stays text. `figures/` decides what is drawn.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#050501", "#050502", "#050503", "#050504", "#050505", "#050506")
"""Placeholder colours that no drawing would use; the page supplies the real ones."""
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES)
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.6,
}
WIDTH = 3.5
"""Inches: shown 330 to 360 pixels wide, three side by side on a desktop and one on a phone, with 12-pixel letters."""

WIDE = 4.0
"""Inches, for a figure with one panel."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
MANY = 12
"""Above this number, series share one pale stroke: no reader can match so many colours with a key."""
MANY_ROWS = 40
"""Above this number, rows have no names and share a fixed height, and marks no intervals."""
NAMELESS = 5.0
"""Inches that all rows without names share."""
LINES = {"-": "", "--": "5 2.5", ":": "1.5 2", "-.": "6 2 1.5 2"}
"""matplotlib's line styles and their SVG dash patterns."""


@dataclass(frozen=True, slots=True)
class Stroke:
    color: str
    line: str
    marker: str
    width: float = 1.3


class Interval(Protocol):
    """A value with its 95 % interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def series(number: int) -> str:
    """The colour of the n-th series; colours repeat after six."""
    return SERIES[number % len(SERIES)]


def stroke(number: int) -> Stroke:
    """The n-th of 48 pairs of colour and marker; pairs of colour and line repeat after 24."""
    turn = number // len(SERIES)
    return Stroke(series(number), tuple(LINES)[turn % len(LINES)], MARKERS[(number + turn) % len(MARKERS)])


def strokes(count: int, marks: int = 0) -> list[Stroke]:
    """A stroke for each of `count` series, which have `marks` marks in all: distinct for few, one pale one for many."""
    few = count <= MANY and marks <= MANY_ROWS
    return [stroke(number) for number in range(count)] if few else [Stroke(MUTED, "-", "o", 0.5)] * count


def swatch(of: Stroke) -> str:
    """A small sample of a stroke for a key: an SVG that screen readers skip."""
    marker = MarkerStyle(of.marker)
    outline = marker.get_path().transformed(marker.get_transform()).to_polygons()[0]
    points = " ".join(f"{14 + 8 * x:.1f},{6 - 8 * y:.1f}" for x, y in np.asarray(outline))
    color, dashes = f"var({VARIABLES[of.color]})", f' stroke-dasharray="{LINES[of.line]}"' if LINES[of.line] else ""
    return (
        f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true"><path d="M0 6H28" stroke="{color}" '
        f'stroke-width="1.5" fill="none"{dashes}/><polygon points="{points}" fill="{color}"/></svg>'
    )


def interval(
    axes: Axes, found: Interval, at: float, factor: float, color: str, face: str, name: str | None = None,
    size: float = 5.5,
) -> None:  # fmt: skip
    """Draws a value, times `factor`, in row `at`, with a horizontal interval."""
    axes.plot([factor * found.low, factor * found.high], [at, at], color=color, linewidth=1.3)
    axes.plot(factor * found.value, at, "o", mfc=face, mec=color, ms=size, label=name)


def interval_at(axes: Axes, found: Interval, x: float, factor: float, how: Stroke, size: float) -> None:
    """Draws a value, times `factor`, at `x`, with a vertical interval; of a pale series only a small mark."""
    if how.width < 1:
        axes.plot(x, factor * found.value, how.marker, color=how.color, ms=2.5)
        return
    axes.plot([x, x], [factor * found.low, factor * found.high], color=how.color, linewidth=how.width)
    axes.plot(x, factor * found.value, how.marker, color=how.color, ms=size)


def draw(name: str, paint: Callable[[Any], None], height: float = 2.2, columns: int = 1, width: float = WIDTH) -> str:
    """An SVG of `paint(axes)`, or of `paint([axes, ...])` for more than one column. `name` is its label for screen
    readers.
    """
    style: Any = {**STYLE, "svg.hashsalt": name}  # matplotlib types the keys one by one
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        made = figure.subplots(1, columns)
        paint(made if columns == 1 else list(made))
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return _themed(text.getvalue(), name)


def few_ticks(axes: Axes) -> None:
    """Limits the horizontal scale to five numbers: more would overlap on a phone."""
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def legend_above(axes: Axes) -> None:
    """Puts the legend above the axes, over the whole width: long row names leave the axes little of it."""
    figure = axes.get_figure()
    assert figure is not None
    figure.legend(loc="outside upper left", ncols=2, borderaxespad=0.2, columnspacing=0.9, handlelength=1)


def token_scale(axes: Axes) -> None:
    """Plain numbers on the horizontal scale; for a wide range a logarithmic scale with 1, 2 and 5 of each power
    of 10.
    """
    axes.margins(x=0.12)
    low, high = axes.dataLim.intervalx
    if not 0 < 4 * low < high:
        return few_ticks(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def rows_height(count: int, each: float = 0.26) -> float:
    """Inches for `count` rows of `each`; a fixed height if they are too many for names."""
    return each * count if count <= MANY_ROWS else NAMELESS


def label_rows(axes: Axes, names: list[str], of: str = "configurations, in the order of the table") -> None:
    """Labels horizontal rows, the first on top; counts them instead if they are too many for names."""
    if len(names) <= MANY_ROWS:
        axes.set_yticks(range(len(names)), names)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(names)} {of}")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    few_ticks(axes)


def _themed(svg: str, name: str) -> str:
    """The SVG element alone, with variables for colours, without ids that would clash between figures, and without
    matplotlib's style sheet (it would apply to the whole page).
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: [^;\"]*px[^;\"]*", lambda found: _font(found[0]), svg)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    opening, _, rest = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', opening)
    assert box is not None, opening
    label = name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img" aria-label="{label}"'
    return re.sub(r"\n+", "\n", f"{head}>{rest}").strip()


def _font(found: str) -> str:
    """Keeps size and weight of a font; the face is the page's."""
    size = re.search(r"[\d.]+px", found)
    assert size is not None, found
    return f"font-size: {size[0]}; font-weight: {'600' if '700' in found or 'bold' in found else '400'}"
