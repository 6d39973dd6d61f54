"""Estimates the cost of a training: bytes per device, optimiser steps, FLOPs. Loads and computes nothing large.

In: a model's config, the settings, and the lengths of the sequences. Out: an `Estimate`. The model's own code is run
once with tensors that have shapes but no data (PyTorch's fake tensors), and everything autograd would save is added up;
so the estimate follows any architecture, adapter and dtype. With P parameters, A of them trained, T tokens in memory at
once, S bytes per number in the model's dtype:

    weights       P S   (train=full: 4 P; train=qlora: 0.5 per weight of a linear layer, its scales, and S for the rest)
    adapter       4 A
    gradients     4 A
    optimizer     8 A   (two moments in float32)
    activations   what the layers save for the backward pass: sum over saved tensors; with checkpointing only the
                  layers' inputs, T x hidden x S each, and what one layer saves beyond the head
    head          logits, their logarithms and gradients: what is saved at the loss, and as much again in the backward
                  pass; for many positions, those of one chunk (`head.py`)

With strategy=fsdp the first four are divided by the devices, and two layers are whole. Not included: fragmentation of
the allocator and the libraries' own memory (about 0.5 GB on CUDA).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from crescent.core.errors import UserError
from crescent.engines.attention import needed_attention
from crescent.engines.weights import Weights
from crescent.training.batching import Packed
from crescent.training.head import CHUNK_BYTES, is_large, nats, values_in_chunks, vocabulary
from crescent.training.methods import Full, QLora, autocast_adapters
from crescent.training.settings import TrainSettings
from crescent.training.step_loss import nats_and_divergence
from crescent.training.wrapped import base_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SCALE_BYTES = {False: 4 / 64, True: 1 / 64 + 4 / 64 / 256}
"""Bytes per 4-bit weight with double quantisation (True): an 8-bit scale per 64 weights, which has a scale of its own
per 256."""
SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sequences to train on: number, mean length and maximum length in tokens. Two sequences that an objective
    contrasts count as one of their joint length."""

    sequences: int
    mean_tokens: float
    longest: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "Corpus":
        """Corpus of sequences with these lengths. Raises UserError if there are none."""
        if not lengths:
            raise UserError("there are no sequences to estimate a training for")
        return cls(len(lengths), sum(lengths) / len(lengths), max(lengths))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes per device, and counts for the whole run. `trained` counts parameters over all devices. `flops` counts 4
    per frozen parameter and token, 6 per trained one, without embeddings and attention."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    head: int
    micro_batch_tokens: int
    steps: int
    tokens: int
    flops: float
    trained: int

    @property
    def total(self) -> int:
        """Peak bytes per device."""
        return self.weights + self.adapter + self.gradients + self.optimizer + self.activations + self.head


