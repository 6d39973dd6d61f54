"""Forecasts a run's cost: work, tokens and time of each stage, from a short probe on the real models.

In: an `Experiment`. Out: one `Forecast` per stage, over all iterations. The probe is the first round of elicitation
(stored, so the run reuses it), answers to some of its questions, also by the scoring engine if that is another one, and
two optimiser steps on those, on as many devices as the run trains on. Times are for this machine and an empty store.
Rewrites and rejected questions come on top of the elicitation forecast.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crescent.core.console import Console, counted, duration
from crescent.core.errors import UserError
from crescent.core.records import QAPair, RawQuestion, text_id
from crescent.core.store import Store
from crescent.domain import fill
from crescent.elicitation import Cleaned, clean_question
from crescent.elicitation.stage import Stream
from crescent.engines import Completion, LazyEngine, Prompt, Sampling, unfinished
from crescent.evaluation.harness import PLAIN, plan
from crescent.evaluation.loading import item_texts
from crescent.experiment import Experiment
from crescent.pipeline import lazy_engine
from crescent.prompting.baselines import Baseline, Plain
from crescent.runtime.local import LocalBackend
from crescent.training.settings import TrainSettings

ANSWERS_DRAWN = 32  # in the probe
NEVER = 1000  # epochs and steps: no step of the probe is the last, or followed by a checkpoint


@dataclass(frozen=True, slots=True)
class Forecast:
    """`tokens` are generated tokens; for training, the tokens of the pairs over all epochs."""

    stage: str
    work: str
    tokens: int
    seconds: float

    def line(self) -> str:
        """The forecast as one printed line."""
        return f"{self.stage:<9} {self.work:<58} {self.tokens:>14,} tokens {duration(self.seconds):>10}"


@dataclass(frozen=True, slots=True)
class Probe:
    """What the probe measured: tokens per raw text, the share that are questions, rates, and some answers as pairs."""

    round_tokens: float
    questions: float
    tokens_per_second: float
    scoring_tokens_per_second: float
    pairs: Sequence[QAPair]
    answer_tokens: float


def forecast(experiment: Experiment, console: Console) -> list[Forecast]:
    """Forecasts of all stages. Raises UserError if none of the model's texts is a question."""
    if not experiment.source.elicits:
        console.say(f"source={experiment.source.name}: no forecast of its work; it has no bait to probe")
        return []
    store = Store(Path(experiment.store).absolute())
    engine = lazy_engine(experiment.engine, experiment.model, store, LocalBackend())
    probe = measure(experiment, store, engine)
    workers = getattr(experiment.runtime, "workers", 1)
    if workers > 1:
        console.say(f"questions and answers: each of {workers} workers is assumed to be as fast as this process")
    console.say(
        f"probe: {probe.tokens_per_second:,.0f} new tokens/s; {probe.questions:.0%} of the raw texts are questions; a "
        f"raw text has {probe.round_tokens:.0f} tokens, an answer {probe.answer_tokens:.0f}"
    )
    made = [*_generation(experiment, probe, workers), _training(experiment, probe)]
    if experiment.eval.tasks:
        made.append(_evaluation(experiment, probe))
    for one in made:
        console.say(one.line())
    total = duration(sum(one.seconds for one in made))
    console.say(f"total: about {total} on this machine, minus what is already in the store")
    return made


def measure(experiment: Experiment, store: Store, engine: LazyEngine) -> Probe:
    """Draws the probe, then unloads the engines."""
    stages = experiment.stages()
    shard = Stream(stages.elicit, store, engine).shard(0)
    raw = shard.read(RawQuestion)
    limits = (experiment.domain.min_chars, experiment.domain.max_chars)
    cleaned = [clean_question(row.text, row.finish_reason, *limits) for row in raw]
    questions = [one.question for one in cleaned if one.question is not None]
    if not questions:
        raise UserError(
            f"none of {len(raw)} answers to the bait is a question ({_reasons(cleaned, raw)}). Look at domain.bait and "
            f"at {shard.path}, or use another model."
        )
    asked = (questions * ANSWERS_DRAWN)[:ANSWERS_DRAWN]
    prompts = [Prompt(fill(experiment.domain.solve, question=text), draw) for draw, text in enumerate(asked)]
    answers, rate = _draw(engine, prompts, stages.answer.sampling)
    scoring, scoring_rate = experiment.engine.scoring, rate
    if scoring != experiment.engine and experiment.eval.tasks:
        scored = experiment.model if experiment.model in experiment.models_here else experiment.distill.student
        scorer = lazy_engine(scoring, scored, store, LocalBackend())
        _, scoring_rate = _draw(scorer, prompts, stages.answer.sampling)
    pairs = [
        QAPair(text_id(text), text, answer.text, "", 1, 1, 1.0) for text, answer in zip(asked, answers, strict=True)
    ]
    return Probe(
        sum(row.new_tokens for row in raw) / len(raw), len(questions) / len(raw), rate, scoring_rate, pairs,
        sum(answer.new_tokens for answer in answers) / len(answers),
    )  # fmt: skip


