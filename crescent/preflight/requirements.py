"""Checks before a long run whether it can work here.

In: an `Experiment`. Out: printed requirements and what is available, or a UserError that names every shortage and its
fix before anything long begins. Sizes are read from files; no weights are loaded. `forecast.py` estimates how long a
run takes.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.engines.device import best_device
from crescent.engines.identity import is_date_read
from crescent.engines.memory import Need, free_bytes, gigabytes
from crescent.engines.model_files import download_need, local_folder, number_count
from crescent.engines.turns import end_of_turn, listed_ends
from crescent.engines.weights import Weights, load_tokenizer
from crescent.experiment import Experiment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from crescent.training.estimate import Estimate

LONG = 500_000_000  # parameters; a run of a larger model is checked without being asked
LONG_WORK = 10**14  # the same for parameters times new tokens: an hour or more on a CPU
NEEDS_GPU = 3_000_000_000  # parameters; on a CPU a run of such a model would take weeks
BYTES_PER_TOKEN = 12  # of a row on disk, including its other fields
VECTOR_BYTES = 1600  # of a question's vector on disk
CHECKPOINT_BYTES = 12  # per trained parameter: the parameter and two moments
_PROBE = QAPair("probe", "What is 1 + 1?", "1 + 1 = 2. The answer is 2.", "2", 1, 1, 1.0)


def is_long(experiment: Experiment) -> bool:
    """True if a run is checked without being asked: its models are large, not downloaded, served elsewhere, or must
    generate much.
    """
    models = experiment.models_here
    if experiment.engine.in_process != experiment.engine or any(download_need(model) for model in models):
        return True
    largest = max(number_count(local_folder(model)) for model in models)
    return largest >= LONG or largest * expected_tokens(experiment) >= LONG_WORK


def expected_tokens(experiment: Experiment) -> int:
    """Expected tokens of questions and answers. A completion is assumed to use a quarter of its token limit."""
    thinking, draws = experiment.model.thinking_tokens, experiment.vote.draws
    asked = experiment.elicit.max_new_tokens + draws * experiment.answer.max_new_tokens + (1 + draws) * thinking
    return experiment.iterations * experiment.num_questions * (asked // 4)


def preflight(experiment: Experiment, folder: Path, console: Console) -> None:
    """Checks everything that can be known without loading weights. `folder` is the run's.

    Raises UserError with one line per shortage, each with a suggested fix.
    """
    models = experiment.models_here
    _demand([need for model in models if (need := download_need(model)) is not None], console)
    from crescent.training.data import encode_pairs  # imported late: a run that reuses its artifacts loads no torch

    check_gpu(experiment)
    experiment.check_tokens()  # again, for models that were just downloaded
    for weights in sorted(models, key=lambda one: one.name):
        tokenizer = _tokenizer_of(weights, experiment)
        encode_pairs([_PROBE], tokenizer, experiment.train.max_length)
        _compare_ends(weights, tokenizer, console)
        if is_date_read(weights, local_folder(weights)):
            console.say(f"{weights.name}: its chat template prints a date, fixed: {weights.date_string} (date_string)")
    console.say("settings, benchmark files, tokenizers, chat templates and training masks: checked, fit for this run")
    if about := experiment.training.about_learning_rate(experiment.distill.student):
        console.say(about)
    generation = experiment.engine.needs(experiment.model)
    training = training_estimate(experiment)
    disk = disk_needs(experiment, training.trained, folder)
    _demand([*generation, training_need(experiment, training.total), *disk], console)


def check_gpu(experiment: Experiment) -> None:
    """Raises UserError for a large model that would run on a CPU because there is no GPU. The student is trained here;
    the teacher may run on GPUs of Ray workers.
    """
    if best_device() != "cpu" or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):  # hidden on purpose
        return
    elsewhere = {experiment.model} if getattr(experiment.runtime, "gpus_per_worker", 0) else set()
    for weights in sorted(
        {*experiment.models_here} - elsewhere | {experiment.distill.student}, key=lambda one: one.name
    ):
        size = number_count(local_folder(weights))
        if size >= NEEDS_GPU:
            raise UserError(
                f"{weights.name} has {size / 1e9:.1f} billion parameters, and torch finds no GPU here: a run would "
                "take weeks. Run it where there is one (on Slurm hydra.launcher.gpus_per_node=1), choose a smaller "
                "model, or run it nevertheless with check=false"
            )


def _tokenizer_of(weights: Weights, experiment: Experiment) -> "PreTrainedTokenizerBase":
    """Loads a tokenizer. Raises ValueError if that fails; if only the scoring of a served teacher needs it, the message
    suggests not to score the teacher.
    """
    try:
        return load_tokenizer(weights)
    except ValueError as error:
        if experiment.engine.loads_weights or weights == experiment.distill.student:
            raise
        raise UserError(f"{error} Or leave the teacher out of the scores: eval.models=[base,student].") from None


def _compare_ends(weights: Weights, tokenizer: "PreTrainedTokenizerBase", console: Console) -> None:
    """Reports a chat template that ends turns with a token at which the model's own configuration would not stop."""
    end, listed = end_of_turn(tokenizer), listed_ends(local_folder(weights))
    if end is not None and end not in listed:
        names = [str(tokenizer.convert_ids_to_tokens(token)) for token in (end, *listed)]
        console.say(
            f"{weights.name}: its chat template ends a turn with {names[0]}, its generation config lists "
            f"{', '.join(names[1:]) or 'no end'}: answers end at either token here, and the student's generation "
            "config will list both"
        )


