"""Chooses the next token: a pure function of logits and random numbers that also marks close calls.

In: logits [rows, vocabulary] and random numbers of the same shape. Out: tokens, and whether rounding noise could have
changed each choice. This module runs no model.

Batches of different shape give logits that differ in their last bits. That cannot change a choice that leads its
alternative by more than `TOLERANCE`; a close call is marked, and the engine decides it again on the row alone. So the
text of (seed, prompt, draw) does not depend on what else was in the batch.

A token is drawn by a race (Gumbel-max; Maddison, Tarlow and Minka, arXiv 1411.0030): each token has an exponential
waiting time, divided by the token's probability, and the shortest wins. The runner-up is within a tolerance of t nats
with probability at most t, however flat the distribution is. (Inverting the cumulative distribution with one uniform
number samples the same distribution, but with 16,000 tokens of similar probability two of three choices are close.)
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

TOLERANCE = 2e-4  # nats: float32 logits of different batch shapes differed by up to 1e-5
MASS_TOLERANCE = 2e-5  # of cumulative probability, which differed by up to 1e-6


def random_key(seed: int, prompt_ids: Sequence[int], draw: int) -> bytes:
    """16 bytes that determine all random numbers of one completion."""
    text = f"{seed}:{draw}:" + ",".join(map(str, prompt_ids))
    return hashlib.sha256(text.encode()).digest()[:16]


def generator(key: bytes) -> np.random.Generator:
    """Random numbers from a key, by a counter-based generator (Philox)."""
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype=np.uint64)))


def choose(
    logits: torch.Tensor, waits: torch.Tensor | None, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the next token of each row and whether the choice was close.

    logits: float [rows, vocabulary]; waits: exponential numbers with mean 1 [rows, vocabulary], not used (may be None)
    at temperature 0, which is greedy. Returns int64 [rows] and bool [rows]. `top_p` < 1 keeps the smallest set of
    tokens with that mass (Holtzman et al., arXiv 1904.09751).
    """
    if temperature == 0 or waits is None:
        return _first(logits, TOLERANCE)
    scaled, tolerance = logits.float() / temperature, TOLERANCE / min(1.0, temperature)
    raced = scaled - waits.to(scaled.dtype).log()
    if top_p >= 1:
        return _first(raced, tolerance)
    kept, doubtful = _nucleus(scaled, top_p, tolerance)
    never = torch.full_like(raced, -torch.inf)
    tokens, _ = _first(raced.where(kept, never), tolerance)
    winner, close = _first(raced.where(kept | doubtful, never), tolerance)
    return tokens, close | doubtful.gather(1, winner.unsqueeze(1)).squeeze(1)


def _first(values: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The argmax of each row [rows], and whether the second largest value is within the tolerance [rows]."""
    best = values.topk(2, dim=-1)
    return best.indices[:, 0], best.values[:, 0] - best.values[:, 1] < tolerance


def _nucleus(scaled: torch.Tensor, top_p: float, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are in the nucleus, and which could be on its other side by rounding; [rows, vocabulary] each."""
    ordered, order = torch.softmax(scaled, dim=-1).sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    inside = before < top_p
    edge = (before - top_p).abs() < MASS_TOLERANCE
    last = inside.sum(dim=-1, keepdim=True) - 1
    beside = torch.cat([last, (last + 1).clamp(max=ordered.shape[-1] - 1)], dim=-1)
    around = ordered.gather(1, beside)
    alike = (around[:, 1:] >= around[:, :1] * (1 - tolerance)) & (beside[:, 1:] > last)
    edge |= torch.zeros_like(edge).scatter(1, beside, alike.expand_as(beside))
    most = ordered.where(edge, torch.zeros_like(ordered)).amax(dim=-1, keepdim=True)
    least = ordered.where(edge, torch.ones_like(ordered)).amin(dim=-1, keepdim=True)
    doubtful = (ordered <= most * (1 + tolerance)) & (ordered >= least * (1 - tolerance))
    blank = torch.zeros_like(inside)
    return blank.scatter(1, order, inside), blank.scatter(1, order, doubtful)
