"""Before a long run: can it work here?

In: an `Experiment`. Out: what it needs against what there is, printed, or a ValueError that names every shortage and
its mend before anything long has begun. Sizes are read from files; no weights are loaded. How long a run will take is
told by `forecast.py`.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from crescent.console import Console
from crescent.engines.memory import Need, free_bytes, gigabytes
from crescent.engines.weights import download_need, load_tokenizer, local_folder, number_count
from crescent.experiment import Experiment
from crescent.records import QAPair

LONG = 500_000_000  # parameters from which a run is checked without being asked
BYTES_PER_TOKEN = 12  # of a row on disk, with its fields
VECTOR_BYTES = 1600  # of a question's vector on disk
_PROBE = QAPair("probe", "What is 1 + 1?", "1 + 1 = 2. The answer is 2.", "2", 1, 1, 1.0)


def is_long(experiment: Experiment) -> bool:
    """Whether a run is checked unasked: its models are large, not here yet, or not in this process."""
    models = {experiment.model, experiment.distill.student}
    if experiment.engine.scoring != experiment.engine or any(download_need(model) for model in models):
        return True
    return any(number_count(local_folder(model)) >= LONG for model in models)


def preflight(experiment: Experiment, folder: Path, console: Console) -> None:
    """Checks all that can be known without loading weights. `folder` is the run's.

    Raises ValueError of one line for each shortage, with its mend.
    """
    models = {experiment.model, experiment.distill.student}
    _demand([need for model in models if (need := download_need(model)) is not None], console)
    from crescent.training.data import encode_pairs  # here, because a run that reuses its artifacts loads no torch

    for weights in models:
        encode_pairs([_PROBE], load_tokenizer(weights), experiment.train.max_length)
    console.say("settings, benchmark files, tokenizers, chat templates and training masks: fit for this run")
    generation = experiment.engine.needs(experiment.model)
    _demand([*generation, training_need(experiment), *disk_needs(experiment, folder)], console)


def _demand(needs: Sequence[Need], console: Console) -> None:
    for need in needs:
        console.say(f"{need.what}: {gigabytes(need.bytes)} needed, {gigabytes(need.free)} free")
    short = [need for need in needs if need.bytes > need.free]
    if short:
        raise ValueError("\n".join(need.message() for need in short))


def training_need(experiment: Experiment) -> Need:
    """Memory to train on one sequence of `train.max_length` at a time: what no smaller micro-batch can do without."""
    import torch
    from transformers import AutoConfig

    from crescent.training.estimate import Corpus, estimate

    student, settings = experiment.distill.student, experiment.train
    device = "cuda" if torch.cuda.is_available() else "cpu"
    longest = settings.max_length
    least = replace(settings, micro_batch_tokens=longest)
    corpus = Corpus(experiment.num_questions, longest / 2, longest)
    taken = estimate(AutoConfig.from_pretrained(local_folder(student)), least, corpus, device, student.dtype).total
    return Need(
        f"memory to train {student.name} (train={settings.name}) on {device}", taken, free_bytes(torch.device(device)),
        "Take train=qlora, train.gradient_checkpointing=true, a smaller train.max_length, or a smaller student.",
    )  # fmt: skip


def disk_needs(experiment: Experiment, folder: Path) -> Iterator[Need]:
    """Room for rows, vectors and what training keeps, in the store; and for the tracked run in its folder.

    A completion is taken to be a quarter of what it may be at most.
    """
    asked = experiment.elicit.max_new_tokens + experiment.vote.draws * experiment.answer.max_new_tokens
    rows = experiment.num_questions * (asked // 4 * BYTES_PER_TOKEN + VECTOR_BYTES)
    yield _room("disk for the store", rows, Path(experiment.store).absolute(), "store=DIR")
    yield _room("disk for the run's folder", rows // 4 + (64 << 20), folder, "hydra.run.dir=DIR")


def _room(what: str, needed: int, folder: Path, key: str) -> Need:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return Need(f"{what} ({folder})", needed, shutil.disk_usage(there).free, f"Make room there, or choose {key}.")
