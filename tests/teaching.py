"""Tiny models that learn a few texts by heart, so that what they say is known."""

from typing import Any

import torch


def fit(model: Any, ids: torch.Tensor, labels: torch.Tensor, steps: int, rate: float = 0.01) -> None:
    """Full-batch steps on token ids [batch, tokens] and their labels, until the model says them."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()


def with_random_adapter(model: Any) -> Any:
    """The model with its adapter drawn at random, always the same, so that it says something else than its base."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.normal_(0, 0.2)
    return model
