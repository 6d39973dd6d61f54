"""What a run will take: work, tokens and time of each stage, from a short probe on the real models.

In: an `Experiment`. Out: one `Forecast` a stage. The probe is the first round of elicitation, kept in the store where
the run finds it, answers to a few of its questions, and one optimiser step on those. Forecasts of time are of this
machine and of a run that finds nothing in the store; rewrites and rejected questions come on top of elicitation.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crescent.cleaning import clean_question
from crescent.console import Console, duration
from crescent.domain import fill
from crescent.engines import LazyEngine, Prompt
from crescent.evaluation.harness import plan
from crescent.evaluation.loading import item_texts
from crescent.experiment import Experiment, lazy_engine
from crescent.records import QAPair, RawQuestion, text_id
from crescent.runtime import Here
from crescent.store import Store
from crescent.training.settings import TrainSettings

ANSWERS = 32  # that the probe draws


@dataclass(frozen=True, slots=True)
class Forecast:
    """`tokens` are new tokens; in training, those of the pairs, over all epochs."""

    stage: str
    work: str
    tokens: int
    seconds: float

    def line(self) -> str:
        """For people."""
        return f"{self.stage:<9} {self.work:<58} {self.tokens:>14,} tokens {duration(self.seconds):>10}"


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured: tokens and seconds of a round, how much of it is questions, and answers to some."""

    round_tokens: float
    questions: float
    tokens_per_second: float
    pairs: Sequence[QAPair]
    answer_tokens: float


def forecast(experiment: Experiment, console: Console) -> list[Forecast]:
    """Forecasts of all stages. Raises ValueError where the model writes no question at all."""
    if not experiment.source.elicits:
        console.say(f"source={experiment.source.name}: its work is not forecast; it has no bait to be probed")
        return []
    store = Store(Path(experiment.store).absolute())
    engine = lazy_engine(experiment.engine, experiment.model, store, Here())
    probe = measure(experiment, store, engine)
    engine.close()
    console.say(
        f"probe: {probe.tokens_per_second:,.0f} new tokens/s; {probe.questions:.0%} of the raw texts are questions of "
        f"{probe.round_tokens:.0f} tokens, answers have {probe.answer_tokens:.0f}"
    )
    made = [*_generation(experiment, probe), _training(experiment, probe), _evaluation(experiment, probe)]
    for one in made:
        console.say(one.line())
    total = duration(sum(one.seconds for one in made))
    console.say(f"together about {total} on this machine, less what the store holds already")
    return made


def measure(experiment: Experiment, store: Store, engine: LazyEngine) -> Probe:
    """Draws the probe."""
    stages = experiment.stages()
    shard = stages.elicit.shard(0, store, engine)
    raw = shard.read(RawQuestion)
    limits = (experiment.domain.min_chars, experiment.domain.max_chars)
    cleaned = [clean_question(row.text, row.finish_reason, *limits) for row in raw]
    questions = [one.question for one in cleaned if one.question is not None]
    if not questions:
        raise ValueError(
            f"none of {len(raw)} answers to the bait is a question ({cleaned[0].reason}). Look at domain.bait and at "
            f"{shard.path}, or take another model."
        )
    asked = (questions * ANSWERS)[:ANSWERS]
    prompts = [Prompt(fill(experiment.domain.solve, question=text), draw) for draw, text in enumerate(asked)]
    engine.get().generate(prompts[:1], stages.answer.sampling)  # what is done once is not to be timed
    start = time.monotonic()
    answers = engine.get().generate(prompts, stages.answer.sampling)
    seconds = max(1e-6, time.monotonic() - start)
    tokens = sum(answer.new_tokens for answer in answers)
    pairs = [
        QAPair(text_id(text), text, answer.text, "", 1, 1, 1.0) for text, answer in zip(asked, answers, strict=True)
    ]
    return Probe(
        sum(row.new_tokens for row in raw) / len(raw), len(questions) / len(raw), tokens / seconds, pairs,
        tokens / len(answers),
    )  # fmt: skip


def _generation(experiment: Experiment, probe: Probe) -> list[Forecast]:
    raw = math.ceil(experiment.num_questions / probe.questions)
    draws = experiment.num_questions * experiment.vote.draws
    asked, answered = round(raw * probe.round_tokens), round(draws * probe.answer_tokens)
    rate = probe.tokens_per_second
    return [
        Forecast("elicit", f"{raw:,} raw questions or more", asked, asked / rate),
        Forecast("answer", f"up to {draws:,} draws", answered, answered / rate),
    ]


def _training(experiment: Experiment, probe: Probe) -> Forecast:
    settings = experiment.train
    steps = settings.epochs * math.ceil(experiment.num_questions / settings.batch_size)
    seconds, tokens = _train_step(experiment, probe.pairs, settings)
    per_pair = tokens / len(probe.pairs)
    return Forecast(
        "finetune", f"{steps:,} steps of {settings.batch_size} pairs",
        round(per_pair * experiment.num_questions * settings.epochs),
        seconds / len(probe.pairs) * experiment.num_questions * settings.epochs,
    )  # fmt: skip


def _train_step(experiment: Experiment, pairs: Sequence[QAPair], settings: TrainSettings) -> tuple[float, int]:
    """Seconds and tokens of one optimiser step over the pairs, after a first that warms up."""
    from dataclasses import replace

    from crescent.engines.weights import load_tokenizer
    from crescent.training.data import encode_pairs
    from crescent.training.loop import train

    console, ends = Console(quiet=True), []
    weights = experiment.distill.student
    examples = encode_pairs(pairs, load_tokenizer(weights), settings.max_length).examples
    once = replace(settings.resolved(), batch_size=len(examples), epochs=2)
    model, tokenizer = once.method.load(weights)
    pad: Any = tokenizer.pad_token_id
    with TemporaryDirectory() as folder:
        train(
            model, examples, pad, once, Path(folder), console,
            lambda _metrics, _step: ends.append(time.monotonic()),
        )  # fmt: skip
    return ends[1] - ends[0], sum(len(example.ids) for example in examples)


def _evaluation(experiment: Experiment, probe: Probe) -> Forecast:
    """Of generated answers, as long as those of the probe; choices that are only scored take less."""
    tasks = plan(experiment.eval)
    items = {
        source.name: len(item_texts(source, experiment.eval))
        for source in {source.name: source for source, _ in tasks}.values()
    }
    models = 2 if experiment.is_self_improvement else 3
    count = models * sum(items[source.name] for source, _ in tasks)
    tokens = round(count * probe.answer_tokens)
    return Forecast("evaluate", f"{count:,} items, {models} models", tokens, tokens / probe.tokens_per_second)
