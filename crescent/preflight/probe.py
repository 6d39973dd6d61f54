"""Measures the real models for a few seconds: generation and training speed, and the length of their texts.

In: an `Experiment`. Out: a `Probe`. Each part has a time budget of `SECONDS` once its model is loaded. A first batch of
a few tokens shows how many rows and tokens the budget allows; longer texts are cut there, and the mean length is
estimated as tokens per finished text. Nothing is stored.
"""

import gc
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crescent.core.console import Console, counted
from crescent.core.errors import UserError
from crescent.core.records import QAPair, text_id
from crescent.core.store import Store
from crescent.domain import fill
from crescent.elicitation import Cleaned, clean_question
from crescent.engines import Completion, Engine, Prompt, Sampling, unfinished
from crescent.experiment import Experiment
from crescent.pipeline import lazy_engine
from crescent.runtime.local import LocalBackend
from crescent.training.settings import TrainSettings

SECONDS = 30.0
"""Time budget of each part: questions, answers, scoring by another engine, training."""
FIRST_ROWS, FIRST_TOKENS = 8, 16
MOST_ROWS = 64
FIRST_PAIRS = 2  # per device, in the first training steps
MORE_PAIRS = 4  # steps with at least this many times as many pairs are timed too, if the budget allows
NEVER = 1000  # epochs and steps: no step of the probe is the last, or followed by a checkpoint


@dataclass(frozen=True, slots=True)
class Written:
    """Texts generated within the budget, of at most `limit` new tokens; the run itself allows `full_limit`."""

    completions: Sequence[Completion]
    tokens_per_second: float
    limit: int
    full_limit: int

    @property
    def ended(self) -> list[Completion]:
        """The texts that were not cut by the budget."""
        whole = self.limit == self.full_limit
        return [made for made in self.completions if whole or made.finish_reason != "length"]

    @property
    def length(self) -> float:
        """Mean new tokens of a text, estimated where the budget cut some; `full_limit` if it cut all."""
        tokens = sum(made.new_tokens for made in self.completions)
        return min(tokens / len(self.ended), self.full_limit) if self.ended else float(self.full_limit)


@dataclass(frozen=True, slots=True)
class Probe:
    """Tokens of a raw text, the share of raw texts that are questions, tokens of an answer, rates in new tokens per
    second, and pairs to time training with."""

    round_tokens: float
    questions: float
    tokens_per_second: float
    scoring_tokens_per_second: float
    pairs: Sequence[QAPair]
    answer_tokens: float


def measure(experiment: Experiment, store: Store, console: Console) -> Probe:
    """Generates some questions and answers, then unloads the engine. Raises UserError if no text is a question."""
    stages, name = experiment.stages(), experiment.model.name
    with closing(lazy_engine(experiment.engine, experiment.model, store, LocalBackend(), console)) as engine:
        bait = list(islice(chain.from_iterable(map(stages.elicit.prompts, range(MOST_ROWS))), MOST_ROWS))
        raw = write(engine.get(), bait, stages.elicit.asking, console, f"probe: questions by {name}")
        questions, share = _questions(experiment, raw, console)
        asked = (questions * MOST_ROWS)[:MOST_ROWS]
        prompts = [Prompt(fill(experiment.domain.solve, question=text), draw) for draw, text in enumerate(asked)]
        answers = write(engine.get(), prompts, stages.answer.sampling, console, f"probe: answers by {name}")
    scoring, scoring_rate = experiment.scoring, answers.tokens_per_second
    if scoring != experiment.engine and experiment.eval.tasks:
        scored = experiment.model if experiment.model in experiment.models_here else experiment.distill.student
        with closing(lazy_engine(scoring, scored, store, LocalBackend(), console)) as scorer:
            what = f"probe: scoring {scored.name}"
            scoring_rate = write(scorer.get(), prompts, stages.answer.sampling, console, what).tokens_per_second
    pairs = [
        QAPair(text_id(text), text, answer.text, "", 1, 1, 1.0)
        for text, answer in zip(asked, answers.completions, strict=False)
    ]
    return Probe(raw.length, share, answers.tokens_per_second, scoring_rate, pairs, answers.length)


