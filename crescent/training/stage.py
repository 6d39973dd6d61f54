"""Step 4: fine-tunes a model on the pairs.

In: the artifact of `QAPair`s from a vote, and the weights to train. Out: an artifact with the adapter (`adapter/`; for
full fine-tuning the whole model, `model/`) and one `TrainStep` per optimiser step. Pairs are not judged here.
"""

import gc
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from crescent.core.console import Console, counted
from crescent.core.context import ModelKeys, Stage, StageContext
from crescent.core.errors import UserError
from crescent.core.records import QAPair, TrainStep
from crescent.core.store import Artifact, Key, Outcome
from crescent.engines.weights import Weights
from crescent.training.plateau import best_step, held_out_loss, hold_out
from crescent.training.settings import TrainSettings

if TYPE_CHECKING:
    from crescent.training.data import Encoded
    from crescent.training.loop import Curve

log = logging.getLogger(__name__)
NAMED = 5
"""Maximum number of question ids in a message."""


@dataclass(frozen=True, slots=True)
class Learner:
    """The weights to train, and their identity: those of the student, or of an earlier iteration."""

    weights: Weights
    key: str
    records: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finetune(Stage):
    """Trains weights on pairs."""

    NAME: ClassVar[str] = "finetune"
    VERSION: ClassVar[int] = 1
    TOKENS: ClassVar[str | None] = "target_tokens"
    settings: TrainSettings

    def key(self, models: ModelKeys, *inputs: str) -> Key:
        """`inputs`: the learner, the pairs."""
        return Key(self.NAME, self.VERSION, self.settings, inputs)

    def title(self, *inputs: Any, **options: object) -> str:
        """Heading on the console: the model and the number of pairs."""
        learner, pairs = inputs
        return f"4 Finetune: {learner.weights.name} on {counted(pairs.records, 'pair')} ({self.settings.name})"

    def run(self, context: StageContext, learner: Learner, pairs: Artifact) -> Artifact:
        """Returns the trained artifact. Every step is an event, also for a cached artifact.

        Raises UserError if there is nothing to train on, if a template does not allow a loss mask, or if training
        diverges, and OutOfMemory if a single sequence does not fit.
        """
        if pairs.records == 0:
            raise UserError(
                "there are no pairs to train on: no question reached an answer that enough draws agree on. Lower "
                "vote.min_agreement, or raise num_questions."
            )
        weights, console = learner.weights, context.console
        settings = self.settings.resolved(weights)
        if about := self.settings.about_learning_rate(weights):
            console.say(about)

        def curve(metrics: Mapping[str, float], step: int) -> None:
            context.events.training_step(metrics, step, context.iteration)

        def builder(work: Path) -> Outcome:
            return _build(settings, weights, pairs.read(QAPair), work, console, curve)

        artifact = context.store.build(context.key(Finetune(settings), learner, pairs), builder)
        if artifact.reused:
            from crescent.training.loop import replay

            replay(artifact.read(TrainStep), curve)
        return artifact

    def trained(self, weights: Weights, artifact: Artifact) -> Weights:
        """The weights after training, to be loaded like any other."""
        return self.settings.method.trained(weights, artifact.path, artifact.key)


def _build(
    settings: TrainSettings,
    weights: Weights,
    pairs: Sequence[QAPair],
    work: Path,
    console: Console,
    curve: "Curve | None",
) -> Outcome:
    import torch  # here and below: a run whose artifacts are cached loads no model library

    from crescent.engines.weights import load_tokenizer
    from crescent.training.checkpoint import load_result
    from crescent.training.data import encode_for
    from crescent.training.fitting import fitted
    from crescent.training.launch import launch
    from crescent.training.loop import train
    from crescent.training.team import ALONE

    tokenizer = load_tokenizer(weights)
    learned = settings.objective.select(pairs)
    _say_selected(pairs, learned, settings, console)
    encoded = encode_for(settings, learned, tokenizer)
    _say_counts(encoded, settings, console)
    settings = fitted(settings, weights, encoded.examples, console)
    if settings.devices > 1:
        launch(weights, encoded.examples, _pad_id(tokenizer), settings, work, console, curve)
    with ALONE.forked_rng():
        torch.manual_seed(settings.seed)  # a new adapter is initialised at random
        model, tokenizer = settings.method.load(weights)
    if settings.devices > 1:
        steps = load_result(work, model)
    else:
        steps = train(model, encoded.examples, _pad_id(tokenizer), settings, work, console, curve)
    files = settings.method.save(model, tokenizer, weights, work)
    info = _info(len(learned), encoded, steps, settings)
    del model
    gc.collect()  # Lightning's trainer and the module refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Outcome(records=steps, info=info, files=files)


