"""What a run prints: headings, plain lines, boxed examples, progress with rate and time left.

Everything goes to stderr: a live bar on a terminal, elsewhere a line every few seconds. stdout stays free for the
result table.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

SECONDS_BETWEEN_LINES = 10.0
MIN_UNITS = 20
MIN_SHARE = 0.02
"""A rate is shown once this many units, or this share of the total, are done; the first units of a batch say little
about the rest.
"""


class RateColumn(ProgressColumn):
    """Units per second over the recent past."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} {task.fields['unit']}/s")


class Tally:
    """Counts and shows the progress of one task. `note` is the text behind the bar; None keeps the previous note."""

    def __init__(self, what: str, total: int, unit: str, console: RichConsole, bar: Progress | None) -> None:
        self.done, self.total = 0, total
        self._what, self._unit, self._console, self._bar = what, unit, console, bar
        self._task = bar.add_task(what, total=total, unit=unit, note="") if bar else None
        self._start = self._printed = time.monotonic()
        self._note = ""

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Counts `count` more finished units."""
        self.done += count
        self._note = self._note if note is None else note
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=count, note=self._note)
            return
        now = time.monotonic()
        if now - self._printed >= SECONDS_BETWEEN_LINES and self.done:
            self._printed = now
            rate = self.done / (now - self._start)
            line = f"  {self._what}: {self.done:,}/{self.total:,} {self._unit}"
            if self.done >= min(MIN_UNITS, MIN_SHARE * self.total):
                line += f", {rate:,.1f}/s, {_clock(max(0, self.total - self.done) / rate)} left"
            line += f", {self._note}" if self._note else ""
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def settle(self, note: str) -> None:
        """Ends the work before its total: the number done becomes the total."""
        self.total = self.done
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self.done, note=note)
        else:
            self._console.print(f"  {self._what}: {self.done:,} {self._unit}; {note}", markup=False, highlight=False)


class Console:
    """The only printer of a run. `quiet` prints nothing (tests, workers); warnings are logged and still appear."""

    def __init__(self, quiet: bool = False) -> None:
        self._rich = RichConsole(stderr=True, quiet=quiet)

    def heading(self, text: str) -> None:
        self._rich.print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str) -> None:
        """Prints one plain line."""
        self._rich.print("  " + text, markup=False, highlight=False, soft_wrap=True)

    def example(self, title: str, body: str) -> None:
        """Prints a real piece of data in a box. Control characters in model text are replaced."""
        clean = "".join(char if char == "\n" or char.isprintable() else "�" for char in body)
        self._rich.print(Panel(Text(clean), title=escape(title), title_align="left", width=min(100, self._rich.width)))

    @contextmanager
    def progress(self, what: str, total: int, unit: str) -> Iterator[Tally]:
        """Shows progress of work of known size: `with console.progress("answers", 600, "draws") as t: t.advance(5)`."""
        if not self._rich.is_terminal:
            yield Tally(what, total, unit, self._rich, None)
            return
        columns = (TextColumn("  {task.description}"), BarColumn(30), MofNCompleteColumn(), RateColumn())
        with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=self._rich) as bar:
            yield Tally(what, total, unit, self._rich, bar)


def counted(number: int, unit: str, units: str | None = None) -> str:
    """1 pair, 2,000 pairs; `units` is the plural if it is not the unit with an s."""
    return f"{number:,} {unit if number == 1 else units or unit + 's'}"


def duration(seconds: float) -> str:
    """Seconds for display: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