def _reasons(cleaned: Sequence[Cleaned], raw: Sequence[RawQuestion]) -> str:
    """Why texts are not questions, the most frequent reason first, and how many did not finish, by finish reason."""
    counts = Counter(one.reason for one in cleaned).most_common(3)
    ended = [f"finish_reason {reason}: {count}" for reason, count in unfinished(r.finish_reason for r in raw).items()]
    return ", ".join([f"{reason}: {count}" for reason, count in counts] + ended)


def _draw(engine: LazyEngine, prompts: Sequence[Prompt], sampling: Sampling) -> tuple[list[Completion], float]:
    """The answers, and the rate in new tokens per second."""
    engine.get().generate(prompts[:1], sampling)  # warm-up: one-time work must not be timed
    start = time.monotonic()
    answers = engine.get().generate(prompts, sampling)
    seconds = max(1e-6, time.monotonic() - start)
    engine.close()
    return answers, sum(answer.new_tokens for answer in answers) / seconds


def _generation(experiment: Experiment, probe: Probe, workers: int) -> list[Forecast]:
    raw = experiment.iterations * math.ceil(experiment.num_questions / probe.questions)
    draws = experiment.iterations * experiment.num_questions * experiment.vote.draws
    asked, answered = round(raw * probe.round_tokens), round(draws * probe.answer_tokens)
    rate = workers * probe.tokens_per_second
    verdicts = experiment.iterations * experiment.num_questions * experiment.verify.draws
    judged = verdicts * experiment.stages().verify.sampling.max_new_tokens
    verify = [Forecast("verify", counted(verdicts, "verdict"), judged, judged / rate)] if verdicts else []
    return [
        Forecast("elicit", f"{counted(raw, 'raw question')} or more", asked, asked / rate),
        *verify,
        Forecast("answer", f"up to {counted(draws, 'draw')}", answered, answered / rate),
    ]


def _training(experiment: Experiment, probe: Probe) -> Forecast:
    settings = experiment.train
    kept = experiment.source.num_pairs or experiment.num_questions
    pairs = [len(experiment.iterate.training_data(range(done + 1))) * kept for done in range(experiment.iterations)]
    steps = settings.epochs * sum(math.ceil(count / settings.batch_size) for count in pairs)
    seconds, tokens = _train_step(experiment, probe.pairs, settings)
    times = settings.epochs * sum(pairs) / len(probe.pairs)
    return Forecast(
        "finetune",
        f"{counted(steps, 'step')} of {counted(settings.batch_size, 'pair')}",
        round(tokens * times),
        seconds * times,
    )


class _Measured(Exception):
    """Ends the probe's training once it has made enough steps."""


def _train_step(experiment: Experiment, pairs: Sequence[QAPair], settings: TrainSettings) -> tuple[float, int]:
    """Seconds and tokens of one optimiser step over the pairs, timed after a warm-up step."""
    import gc

    import torch

    from crescent.engines.weights import load_tokenizer
    from crescent.training.data import encode_pairs
    from crescent.training.launch import launch
    from crescent.training.loop import train

    console, ends = Console(quiet=True), list[float]()
    weights = experiment.distill.student
    tokenizer = load_tokenizer(weights)
    pad: Any = tokenizer.pad_token_id
    examples = encode_pairs(pairs, tokenizer, settings.max_length, settings.overlong, settings.reasoning).examples
    if not examples:
        raise UserError(
            f"none of the {len(pairs)} answers of the probe can be trained on: they are longer than train.max_length="
            f"{settings.max_length} (raise it), or texts spell control tokens of the chat template"
        )
    once = replace(settings.resolved(weights), batch_size=len(examples), epochs=NEVER, checkpoint_every=NEVER)

    def curve(_metrics: Mapping[str, float], _step: int) -> None:
        ends.append(time.monotonic())
        if len(ends) == 2:
            raise _Measured

    with TemporaryDirectory() as folder, suppress(_Measured):
        if once.devices > 1:
            launch(weights, examples, pad, once, Path(folder), console, curve)
        else:
            train(once.method.load(weights)[0], examples, pad, once, Path(folder), console, curve)
    gc.collect()  # Lightning's trainer and the module refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return ends[1] - ends[0], sum(len(example.ids) for example in examples)


def _evaluation(experiment: Experiment, probe: Probe) -> Forecast:
    """Forecast for generated answers as long as the probe's; multiple-choice items, only scored, take less."""
    sources = {source.name: source for source, _ in plan(experiment.eval)}
    items = {name: len(item_texts(source, experiment.eval)) for name, source in sources.items()}

    def asked(prompting: Plain | Baseline) -> int:
        return sum(items[source.name] for source, _ in plan(experiment.eval, prompting))

    models = sum(experiment.iterations if role == "student" else 1 for role in experiment.roles)
    baselines = experiment.prompting.baselines.values()
    count = experiment.eval.samples * models * asked(PLAIN) + sum(one.most_answers * asked(one) for one in baselines)
    tokens = round(count * probe.answer_tokens)
    work = f"up to {counted(count, 'answer')}, {counted(models, 'model')}"
    work += f", {counted(len(baselines), 'baseline')}" if baselines else ""
    return Forecast("evaluate", work, tokens, tokens / probe.scoring_tokens_per_second)
