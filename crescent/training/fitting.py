"""Chooses micro-batches that fit in memory before training starts, instead of finding out by running out of it.

In: settings, weights, the examples. Out: settings whose micro-batches are estimated to fit in the memory that is free
now. Only memory and speed depend on them, no result. On a CPU, running out of memory cannot be caught: the system kills
the process.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from crescent.core.console import Console
from crescent.engines.memory import free_bytes, gigabytes
from crescent.engines.model_files import local_folder, number_count
from crescent.engines.weights import Weights
from crescent.training.estimate import Corpus, Estimate, estimate
from crescent.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from crescent.training.data import Example

Device = Literal["cpu", "cuda"]

SHARE = 0.9  # of the free memory; the rest is for fragments and libraries
ATTEMPTS = 5  # estimates, which take seconds each for a large model
MARGIN = 1.1  # sizes closer than this are not worth another estimate
_BYTES_A_NUMBER = 200  # of a token's hidden state, generously, in all that a layer saves for the backward pass
_BYTES_A_LOGIT = 16
_BYTES_A_PARAMETER = 20  # at most: weights, gradients and optimiser in float32


def training_device() -> Device:
    """Like generation, training uses the first GPU that the process sees: CUDA_VISIBLE_DEVICES selects it."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def fitted(settings: TrainSettings, weights: Weights, examples: "Sequence[Example]", console: Console) -> TrainSettings:
    """Settings whose micro-batches fit in the memory that is free now. Prints a line if they are smaller than
    requested."""
    import torch
    from transformers import AutoConfig

    device = training_device()
    free = free_bytes(torch.device(device)) // (settings.devices if device == "cpu" else 1)  # they share a machine's
    folder, lengths = local_folder(weights), [example.tokens for example in examples]
    config, parameters = AutoConfig.from_pretrained(folder), number_count(folder)
    with console.working("estimating the memory of training"):
        settings, about = fit(settings, config, parameters, lengths, device, weights.dtype, free)
    if about is not None:
        console.say(about)
    return settings


def fit(
    settings: TrainSettings, config: "PretrainedConfig", parameters: int, lengths: Sequence[int],
    device: Device, dtype: str, free: int,
) -> tuple[TrainSettings, str | None]:  # fmt: skip
    """(settings whose micro-batches fit in `free` bytes on each device, a line about them if they are smaller than
    requested, else None). `parameters` are the model's, `dtype` is the format of its weights."""
    corpus, room = Corpus.of(lengths), int(SHARE * free)
    if _is_small(settings, config, parameters, corpus, room):
        return settings, None
    asked = estimate(config, settings, corpus, device, dtype)
    if asked.total <= room:
        return settings, None

    def total(tokens: int) -> Estimate:
        return estimate(config, replace(settings, micro_batch_tokens=tokens), corpus, device, dtype)

    fits, too_large = total(1), asked  # the first has the longest sequence alone
    for attempt in range(ATTEMPTS):
        if fits.total >= room or too_large.micro_batch_tokens < MARGIN * fits.micro_batch_tokens:
            break
        share = (room - fits.total) / (too_large.total - fits.total) if attempt == 0 else 0.5  # not quite linear
        between = fits.micro_batch_tokens + int(share * (too_large.micro_batch_tokens - fits.micro_batch_tokens))
        tried = total(between)
        fits, too_large = (tried, too_large) if tried.total <= room else (fits, tried)
    tokens = fits.micro_batch_tokens
    about = (
        f"micro-batches of {tokens:,} tokens: {asked.micro_batch_tokens:,} are estimated to need "
        f"{gigabytes(asked.total)} on {device}, and {gigabytes(free)} are free; results stay the same"
    )
    return replace(settings, micro_batch_tokens=tokens), about


def _is_small(settings: TrainSettings, config: "PretrainedConfig", parameters: int, corpus: Corpus, room: int) -> bool:
    """True if even a rough upper bound fits. The estimate itself takes seconds."""
    text = config.get_text_config()
    tokens = min(settings.micro_batch_tokens, settings.batch_size * corpus.longest)
    logits = 3 if settings.retain.weight > 0 else 1  # those of the reference as well, and the divergence
    per_token = text.num_hidden_layers * text.hidden_size * _BYTES_A_NUMBER + text.vocab_size * _BYTES_A_LOGIT * logits
    return max(tokens, corpus.longest) * per_token + parameters * _BYTES_A_PARAMETER <= room
