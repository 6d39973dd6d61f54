"""The choice of a token: its distribution, and that rounding noise changes no choice that is not marked as close."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from crescent.engines import Sampling
from crescent.engines.transformers.rows import Row, torch_seed
from crescent.engines.transformers.sampling import choose, penalised, random_key

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
    tokens, _ = choose(logits.expand(count, -1), waits(count, 30), Sampling(temperature, top_p))
    likely = torch.softmax(logits[0].double() / temperature, dim=-1)
    ordered = likely.sort(descending=True)
    inside = ordered.indices[ordered.values.cumsum(0) - ordered.values < top_p]
    expected = torch.zeros_like(likely)
    expected[inside] = likely[inside] / likely[inside].sum()
    seen = torch.bincount(tokens, minlength=30) / count
    error = (expected * (1 - expected) / count).sqrt()
    assert bool(((seen - expected).abs() <= 4.5 * error).all())


FILTERS = [
    {},
    {"top_p": 0.9},
    {"top_p": 0.3},
    {"top_k": 20},
    {"top_k": 1},
    {"min_p": 0.1},
    {"min_p": 1.0},
    {"top_k": 40, "top_p": 0.8},
    {"top_k": 20, "top_p": 0.95, "min_p": 0.05},
    {"top_k": 500, "repetition_penalty": 1.3},
]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("make", [peaked, flat])
def test_noise_changes_no_choice_that_is_not_close(
    make: Callable[[int, int], torch.Tensor], temperature: float, filters: dict[str, float]
) -> None:
    logits, noise = make(2000, 500), torch.Generator().manual_seed(2)
    sampling, numbers = Sampling(temperature, **filters), waits(2000, 500)  # type: ignore[arg-type]
    seen = torch.rand(logits.shape, generator=noise) < 0.2

    def drawn(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return choose(penalised(logits, seen, sampling.repetition_penalty), numbers, sampling)

    tokens, close = drawn(logits)
    for _ in range(3):
        moved = logits + NOISE * (2 * torch.rand(logits.shape, generator=noise) - 1)
        assert torch.equal(drawn(moved)[0][~close], tokens[~close])
    assert close.float().mean() < 0.1


def processed(logits: torch.Tensor, ids: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """What transformers' `generate` draws from, by its own processors in its order."""
    chain: list[LogitsProcessor] = [RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)]
    chain.append(TemperatureLogitsWarper(sampling.temperature))
    chain += [TopKLogitsWarper(sampling.top_k)] if sampling.top_k else []
    chain += [TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
    chain += [MinPLogitsWarper(sampling.min_p)] if sampling.min_p else []
    return LogitsProcessorList(chain)(ids, logits.clone())  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_tokens_are_drawn_from_the_distribution_of_transformers_own_processors(
    temperature: float, filters: dict[str, float]
) -> None:
    sampling, logits = Sampling(temperature, **filters), peaked(6, 200)  # type: ignore[arg-type]
    ids = torch.randint(200, (6, 30), generator=torch.Generator().manual_seed(3))
    scores = processed(logits, ids, sampling)
    seen = torch.zeros_like(logits, dtype=torch.bool).scatter(1, ids, True)
    ours = penalised(logits, seen, sampling.repetition_penalty)
    for row in range(6):
        first = torch.full((200, 200), 1.0, dtype=torch.float64).fill_diagonal_(
            1e-200
        )  # token i of row i wins, if it may
        tokens, _ = choose(ours[row].expand(200, -1), first, sampling)
        allowed = tokens == torch.arange(200)
        assert torch.equal(allowed, scores[row].isfinite())
        assert torch.equal((ours[row] / temperature)[allowed], scores[row][allowed])  # the race is among exactly these


def test_few_choices_are_close_however_many_tokens_are_alike() -> None:
    _, close = choose(flat(3000, 16_384), waits(3000, 16_384), Sampling())
    assert close.float().mean() < 0.002


def test_a_token_at_the_edge_of_the_nucleus_is_a_close_call_when_it_wins() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25 - 1e-6]]).log()
    second_wins, first_wins = torch.tensor([[9.0, 0.1, 9.0]]), torch.tensor([[0.1, 9.0, 9.0]])
    assert [int(value) for value in choose(logits, second_wins, Sampling(top_p=0.6))] == [1, 1]
    assert [int(value) for value in choose(logits, first_wins, Sampling(top_p=0.6))] == [0, 0]
    assert [int(value) for value in choose(logits, second_wins, Sampling(top_p=0.8))] == [1, 0]  # all three are inside


@pytest.mark.parametrize(("filters", "winner", "is_close"), [
    ({"top_k": 1}, 1, True), ({"top_k": 2}, 1, False), ({"top_k": 3}, 3, True), ({"min_p": 0.5}, 3, True),
    ({"min_p": 0.4}, 3, False), ({"min_p": 1.0}, 0, True),
])  # fmt: skip
def test_a_token_at_the_edge_of_what_is_kept_is_a_close_call_when_it_wins(
    filters: dict[str, float], winner: int, is_close: bool
) -> None:
    logits = torch.tensor([[0.4, 0.4 - 1e-6, 0.2, 0.2 - 1e-6]]).log()
    numbers = torch.full((1, 4), 9.0).index_fill(1, torch.tensor([winner]), 0.01)
    _, close = choose(logits, numbers, Sampling(**filters))  # type: ignore[arg-type]
    assert bool(close) is is_close


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
