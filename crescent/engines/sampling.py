"""Which token comes next: a pure function of logits and one random number, with a mark on close calls.

In: logits [rows, vocabulary] and, for each row, one uniform number that is a function of (seed, prompt, draw, step).
Out: tokens and whether rounding noise could have changed each choice. It runs no model.

Batches of different shape give logits that differ in their last bits. A choice further than `TOLERANCE` from its
alternative cannot be changed by that; a close one is marked, and the engine decides it again on the row alone. So the
text of (seed, prompt, draw) does not depend on what else was in the batch.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

TOLERANCE = 2e-5  # float32 logits of different batch shapes were seen to move probabilities by up to 2e-6


def uniforms(seed: int, prompt_ids: Sequence[int], draw: int, count: int) -> np.ndarray:
    """`count` uniform numbers in [0, 1) for one completion, from a counter-based generator (Philox)."""
    text = f"{seed}:{draw}:" + ",".join(map(str, prompt_ids))
    key = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def choose(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row and whether the choice was close.

    logits: float [rows, vocabulary]; uniform: float64 [rows]. Returns int64 [rows] and bool [rows]. Temperature 0 is
    greedy. Otherwise the token is the one whose interval of the cumulative distribution holds the uniform number;
    `top_p` < 1 keeps the smallest set of tokens with that mass (Holtzman et al., arXiv 1904.09751).
    """
    if temperature == 0:
        best = logits.topk(2, dim=-1)
        return best.indices[:, 0], best.values[:, 0] - best.values[:, 1] < 100 * TOLERANCE
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    close = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    if top_p < 1:
        probabilities, close = _nucleus(probabilities, top_p)
    cumulative = probabilities.double().cumsum(dim=-1)
    target = (uniform.to(cumulative.device) * cumulative[:, -1]).unsqueeze(1)
    tokens = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    above = cumulative.gather(1, tokens) - target
    below = target - cumulative.gather(1, (tokens - 1).clamp(min=0)).where(tokens > 0, torch.full_like(target, -1.0))
    return tokens.squeeze(1), close | (torch.minimum(above, below).squeeze(1) < TOLERANCE)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    kept = torch.zeros_like(probabilities).scatter(1, order, ordered.where(before < top_p, torch.zeros_like(ordered)))
    return kept, (before - top_p).abs().amin(dim=-1) < TOLERANCE