def write(engine: Engine, prompts: Sequence[Prompt], sampling: Sampling, console: Console, what: str) -> Written:
    """Generates as many of the texts, and as much of each, as the budget allows."""

    def timed(rows: int, limit: int) -> Written:
        start = time.monotonic()
        made = engine.generate(prompts[:rows], replace(sampling, max_new_tokens=limit))
        seconds = max(1e-6, time.monotonic() - start)
        return Written(made, sum(one.new_tokens for one in made) / seconds, limit, sampling.max_new_tokens)

    with console.working(what):
        timed(1, 1)  # warm-up: one-time work must not be timed
        first = timed(FIRST_ROWS, min(FIRST_TOKENS, sampling.max_new_tokens))
        affordable = int(first.tokens_per_second * SECONDS)
        rows = min(len(prompts), max(FIRST_ROWS, affordable // sampling.max_new_tokens))
        limit = min(sampling.max_new_tokens, affordable // rows)
        return timed(rows, limit) if limit > first.limit or rows > FIRST_ROWS else first


def _questions(experiment: Experiment, raw: Written, console: Console) -> tuple[list[str], float]:
    """(questions to answer, share of the raw texts that are questions)."""
    limits = (experiment.domain.min_chars, experiment.domain.max_chars)
    cleaned = [clean_question(one.text, one.finish_reason, *limits) for one in raw.ended]
    questions = [one.question for one in cleaned if one.question is not None]
    if questions:
        return questions, len(questions) / len(raw.ended)
    if raw.limit == raw.full_limit:
        raise UserError(
            f"none of {len(raw.ended)} answers to the bait is a question ({_reasons(cleaned, raw.ended)}). Look at "
            "domain.bait, or use another model."
        )
    console.say(
        f"probe: no text ended as a question within {raw.limit} tokens, all that {SECONDS:.0f} s pay for. The forecast "
        "takes every raw text for a question, of the longest length"
    )
    return [one.text or "How much is 1 + 1?" for one in raw.completions], 1.0


def _reasons(cleaned: Sequence[Cleaned], raw: Sequence[Completion]) -> str:
    """Why texts are not questions, the most frequent reason first, and how many did not finish, by finish reason."""
    counts = Counter(one.reason for one in cleaned).most_common(3)
    ended = [f"finish_reason {reason}: {count}" for reason, count in unfinished(r.finish_reason for r in raw).items()]
    return ", ".join([f"{reason}: {count}" for reason, count in counts] + ended)


@dataclass(frozen=True, slots=True)
class Step:
    """A timed optimiser step: seconds, tokens and pairs."""

    seconds: float
    tokens: int
    pairs: int


def train_step(experiment: Experiment, pairs: Sequence[QAPair], console: Console) -> Step:
    """Times a step over as many of the pairs as the budget allows."""
    weights, settings = experiment.distill.student, experiment.training
    examples, pad = _examples(experiment, pairs)
    with console.working(f"probe: training {weights.name}"):
        few = examples[: FIRST_PAIRS * settings.devices]
        step = _timed_step(experiment, few, pad, settings)
        affordable = int(len(few) * SECONDS / 2 / max(1e-6, step.seconds))  # two steps, the first of which warms up
        if min(affordable, len(examples)) >= MORE_PAIRS * len(few):
            return _timed_step(experiment, examples[:affordable], pad, settings)
    return step


def _examples(experiment: Experiment, pairs: Sequence[QAPair]) -> tuple[Sequence[Any], int]:
    from crescent.engines.weights import load_tokenizer
    from crescent.training.data import encode_for

    settings = experiment.training
    tokenizer = load_tokenizer(experiment.distill.student)
    pad: Any = tokenizer.pad_token_id
    if settings.objective.contrasts:  # a losing response is about as long as a winning one
        pairs = [replace(pair, rejected=pair.response, margin=1.0) for pair in pairs]
    examples = encode_for(settings, pairs, tokenizer).examples
    if not examples:
        raise UserError(
            f"none of the {counted(len(pairs), 'answer')} of the probe can be trained on: they are longer than "
            f"train.max_length={settings.max_length} (raise it), or texts spell control tokens of the chat template"
        )
    return examples, pad


class _Measured(Exception):
    """Ends the probe's training once it has made enough steps."""


def _timed_step(experiment: Experiment, examples: Sequence[Any], pad: int, settings: TrainSettings) -> Step:
    """The second of two optimiser steps over the examples; the first warms up."""
    import torch

    from crescent.training.fitting import fitted
    from crescent.training.launch import launch
    from crescent.training.loop import train

    weights, quiet, ends = experiment.distill.student, Console(quiet=True), list[float]()
    once = replace(
        settings.resolved(weights), batch_size=len(examples), epochs=NEVER, checkpoint_every=NEVER, stop="never"
    )
    once = fitted(once, weights, examples, quiet)

    def curve(_metrics: Mapping[str, float], _step: int) -> None:
        ends.append(time.monotonic())
        if len(ends) == 2:
            raise _Measured

    with TemporaryDirectory() as folder, suppress(_Measured):
        if once.devices > 1:
            launch(weights, examples, pad, once, Path(folder), quiet, curve)
        else:
            train(once.method.load(weights)[0], examples, pad, once, Path(folder), quiet, curve)
    gc.collect()  # Lightning's trainer and the module refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Step(ends[1] - ends[0], sum(example.tokens for example in examples), len(examples))