def estimate(
    config: "PretrainedConfig",
    settings: TrainSettings,
    corpus: Corpus,
    device: Literal["cpu", "cuda"],
    dtype: str = "float32",
) -> Estimate:
    """Estimates a training. `dtype` is the format the weights are loaded in (`model.dtype`)."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    precision = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if device == "cuda" else "32-true"
    tokens = _tokens_at_once(settings, corpus)
    model = _model(config, settings, dtype)
    counts = _count(model)
    with FakeTensorMode():
        _make_fake(model)
        kept = _kept(model, settings, tokens, corpus.mean_tokens, precision)
    full, quantised = isinstance(settings.method, Full), isinstance(settings.method, QLora)
    size = 4 if full else SIZES[dtype]
    weights = size * counts.frozen if not full else 4 * counts.trained
    if quantised:
        assert isinstance(settings.method, QLora)
        weights += round(counts.linear * (0.5 + SCALE_BYTES[settings.method.double_quantization] - size))
    parts = settings.devices if settings.strategy == "fsdp" else 1
    layers = config.get_text_config().num_hidden_layers
    whole = 2 * weights // layers if parts > 1 else 0
    trained = counts.trained
    steps = settings.epochs * math.ceil(corpus.sequences / settings.batch_size)
    seen = round(settings.epochs * corpus.sequences * corpus.mean_tokens)
    flops = seen * (6.0 * counts.matrices_trained + 4.0 * counts.matrices_frozen)
    if settings.needs_reference:
        flops += seen * 2.0 * counts.matrices_frozen
    return Estimate(
        weights // parts + whole, 0 if full else 4 * trained // parts, 4 * trained // parts, 8 * trained // parts,
        kept.layers, kept.rest, tokens, steps, seen, flops, trained,
    )  # fmt: skip


def _tokens_at_once(settings: TrainSettings, corpus: Corpus) -> int:
    share = min(math.ceil(settings.batch_size / settings.devices), corpus.sequences)
    longest = min(corpus.longest, settings.max_length * settings.sequences)
    step = share * (corpus.mean_tokens if isinstance(settings.batching, Packed) else longest)
    return max(longest, min(settings.micro_batch_tokens, math.ceil(step)))


@dataclass(slots=True)
class _Counts:
    """Parameter counts: trained and frozen; in linear layers that are quantised; in matrices that multiply tokens."""

    trained: int = 0
    frozen: int = 0
    linear: int = 0
    matrices_trained: int = 0
    matrices_frozen: int = 0


@dataclass(slots=True)
class _Kept:
    """Peak bytes, inside and outside decoder layers."""

    layers: int = 0
    rest: int = 0


def _model(config: Any, settings: TrainSettings, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, dtype), attn_implementation=needed_attention(config)
        ).train()
        method = settings.method
        if isinstance(method, Full):
            return model.float()
        return (method.lora if isinstance(method, QLora) else method).adapt(model, Weights("estimated", "."))


def _make_fake(model: Any) -> None:
    """Replaces tensors by ones without data, but with a device: mixed precision (autocast) depends on the device type
    and does not work on `meta`."""
    import torch

    made: dict[int, Any] = {}  # keeps tied weights tied
    for part in model.modules():
        for name, value in part._parameters.items():
            if value is not None:
                empty = torch.empty(value.shape, dtype=value.dtype)
                part._parameters[name] = made.setdefault(
                    id(value), torch.nn.Parameter(empty, requires_grad=value.requires_grad)
                )
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = torch.empty(value.shape, dtype=value.dtype)


def _count(model: Any) -> _Counts:
    import torch

    counts = _Counts()
    for value in model.parameters():
        if value.requires_grad:
            counts.trained += value.numel()
        else:
            counts.frozen += value.numel()
    base = base_of(model)
    head = base.get_output_embeddings()
    for part in model.modules():
        if isinstance(part, torch.nn.Linear):
            if part.weight.requires_grad:
                counts.matrices_trained += part.weight.numel()
            else:
                counts.matrices_frozen += part.weight.numel()
            if part is not head and not part.weight.requires_grad:
                counts.linear += part.weight.numel()
    return counts


def _kept(model: Any, settings: TrainSettings, tokens: int, mean: float, precision: str) -> _Kept:
    """Bytes that one micro-batch saves, at its peak."""
    import torch

    base = base_of(model)
    units = set(base._no_split_modules or ())
    layers = [part for part in base.modules() if type(part).__name__ in units]
    rows = max(1, round(tokens / max(1.0, mean)))
    length = math.ceil(tokens / rows)
    inputs = {"input_ids": torch.zeros(rows, length, dtype=torch.long), "use_cache": False}
    targets = torch.zeros(rows * length, dtype=torch.long)
    half = precision == "bf16-mixed"
    size = 2 if half else base.dtype.itemsize  # bytes of a logit as the model makes it
    numbers = rows * length * vocabulary(model)
    half_precision = torch.autocast("cpu", torch.bfloat16, enabled=half)
    with _tally(model, layers) as kept, half_precision, autocast_adapters(model, precision):
        if settings.retain.weight > 0:
            beside = torch.zeros(rows * length, base.config.get_text_config().hidden_size, dtype=base.dtype)
            values_in_chunks(model, inputs, lambda hidden: hidden.flatten(0, 1), targets, nats_and_divergence, beside)
            numbers = min(numbers, CHUNK_BYTES // 4)
            # as below, and of the reference: logits twice, their logarithms, probabilities, differences
            flowing = numbers * (8 + size) + numbers * (16 + size) + beside.nbytes
        elif is_large(model, rows * length):
            values_in_chunks(model, inputs, lambda hidden: hidden.flatten(0, 1), targets, nats)
            numbers = CHUNK_BYTES // 4
            flowing = numbers * (8 + size)  # of a chunk that is computed again: logits, their logarithms as well
        else:
            logits = model(**inputs).logits
            torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets, reduction="sum")
            flowing = 0
    hidden = rows * length * base.config.get_text_config().hidden_size * size
    flowing += numbers * (4 + size)  # gradients of the logits, in float32 and then as they are
    if settings.gradient_checkpointing:
        # one layer is recomputed after the head's tensors are freed, so only the larger of the two counts
        one, head = kept.layers // max(1, len(layers)), kept.rest + flowing
        kept.layers = len(layers) * hidden + max(0, one - head)
    kept.rest += flowing
    return kept


@contextmanager
def _tally(model: Any, layers: Sequence[Any]) -> Iterator[_Kept]:
    """Counts each storage saved by autograd once, without parameters."""
    import torch

    kept, depth = _Kept(), [0]
    seen = {value.untyped_storage()._cdata for value in (*model.parameters(), *model.buffers())}
    alive = []  # a freed storage could pass its address on to another

    def save(value: Any) -> Any:
        storage = value.untyped_storage()
        if storage._cdata not in seen:
            seen.add(storage._cdata)
            alive.append(value)
            if depth[0]:
                kept.layers += storage.nbytes()
            else:
                kept.rest += storage.nbytes()
        return value

    def enter(*_: Any) -> None:
        depth[0] += 1

    def leave(*_: Any) -> None:
        depth[0] -= 1

    hooks = [hook for layer in layers for hook in (
        layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)
    )]  # fmt: skip
    try:
        with torch.autograd.graph.saved_tensors_hooks(save, lambda value: value):
            yield kept
    finally:
        for hook in hooks:
            hook.remove()
