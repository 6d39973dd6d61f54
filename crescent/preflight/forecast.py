"""What a run will take: work, tokens and time of each stage, from a short probe on the real models.

In: an `Experiment`. Out: one `Forecast` a stage, over all iterations. The probe is the first round of elicitation, kept
in the store where the run finds it, answers to a few of its questions, by the engine that scores as well where that is
another, and one optimiser step on those, on as many devices as the run trains on. Forecasts of time are of this machine
and of a run that finds nothing in the store; rewrites and rejected questions come on top of elicitation.
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

ANSWERS_DRAWN = 32  # that the probe draws
NEVER = 1000  # steps: none of those of the probe is the last, or followed by a checkpoint


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
    """What was measured: tokens of a raw text, how many of them are questions, answers to some, and the rates."""

    round_tokens: float
    questions: float
    tokens_per_second: float
    scoring_tokens_per_second: float
    pairs: Sequence[QAPair]
    answer_tokens: float


def forecast(experiment: Experiment, console: Console) -> list[Forecast]:
    """Forecasts of all stages. Raises ValueError where the model writes no question at all."""
    if not experiment.source.elicits:
        console.say(f"source={experiment.source.name}: its work is not forecast; it has no bait to be probed")
        return []
    store = Store(Path(experiment.store).absolute())
    engine = lazy_engine(experiment.engine, experiment.model, store, LocalBackend())
    probe = measure(experiment, store, engine)
    workers = getattr(experiment.runtime, "workers", 1)
    if workers > 1:
        console.say(f"questions and answers: each of {workers} workers is taken to be as fast as this process")
    console.say(
        f"probe: {probe.tokens_per_second:,.0f} new tokens/s; {probe.questions:.0%} of the raw texts are questions of "
        f"{probe.round_tokens:.0f} tokens, answers have {probe.answer_tokens:.0f}"
    )
    made = [*_generation(experiment, probe, workers), _training(experiment, probe)]
    if experiment.eval.tasks:
        made.append(_evaluation(experiment, probe))
    for one in made:
        console.say(one.line())
    total = duration(sum(one.seconds for one in made))
    console.say(f"together about {total} on this machine, less what the store holds already")
    return made


def measure(experiment: Experiment, store: Store, engine: LazyEngine) -> Probe:
    """Draws the probe, and lets the engine go."""
    stages = experiment.stages()
    shard = Stream(stages.elicit, store, engine).shard(0)
    raw = shard.read(RawQuestion)
    limits = (experiment.domain.min_chars, experiment.domain.max_chars)
    cleaned = [clean_question(row.text, row.finish_reason, *limits) for row in raw]
    questions = [one.question for one in cleaned if one.question is not None]
    if not questions:
        raise UserError(
            f"none of {len(raw)} answers to the bait is a question ({_reasons(cleaned, raw)}). Look at domain.bait and "
            f"at {shard.path}, or take another model."
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
    """Why texts are no questions, the most frequent reason first, and how many of them did not end by themselves."""
    counts = Counter(one.reason for one in cleaned).most_common(3)
    ended = [f"finish_reason {reason}: {count}" for reason, count in unfinished(r.finish_reason for r in raw).items()]
    return ", ".join([f"{reason}: {count}" for reason, count in counts] + ended)


def _draw(engine: LazyEngine, prompts: Sequence[Prompt], sampling: Sampling) -> tuple[list[Completion], float]:
    """Answers, and new tokens per second."""
    engine.get().generate(prompts[:1], sampling)  # what is done once is not to be timed
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
    """The probe's training has made the steps it is for."""


def _train_step(experiment: Experiment, pairs: Sequence[QAPair], settings: TrainSettings) -> tuple[float, int]:
    """Seconds and tokens of one optimiser step over the pairs, after a first that warms up."""
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
    """Of generated answers, as long as those of the probe; choices that are only scored take less."""
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
