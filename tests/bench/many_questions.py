"""From elicitation to training with many questions: time and memory of each stage, without a model that generates.

    /usr/bin/time -v python tests/bench/many_questions.py --questions 100000 --store /tmp/store

The whole method but scoring, with two doubles named so: `FakeEngine` writes questions, rewrites and answers from a hash
of what it is asked; `FakeEncoder` embeds them, near-duplicates close together. All else is real: rounds, journals,
ledgers, the pool, the vote, and training of the organism on 1,000 pairs. Killed and started again it goes on.
The last lines are the sums of all committed files, by stage, for comparison with another run.
"""

import argparse
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crescent.config.composing import composed
from crescent.core.console import Console
from crescent.core.context import StageOutput
from crescent.core.events import Events, StageReport
from crescent.engines import Completion, Engine, Finished, Prompt, Sampling
from crescent.engines.weights import Weights
from crescent.experiment import Experiment
from crescent.pipeline import Runner, run
from crescent.runtime.workers import EngineBuilder
from crescent.similarity import Embedder, EmbedderSettings

DIMENSIONS = 384
SETTINGS = (
    "vote.draws=3", "source.num_pairs=1000", "eval=none", "contamination=off", "oracle=none", "tracking=none",
    "elicit.samples_per_round=1000", "elicit.max_rounds=100000", "train.epochs=1",
)  # fmt: skip
NAMES = ("Ann", "Tom", "Mia", "Leo", "Eva", "Max", "Zoe", "Ben", "Ida", "Jon", "Liv", "Sam", "Kim", "Ray", "Amy", "Gus")
THINGS = ("apples", "books", "coins", "pens", "cards", "shells", "stamps", "seeds", "bricks", "buttons", "cups", "keys")
STEPS = "We look at what is given, and then we work out what is asked for, step by step, and we check it. "


def number(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest())


class FakeEngine:
    """A double of a model: text from a hash. One question in 30 is a near-duplicate of another."""

    deterministic, identity = True, "fake"

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        made = []
        for index, prompt in enumerate(prompts):
            assert isinstance(prompt, Prompt)
            text = self._text(prompt.text, prompt.draw, sampling.seed)
            made.append(Completion(text, "stop", 40, len(text) // 4, -0.25))
            if finished is not None:
                finished(index, made[-1])
        return made

    def _text(self, asked: str, draw: int, seed: int) -> str:
        if "is very similar to" in asked:
            return _question(number(asked, seed))
        if "####" in asked:
            agreed = number(asked) % 100
            answer = agreed if number(asked, draw) % 10 < 8 else number(asked, draw) % 100
            return f"{STEPS * (1 + number(asked, draw) % 5)}So the answer is {answer}.\n#### {answer}"
        if number(draw, seed, "again") % 30 == 0:
            return _question(number(draw // 2, seed)) + " Think well."
        return _question(number(draw, seed))

    def close(self) -> None: ...


def _question(at: int) -> str:
    who, what = NAMES[at % 16], THINGS[at // 16 % 12]
    return (
        f"{who} has {at % 9973} {what} in box {at // 9973 % 100003} and buys {at // 7 % 97} more at the market for "
        f"${at // 11 % 89} each. How many {what} does {who} have in all?"
    )


class FakeEncoder:
    """A double of an embedding model: a direction of its own for each text, but for what is added at its end."""

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], np.ndarray]]:
        for start in range(0, len(texts), 256):
            rows = list(range(start, min(start + 256, len(texts))))
            yield rows, np.stack([self._vector(texts[row]) for row in rows])

    def _vector(self, text: str) -> np.ndarray:
        own = np.random.default_rng(number(text.partition("?")[0])).standard_normal(DIMENSIONS, np.float32)
        return own + 0.1 * np.random.default_rng(number(text)).standard_normal(DIMENSIONS, np.float32)

    def release(self) -> None: ...


class FakeBackend:
    def preferred_batch(self, engine: int) -> int:
        return 4096

    def engine(self, settings: EngineBuilder, weights: Weights, identity: str) -> Engine:
        return FakeEngine()

    def embedder(self, settings: EmbedderSettings, folder: Path) -> Embedder:
        return settings.build(folder, FakeEncoder())


class Peaks(Events):
    """Prints what each stage cost."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        print("| stage | records | seconds | all seconds | peak GB so far |\n|---|---|---|---|---|", flush=True)

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        row = report.stage, f"{report.records:,}", f"{report.seconds:.0f}", f"{time.monotonic() - self._start:.0f}"
        print(f"| {' | '.join(row)} | {peak():.2f} |", flush=True)


def peak() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e9


def sums(store: Path) -> dict[str, str]:
    """One sha256 for all committed files of each stage, and of the ledgers."""
    found: dict[str, Any] = {}
    for path in sorted(path for kind in ("artifacts", "ledgers") for path in (store / kind).rglob("*")):
        if path.is_file():
            kind, stage = path.relative_to(store).parts[:2]
            one = found.setdefault(stage if kind == "artifacts" else kind, hashlib.sha256())
            one.update(str(path.relative_to(store)).encode())
            with open(path, "rb") as file:
                one.update(hashlib.file_digest(file, "sha256").digest())
    return {name: one.hexdigest()[:16] for name, one in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="further settings")
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    overrides = [*SETTINGS, f"num_questions={options.questions}", f"store={options.store}", *options.overrides]
    node = composed(overrides)
    node.pop("tracking")
    experiment = Experiment.from_node(node)
    start = time.monotonic()
    run(experiment, Runner(experiment, Console(quiet=True), FakeBackend(), [Peaks()]))
    print(f"{options.questions:,} questions: {time.monotonic() - start:.0f} s, peak {peak():.2f} GB")
    for stage, found in sums(options.store).items():
        print(f"{stage}: {found}")


if __name__ == "__main__":
    main()