def _demand(needs: Sequence[Need], console: Console) -> None:
    for need in needs:
        console.say(f"{need.what}: {gigabytes(need.bytes)} needed, {gigabytes(need.free)} free")
    short = [need for need in needs if need.bytes > need.free]
    if short:
        raise UserError("\n".join(need.message() for need in short))


def training_estimate(experiment: Experiment) -> "Estimate":
    """Memory to train on one sequence of `train.max_length` at a time: the minimum, whatever the micro-batch."""
    from transformers import AutoConfig

    from crescent.training.estimate import Corpus, estimate
    from crescent.training.fitting import training_device

    student, settings = experiment.distill.student, experiment.training
    longest = settings.sequences * settings.max_length
    least = replace(settings, micro_batch_tokens=longest)
    corpus = Corpus(experiment.num_questions, longest / 2, longest)
    config = AutoConfig.from_pretrained(local_folder(student))
    return estimate(config, least, corpus, training_device(), student.dtype)


def training_need(experiment: Experiment, taken: int) -> Need:
    """The memory requirement if each device needs `taken` bytes; processes without GPUs share the machine's memory."""
    import torch

    from crescent.training.fitting import training_device

    student, settings, device = experiment.distill.student, experiment.train, training_device()
    needed = taken * settings.devices if device == "cpu" else taken
    return Need(
        f"memory to train {student.name} (train={settings.name}) on {device}", needed, free_bytes(torch.device(device)),
        "Use train=qlora, train.gradient_checkpointing=true, a smaller train.max_length, or a smaller student.",
    )  # fmt: skip


def disk_needs(experiment: Experiment, trained: int, folder: Path) -> Iterator[Need]:
    """Disk for the store (rows, vectors, and what training of `trained` parameters writes) and for the tracked run in
    the run's folder. Two checkpoints exist while a new one is being written.
    """
    rows = expected_tokens(experiment) * BYTES_PER_TOKEN
    vectors = experiment.iterations * experiment.num_questions * VECTOR_BYTES
    training = 2 * CHECKPOINT_BYTES * trained + experiment.iterations * experiment.train.method.saved_bytes(
        trained, experiment.distill.student
    )
    yield _room("disk for the store", rows + vectors + training, Path(experiment.store).absolute(), "store=DIR")
    yield _room("disk for the run's folder", rows // 4 + (64 << 20), folder, "hydra.run.dir=DIR")


def _room(what: str, needed: int, folder: Path, key: str) -> Need:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return Need(f"{what} ({folder})", needed, shutil.disk_usage(there).free, f"Make room there, or choose {key}.")
