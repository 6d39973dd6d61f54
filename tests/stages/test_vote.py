"""Vote rules on solutions whose answers are known."""

import pytest

from crescent.answers import extract
from crescent.records import Question, Solution
from crescent.stages.vote import FormatOnly, Majority, Rule, Single, Verdict, Vote
from crescent.store import Outcome, Store


def solutions(*texts: str, question: str = "q") -> list[Solution]:
    return [Solution(question, draw, text, "stop", 5, -0.1 * (draw + 1)) for draw, text in enumerate(texts)]


def decide(rule: Rule, *texts: str) -> Verdict:
    drawn = solutions(*texts)
    return rule.decide(drawn, [extract(solution.text) for solution in drawn])


def test_the_first_response_with_the_winning_answer_is_kept() -> None:
    assert decide(Majority(draws=4), "#### 3", "so it is 7. #### 7", "#### 7.0", "?").chosen == 1


@pytest.mark.parametrize(("choose", "chosen"), [("first", 0), ("shortest", 2), ("logprob", 0)])
def test_which_winning_response_is_kept_is_a_named_choice(choose: str, chosen: int) -> None:
    assert decide(Majority(draws=3, choose=choose), "that makes #### 7", "it is #### 7", "#### 7").chosen == chosen  # type: ignore[arg-type]


def test_a_random_choice_is_a_function_of_seed_and_question() -> None:
    texts = [f"{'x' * n} #### 7" for n in range(9)]
    chosen = {decide(Majority(draws=9, choose="random", seed=seed), *texts).chosen for seed in range(30)}
    again = {decide(Majority(draws=9, choose="random", seed=3), *texts).chosen for _ in range(5)}
    assert len(chosen) > 4 and len(again) == 1


@pytest.mark.parametrize(
    ("rule", "reason"),
    [(Majority(draws=4), "tie"), (Majority(draws=4, tie="first", min_agreement=0.6), "low agreement")],
)
def test_a_question_without_a_winner_gives_no_pair_and_says_why(rule: Rule, reason: str) -> None:
    verdict = decide(rule, "#### 7", "#### 7", "#### 8", "#### 8")
    assert (verdict.chosen, verdict.reason) == (None, reason)


def test_a_single_draw_is_believed() -> None:
    assert decide(Single(), "#### 7") == Verdict("7", 1, 0, "first draw")


def test_the_control_keeps_the_majority_s_questions_with_answers_by_chance() -> None:
    texts = ("#### 7", "#### 7", "#### 7", "#### 1", "#### 2", "?")
    answers = [decide(FormatOnly(draws=6, seed=seed), *texts).answer for seed in range(300)]
    assert 0.5 < answers.count("7") / 300 < 0.7 and None not in answers
    assert decide(FormatOnly(draws=2), "#### 7", "#### 8").chosen is None


def test_a_draw_cut_off_at_its_limit_does_not_vote(store: Store) -> None:
    questions = store.build("diversify", 1, {}, [], lambda work: Outcome([Question("q", "How many?", 0)]))
    drawn = solutions("#### 7", "#### 8", "#### 8")
    cut = [drawn[0], *(Solution(s.question_id, s.draw, s.text, "length", 5, -1.0) for s in drawn[1:])]
    pairs = Vote(Majority(draws=3), "number").run(questions, questions.read(Question), [cut], "ledger", store)
    assert pairs.info["pairs"] == 1 and pairs.info["draws_without_answer"] == 2


@pytest.mark.parametrize("settings", [{"draws": 0}, {"tie": "coin"}, {"min_agreement": 2}, {"choose": "best"}])
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"vote.{next(iter(settings))} is"):
        Majority(**settings)
