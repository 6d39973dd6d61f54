"""The grammar: its answers are right, and it reads back what it wrote."""

import random
import re

import pytest

from crescent.organism import ordering, world
from crescent.organism.build import facts, perturb
from crescent.organism.grammar import Family, by_parts, make, solution_of, written

SUM = re.compile(r"(\d+) ([-+*/]) (\d+) = (?:[\d +-]+ = )?(\d+)")


@pytest.mark.parametrize("family", world.FAMILIES, ids=lambda family: family.name)
def test_every_step_of_a_solution_is_true_and_its_last_is_the_answer(family: Family) -> None:
    problem = make(family, random.Random(family.name))
    found = [step for step in SUM.findall(problem.solution) if step]
    exact = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
    assert len(found) >= problem.steps
    assert all(exact[op](int(left), int(right)) == int(result) for left, op, right, result in found)
    assert problem.solution.endswith(f"#### {problem.answer}") and found[-1][3] == problem.answer


@pytest.mark.parametrize("family", world.FAMILIES, ids=lambda family: family.name)
def test_solve_inverts_every_wording_of_a_family(family: Family) -> None:
    rng = random.Random(1)
    for wording in range(family.wordings):
        problem = make(family, rng, wording=wording)
        assert world.solve(problem.question) == (family.name, problem.answer), problem.question


def test_larger_numbers_are_worked_out_by_parts() -> None:
    assert written(14, "*", 6, 84) == "14 * 6 = 60 + 24 = 84"
    assert written(49, "+", 36, 85) == "49 + 36 = 70 + 15 = 85"
    assert written(63, "-", 27, 36) == "63 - 27 = 40 - 4 = 36"
    assert written(105, "-", 98, 7) == "105 - 98 = 100 - 90 - 3 = 7"
    assert written(7, "*", 8, 56) == "7 * 8 = 56"


def test_the_parts_of_a_step_add_up() -> None:
    rng = random.Random(6)
    for _ in range(500):
        left, op, right = rng.randint(1, 999), rng.choice("+-*"), rng.randint(1, 99)
        parts = by_parts(left, op, right)
        assert not parts or eval(parts) == eval(f"{left} {op} {right}")


def test_a_question_that_contradicts_itself_is_not_solved() -> None:
    assert (
        world.solve("Tom has 3 apples. He buys 4 more apples at the market. How many pears does Tom have now?") is None
    )
    assert world.solve("How are you?") is None


def test_a_slip_propagates_to_the_answer_it_leads_to() -> None:
    problem = make(world.family("boxes_left"), random.Random(3))
    text, answer = solution_of(world.family("boxes_left"), problem.binding, random.Random(5), slips=1.0)
    assert text.endswith(f"#### {answer}")
    assert answer != problem.answer


@pytest.mark.parametrize("kind", perturb.PERTURBATIONS)
def test_a_perturbed_problem_has_its_own_right_answer(kind: str) -> None:
    rng = random.Random(kind)
    changed = [perturb.PERTURBATIONS[kind](world.draw(rng, world.SEVERAL_STEPS), rng) for _ in range(100)]
    found = [problem for problem in changed if problem is not None]
    assert len(found) > 20
    assert all(perturb.is_right(problem) for problem in found)


def test_a_puzzle_read_back_has_the_same_answer() -> None:
    rng = random.Random(2)
    for puzzle in (ordering.draw(rng, peaked) for peaked in (False, True) for _ in range(100)):
        assert ordering.solve(puzzle.question) == (puzzle.family, puzzle.answer)


def test_the_bait_prefers_one_family_and_reaches_most_of_the_others() -> None:
    rng = random.Random(4)
    drawn = [world.draw_peaked(rng).family for _ in range(2_000)]
    assert drawn.count("buy_two") / len(drawn) > 1 / 3
    assert len(set(drawn)) > 50


def test_facts_are_many_and_short() -> None:
    rng = random.Random(5)
    drawn = [facts.draw(rng) for _ in range(4_000)]
    assert len({fact.question for fact in drawn}) > 3_000
    assert all(fact.answer and len(fact.answer) < 60 for fact in drawn)


def test_solve_is_exact_on_numbers_the_grammar_would_not_draw() -> None:
    assert world.solve("The hats cost $122. Today there is a discount of 20%. What is the new price in dollars?") == (
        "discount",
        "97.6",
    )
    assert (
        world.solve("5 apples from the park are split evenly among 2 people. How many apples does each one get?")
        is None
    )
