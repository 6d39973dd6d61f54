"""What a run prints: headings, plain lines, boxed examples, progress with rate and time left.

Everything goes to stderr: a live bar on a terminal, elsewhere a line every few seconds. stdout stays free for the
result table.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from crescent.core.progress import Tally, Waiting

SECONDS_BETWEEN_LINES = 5.0
"""The longest silence while something is running."""
LOOK = 0.25  # seconds between two checks whether a line is due


class _Figures(ProgressColumn):
    """Rate and time left of a tally."""

    def render(self, task: Task) -> Text:
        tally: Tally = task.fields["tally"]
        return Text(", ".join(part for part in (tally.rate(), tally.left() or tally.so_far(), tally.note) if part))


class Console:
    """The only printer of a run. `quiet` prints nothing (tests, workers); warnings are logged and still appear."""

    def __init__(self, quiet: bool = False) -> None:
        self._rich = RichConsole(stderr=True, quiet=quiet)
        self._printed = time.monotonic()
        self._at_work: list[Tally | Waiting] = []
        self._bars = 0

    def heading(self, text: str) -> None:
        self._print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str) -> None:
        """Prints one plain line."""
        self._print("  " + text, markup=False, highlight=False, soft_wrap=True)

    def example(self, title: str, body: str) -> None:
        """Prints a real piece of data in a box. Control characters in model text are replaced."""
        clean = "".join(char if char == "\n" or char.isprintable() else "�" for char in body)
        self._print(Panel(Text(clean), title=escape(title), title_align="left", width=min(100, self._rich.width)))

    @contextmanager
    def progress(self, what: str, total: int, unit: str, token_limit: int = 0) -> Iterator[Tally]:
        """Shows progress of work of known size: `with console.progress("answers", 600, "draws") as t: t.advance(5)`.

        `token_limit`: the units are completions of at most this many new tokens (see `Tally`).
        """
        tally = Tally(what, total, unit, token_limit)
        if not self._rich.is_terminal or self._bars:  # a terminal shows one bar at a time
            tally.on_change = lambda: self.say(tally.text()) if tally.is_settled else self._print_if_due(tally)
            with self._working(tally):
                yield tally
            return
        columns = (TextColumn("  {task.description}"), BarColumn(30), MofNCompleteColumn(), _Figures())
        with Progress(*columns, console=self._rich) as bar, self._bar_shown():
            task = bar.add_task(what, total=total, tally=tally)
            tally.on_change = lambda: bar.update(task, completed=tally.done, total=tally.total)
            yield tally
            bar.update(task, completed=tally.done, total=tally.total)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Prints the time taken every few seconds, for work of unknown size."""
        with self._working(Waiting(what)):
            yield

    @contextmanager
    def _bar_shown(self) -> Iterator[None]:
        self._bars += 1
        try:
            yield
        finally:
            self._bars -= 1

    @contextmanager
    def _working(self, work: Tally | Waiting) -> Iterator[None]:
        self._at_work.append(work)
        ended = threading.Event()
        if len(self._at_work) == 1 and not self._rich.quiet:
            threading.Thread(target=self._keep_telling, args=(ended,), name="progress", daemon=True).start()
        try:
            yield
        finally:
            self._at_work.remove(work)
            ended.set()

    def _keep_telling(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK):
            for work in self._at_work[-1:]:
                self._print_if_due(work)

    def _print_if_due(self, work: Tally | Waiting) -> None:
        if isinstance(work, Tally):
            work.look()
            if work.is_settled:
                return
        if not self._bars and time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self.say(work.text())

    def _print(self, *what: object, **how: bool) -> None:
        self._printed = time.monotonic()
        self._rich.print(*what, **how)  # type: ignore[arg-type]


def counted(number: int, unit: str, units: str | None = None) -> str:
    """1 pair, 2,000 pairs; `units` is the plural if it is not the unit with an s."""
    return f"{number:,} {unit if number == 1 else units or unit + 's'}"


def duration(seconds: float) -> str:
    """Seconds for display: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
