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
import math
from collections.abc import Sequence

import numpy as np
import torch

from crescent.engines import Sampling

TOLERANCE = 2e-4  # nats: float32 logits of different batch shapes differed by up to 1e-5
MASS_TOLERANCE = 2e-5  # of cumulative probability, which differed by up to 1e-6


def random_key(seed: int, prompt_ids: Sequence[int], draw: int) -> bytes:
    """16 bytes that determine all random numbers of one completion."""
    text = f"{seed}:{draw}:" + ",".join(map(str, prompt_ids))
    return hashlib.sha256(text.encode()).digest()[:16]


def generator(key: bytes) -> np.random.Generator:
    """Random numbers from a key, by a counter-based generator (Philox)."""
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype=np.uint64)))


def choose(logits: torch.Tensor, waits: torch.Tensor | None, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the next token of each row and whether the choice was close.

    logits: float [rows, vocabulary], already penalised; waits: exponential numbers with mean 1 [rows, vocabulary], not
    used (may be None) at temperature 0, which is greedy. Returns int64 [rows] and bool [rows].
    """
    penalty = sampling.repetition_penalty
    tolerance = TOLERANCE * max(penalty, 1 / penalty)
    if sampling.temperature == 0 or waits is None:
        return _first(logits, tolerance)
    scaled, tolerance = logits.float() / sampling.temperature, tolerance / min(1.0, sampling.temperature)
    raced = scaled - waits.to(scaled.dtype).log()
    if sampling.top_p >= 1 and not sampling.top_k and not sampling.min_p:
        return _first(raced, tolerance)
    kept, doubtful = _candidates(scaled, sampling, tolerance)
    never = torch.full_like(raced, -torch.inf)
    tokens, _ = _first(raced.where(kept, never), tolerance)
    winner, close = _first(raced.where(kept | doubtful, never), tolerance)
    return tokens, close | doubtful.gather(1, winner.unsqueeze(1)).squeeze(1)


def penalised(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits [rows, vocabulary] with those of the tokens that a row has `seen` (bool, of the same shape) made less
    likely."""
    return logits.where(~seen, torch.where(logits > 0, logits / penalty, logits * penalty))


def _candidates(scaled: torch.Tensor, sampling: Sampling, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens may be chosen, and which could be on the other side by rounding [rows, vocabulary] each: `top_k`,
    then the nucleus of what that keeps, and `min_p`."""
    kept, doubtful = torch.ones_like(scaled, dtype=torch.bool), torch.zeros_like(scaled, dtype=torch.bool)
    best = scaled.amax(dim=-1, keepdim=True)
    if 0 < sampling.top_k < scaled.shape[-1]:
        ordered, order = scaled.topk(sampling.top_k + 1, dim=-1)
        edge, beyond = ordered[:, -2:].split(1, dim=-1)
        kept = torch.zeros_like(kept).scatter(1, order[:, :-1], True)  # of equals as many as fit: the mass is the same
        doubtful = (edge - beyond < tolerance) & ((scaled - edge).abs() < tolerance)
        scaled = scaled.where(kept, torch.full_like(scaled, -torch.inf))
    if sampling.top_p < 1:
        of_exchange = tolerance / sampling.top_k if sampling.top_k else 0.0  # equals at the edge of the first k
        inside, beside = _nucleus(scaled, sampling.top_p, tolerance, MASS_TOLERANCE + of_exchange)
        kept, doubtful = kept & inside, doubtful | (beside & kept)
    if sampling.min_p:
        above = scaled - (best + math.log(sampling.min_p))
        beside = above.abs() < 2 * tolerance
        beside &= (scaled < best) | (beside.sum(dim=-1, keepdim=True) > 1)  # alone the best one is in no doubt
        kept, doubtful = kept & (above >= 0), doubtful | (kept & beside)
    return kept, doubtful


def _first(values: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The argmax of each row [rows], and whether the second largest value is within the tolerance [rows]."""
    best = values.topk(2, dim=-1)
    return best.indices[:, 0], best.values[:, 0] - best.values[:, 1] < tolerance


def _nucleus(
    scaled: torch.Tensor, top_p: float, tolerance: float, mass_tolerance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are in the nucleus (Holtzman et al., arXiv 1904.09751), and which could be on its other side by
    rounding; [rows, vocabulary] each."""
    ordered, order = torch.softmax(scaled, dim=-1).sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    inside = before < top_p
    edge = (before - top_p).abs() < mass_tolerance
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
