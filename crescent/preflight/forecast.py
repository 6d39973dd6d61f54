"""Forecasts a run's cost: work, tokens and time of each stage, from a short probe on the real models.

In: an `Experiment`. Out: one `Forecast` per stage, over all iterations. Times are for this machine and an empty store.
Rewrites and rejected questions come on top of the elicitation forecast.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from crescent.core.console import Console, counted, duration
from crescent.core.store import Store
from crescent.evaluation.harness import PLAIN, plan
from crescent.evaluation.loading import item_texts
from crescent.experiment import Experiment
from crescent.preflight.probe import Probe, measure, train_step
from crescent.prompting.baselines import Baseline, Plain


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


def forecast(experiment: Experiment, console: Console) -> list[Forecast]:
    """Forecasts of all stages. Raises UserError if none of the model's texts is a question."""
    if not experiment.source.elicits:
        console.say(f"source={experiment.source.name}: no forecast of its work; it has no bait to probe")
        return []
    store = Store(Path(experiment.store).absolute())
    probe = measure(experiment, store, console)
    workers = getattr(experiment.runtime, "workers", 1)
    if workers > 1:
        console.say(f"questions and answers: each of {workers} workers is assumed to be as fast as this process")
    console.say(
        f"probe: {probe.tokens_per_second:,.0f} new tokens/s; {probe.questions:.0%} of the raw texts are questions; a "
        f"raw text has {probe.round_tokens:.0f} tokens, an answer {probe.answer_tokens:.0f}"
    )
    made = [*_generation(experiment, probe, workers), _training(experiment, probe, console)]
    if experiment.eval.tasks:
        made.append(_evaluation(experiment, probe))
    for one in made:
        console.say(one.line())
    total = duration(sum(one.seconds for one in made))
    console.say(f"total: about {total} on this machine, minus what is already in the store")
    return made


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


def _training(experiment: Experiment, probe: Probe, console: Console) -> Forecast:
    settings = experiment.training
    voted = experiment.stages().select.most(experiment.num_questions)
    kept = min(voted, experiment.source.num_pairs or voted)
    pairs = [len(experiment.iterate.training_data(range(done + 1))) * kept for done in range(experiment.iterations)]
    steps = settings.epochs * sum(math.ceil(count / settings.batch_size) for count in pairs)
    step = train_step(experiment, probe.pairs, console)
    expected = settings.sequences * (probe.round_tokens + probe.answer_tokens)
    length = max(step.tokens / step.pairs, expected)  # the probe may have cut answers
    tokens = round(settings.epochs * sum(pairs) * length)
    return Forecast(
        "finetune",
        f"{counted(steps, 'step')} of {counted(settings.batch_size, 'pair')}",
        tokens,
        step.seconds * tokens / step.tokens,
    )


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
