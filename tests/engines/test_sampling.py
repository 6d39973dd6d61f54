"""The choice of a token: its distribution, and that rounding noise changes no choice that is not marked as close."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from crescent.engines.transformers.rows import Row, torch_seed
from crescent.engines.transformers.sampling import choose, random_key

NOISE = 1e-5  # nats, as seen between batches of different shape


def waits(rows: int, vocabulary: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_exponential((rows, vocabulary)))


def peaked(rows: int, vocabulary: int) -> torch.Tensor:
    return 4 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(1))


def flat(rows: int, vocabulary: int) -> torch.Tensor:
    return peaked(rows, vocabulary) / 40


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.7), (1.5, 0.9)])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float, top_p: float) -> None:
    logits, count = peaked(1, 30), 200_000
    tokens, _ = choose(logits.expand(count, -1), waits(count, 30), temperature, top_p)
    likely = torch.softmax(logits[0].double() / temperature, dim=-1)
    ordered = likely.sort(descending=True)
    inside = ordered.indices[ordered.values.cumsum(0) - ordered.values < top_p]
    expected = torch.zeros_like(likely)
    expected[inside] = likely[inside] / likely[inside].sum()
    seen = torch.bincount(tokens, minlength=30) / count
    error = (expected * (1 - expected) / count).sqrt()
    assert bool(((seen - expected).abs() <= 4.5 * error).all())


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3])
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("make", [peaked, flat])
def test_noise_changes_no_choice_that_is_not_close(
    make: Callable[[int, int], torch.Tensor], temperature: float, top_p: float
) -> None:
    logits, noise = make(4000, 500), torch.Generator().manual_seed(2)
    numbers = waits(4000, 500)
    tokens, close = choose(logits, numbers, temperature, top_p)
    for _ in range(5):
        moved = logits + NOISE * (2 * torch.rand(logits.shape, generator=noise) - 1)
        assert torch.equal(choose(moved, numbers, temperature, top_p)[0][~close], tokens[~close])
    assert close.float().mean() < 0.03


def test_few_choices_are_close_however_many_tokens_are_alike() -> None:
    _, close = choose(flat(3000, 16_384), waits(3000, 16_384), 1.0, 1.0)
    assert close.float().mean() < 0.002


def test_a_token_at_the_edge_of_the_nucleus_is_a_close_call_when_it_wins() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25 - 1e-6]]).log()
    second_wins, first_wins = torch.tensor([[9.0, 0.1, 9.0]]), torch.tensor([[0.1, 9.0, 9.0]])
    assert [int(value) for value in choose(logits, second_wins, 1.0, 0.6)] == [1, 1]
    assert [int(value) for value in choose(logits, first_wins, 1.0, 0.6)] == [0, 0]
    assert [int(value) for value in choose(logits, second_wins, 1.0, 0.8)] == [1, 0]  # all three are inside


def test_random_numbers_belong_to_seed_prompt_draw_and_step() -> None:
    def numbers(row: Row, steps: int) -> list[list[float]]:
        out = np.empty((steps, 4))
        for step in out:
            row.wait(step)
        return out.tolist()

    def row(seed: int, prompt: tuple[int, ...], draw: int) -> Row:
        return Row(0, prompt, 9, random_key(seed, prompt, draw))

    first = row(0, (5, 6), 0)
    drawn = numbers(first, 3)
    others = [numbers(row(*key), 3) for key in ((1, (5, 6), 0), (0, (56,), 0), (0, (5, 6), 1))]
    assert len({value for each in (drawn, *others) for step in each for value in step}) == 4 * 3 * 4
    first.begin_again()
    assert numbers(first, 3) == drawn == numbers(row(0, (5, 6), 0), 3)
    assert torch_seed([first]) != torch_seed([row(0, (5, 6), 1)])
