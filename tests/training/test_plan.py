"""The order of training, and the learning rate over it."""

from crescent.training.batch_schedule import plan_steps
from crescent.training.schedule import rate_factor

LENGTHS = [10 + (37 * row) % 50 for row in range(100)]


def test_every_example_is_seen_once_an_epoch() -> None:
    steps = plan_steps(LENGTHS, batch_size=8, epochs=2, seed=0)
    for epoch in (1, 2):
        rows = [row for step in steps if step.epoch == epoch for row in step.rows]
        assert sorted(rows) == list(range(100))
    assert [step.number for step in steps] == list(range(1, 27))


def test_the_plan_depends_on_the_seed_and_on_nothing_else() -> None:
    assert plan_steps(LENGTHS, 8, 2, seed=1) == plan_steps(LENGTHS, 8, 2, seed=1)
    assert plan_steps(LENGTHS, 8, 2, seed=1) != plan_steps(LENGTHS, 8, 2, seed=2)
    assert plan_steps(LENGTHS, 8, 1, seed=1) == plan_steps(LENGTHS, 8, 2, seed=1)[:13]


def test_batches_hold_similar_lengths() -> None:
    steps = plan_steps(LENGTHS, batch_size=8, epochs=1, seed=0)
    padded = sum(max(LENGTHS[row] for row in step.rows) * len(step.rows) for step in steps)
    assert padded < 1.1 * sum(LENGTHS)


def test_the_rate_warms_up_then_falls_to_nearly_nothing() -> None:
    factors = [rate_factor(step, 100, 0.1, "cosine") for step in range(100)]
    assert factors[:10] == [(step + 1) / 10 for step in range(10)] and factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True) and 0 < factors[-1] < 0.01


def test_schedules_have_their_shape() -> None:
    assert [rate_factor(step, 4, 0.0, "linear") for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert [rate_factor(step, 4, 0.0, "constant") for step in range(4)] == [1.0] * 4