def _info(learned: int, encoded: "Encoded", steps: Sequence[TrainStep], settings: TrainSettings) -> dict[str, Any]:
    """The counters of a training. `learned`: the pairs that the objective can learn from."""
    info: dict[str, Any] = {
        "pairs": learned,
        "steps": len(steps),
        "target_tokens": sum(step.target_tokens for step in steps),
        "truncated": len(encoded.truncated),
        "dropped": encoded.dropped,
        "learning_rate": settings.learning_rate,
        "final_loss": round(_final_loss(steps), 4),
    }
    if settings.objective.contrasts:
        info["contrasted"] = sum(example.rejected is not None for example in encoded.examples)
    if (best := best_step(steps)) is not None:
        _, held_out = hold_out(encoded.examples, settings.held_out, settings.seed)
        info |= {"best_step": best.step, "held_out_loss": held_out_loss(best), "held_out": len(held_out)}
    if settings.retain.share > 0:
        info["with_shots"] = encoded.with_shots
    return info


def _say_selected(
    pairs: Sequence[QAPair], learned: Sequence[QAPair], settings: TrainSettings, console: Console
) -> None:
    if settings.objective.contrasts:
        lost = sum(pair.rejected is not None for pair in learned)
        console.say(
            f"objective={settings.objective.name}: {counted(lost, 'pair')} with a response that lost the vote, "
            f"{len(learned) - lost} without, {len(pairs) - len(learned)} left out"
        )


def _say_counts(encoded: "Encoded", settings: TrainSettings, console: Console) -> None:
    limit = f"train.max_length={settings.max_length}"
    if encoded.truncated:
        console.say(f"{counted(len(encoded.truncated), 'response')} cut at {limit}: {_some(encoded.truncated)}")
    if encoded.too_long:
        console.say(f"{counted(len(encoded.too_long), 'pair')} dropped, longer than {limit}: {_some(encoded.too_long)}")
    if encoded.unsafe:
        console.say(
            f"{counted(len(encoded.unsafe), 'pair')} dropped, with control tokens in the text: {_some(encoded.unsafe)}"
        )
    if encoded.stripped:
        console.say(f"{counted(encoded.stripped, 'response')} trained on without thoughts (train.reasoning=strip)")
    if encoded.unthinking:
        targets = counted(encoded.unthinking, "target")
        console.say(
            f"{targets} with an empty thought, as in the chat template: the model learns to answer without thinking "
            "(train.reasoning=keep trains on thoughts where responses have them)"
        )
    if settings.retain.share > 0:
        console.say(f"{counted(encoded.with_shots, 'pair')} behind up to {settings.retain.shots} others (retain=shots)")
    if settings.retain.share > 0 and encoded.examples and not encoded.with_shots:
        log.warning(
            "retain=shots changes nothing here: no pair has room for another one before it. Raise %s, or "
            "retain.share, or train on more pairs",
            limit,
        )
    if not encoded.examples:
        raise UserError(
            f"none of the {encoded.dropped} pairs can be trained on: {len(encoded.too_long)} are longer than {limit} "
            f"(raise it), {len(encoded.unsafe)} spell control tokens of the chat template."
        )
    targets = sum(one.target_tokens for example in encoded.examples for one in example.sequences)
    pairs, epochs = counted(len(encoded.examples), "pair"), counted(settings.epochs, "epoch")
    console.say(f"{pairs}, {counted(targets, 'target token')} an epoch, {epochs}")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")


def _pad_id(tokenizer: Any) -> int:
    assert isinstance(tokenizer.pad_token_id, int), "load_tokenizer sets a pad token"
    return tokenizer.pad_token_id


def _final_loss(steps: Sequence[TrainStep]) -> float:
    """Nats per target token over the last tenth of the steps; a single step would be noisy."""
    last = steps[-max(1, len(steps) // 10) :]
    return sum(step.loss * step.target_tokens for step in last) / sum(step.target_tokens for step in last)
