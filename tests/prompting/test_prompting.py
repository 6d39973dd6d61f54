"""Prompting baselines: what they say to a model, what they make of its replies, and on the organism for real."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

import crescent.organism
from crescent.config.typed import ConfigError
from crescent.core.console import Console
from crescent.engines import Completion
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load
from crescent.evaluation import catalogue, harness
from crescent.evaluation.model import HarnessModel
from crescent.evaluation.settings import EvaluationSettings
from crescent.prompting.baselines import (
    Example,
    FewShot,
    Plain,
    Prompting,
    SelfConsistency,
    SelfRefine,
    TaskView,
    Trigger,
)
from crescent.prompting.conversations import Agree, Exemplify, PromptedModel, Reason, Refine, said

ORGANISM = Path(crescent.organism.__file__).parent
QUESTION = [said("system", "Be brief."), said("user", "How many?")]
COT = Trigger("zero_shot_cot", "Let's think step by step.")


def asked(model: Any, questions: list[str], **options: Any) -> list[Instance]:
    prompts = [model.apply_chat_template([said("user", question)]) for question in questions]
    arguments = {"do_sample": False, "max_gen_toks": 12, "until": [], **options}
    return [Instance("generate_until", {}, (prompt, arguments), index) for index, prompt in enumerate(prompts)]


@pytest.fixture
def inner(engine: TransformersEngine, console: Console) -> HarnessModel:
    return HarnessModel(engine, console, "tiny")


def test_a_trigger_stands_behind_the_question_and_nothing_else_changes() -> None:
    opened = Reason("Think.").opening(QUESTION)
    assert opened == [QUESTION[0], said("user", "How many?\nThink.")]


def test_a_prompted_model_answers_as_the_inner_one_asked_in_those_words(inner: HarnessModel) -> None:
    model = PromptedModel(inner, Reason("Think."))
    texts = model.generate_until(asked(model, ["How many?", "Tom has 7?"]))
    assert texts == inner.generate_until(asked(inner, ["How many?\nThink.", "Tom has 7?\nThink."]))
    assert model.usage == inner.usage and all(new > 0 for _, new in model.usage)


def test_an_answer_trigger_goes_on_from_the_reasoning_and_costs_both_calls(inner: HarnessModel) -> None:
    model = PromptedModel(inner, Reason("Think.", "The answer is"))
    (text,) = model.generate_until(asked(model, ["How many?"]))
    (reasoning,) = inner.generate_until(asked(inner, ["How many?\nThink."]))
    first = inner.usage[0]
    begun = f"{reasoning.rstrip()}\nThe answer is"
    prompt = inner.apply_chat_template([said("user", "How many?\nThink."), said("assistant", begun)], False)
    (end,) = inner.generate_until(
        [Instance("generate_until", {}, (prompt, {"do_sample": False, "max_gen_toks": 12, "until": []}), 0)]
    )
    assert prompt.endswith("The answer is") and text == begun + end
    assert model.usage == [(first[0] + inner.usage[0][0], first[1] + inner.usage[0][1])]


def examples(count: int) -> list[Example]:
    return [Example((said("user", f"{n}?"), said("assistant", f"{n}!")), f"seed {n // 2}") for n in range(count)]


def test_every_question_gets_the_same_examples_drawn_by_the_seed() -> None:
    first, second = (Exemplify.drawn(2, TaskView(examples=examples(12), seed=seed)) for seed in (1, 2))
    shown = [turn["content"] for turn in first.opening([said("user", "a?")])[:-1]]
    assert shown == [turn["content"] for turn in first.opening([said("user", "b?")])[:-1]]
    assert len(shown) == 4 and shown != [turn["content"] for turn in second.opening([said("user", "a?")])[:-1]]


def test_an_example_that_stems_from_the_items_seed_question_gives_way() -> None:
    clusters = {f"{n}?": f"seed {n // 2}" for n in range(6)}
    method = Exemplify.drawn(2, TaskView(examples=examples(6), clusters=clusters))
    for number in range(6):
        shown = [turn["content"] for turn in method.opening([said("user", f"{number}?")])[:-1]]
        assert len(shown) == 4
        assert not {clusters[text] for text in shown[::2]} & {f"seed {number // 2}"}


def test_examples_can_be_text_in_the_one_user_turn() -> None:
    method = Exemplify.drawn(1, TaskView(examples=examples(4)[2:3] + examples(1), multiturn=False))
    (turn,) = method.opening([said("user", "0?")])
    assert turn == said("user", "2? 2!\n\n0?")


def test_too_few_examples_are_named_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match=r"few_shot\.examples is 3, but the task has 3 worked examples"):
        Exemplify.drawn(3, TaskView(examples=examples(6)))


def replying(*rounds: list[str], finish: str = "stop") -> Any:
    """An ask whose replies are written here: of each round one for every conversation still open, or its draws."""
    left = list(rounds)

    def ask(chats: Mapping[int, Any], draws: int = 1, temperature: float = 0.0, top_p: float = 1.0) -> Any:
        texts = iter(left.pop(0))
        made = {index: [next(texts) for _ in range(draws)] for index in chats}
        assert next(texts, None) is None
        return {index: [Completion(text, finish, 1, 1, 0.0) for text in some] for index, some in made.items()}  # type: ignore[arg-type]

    return ask


def test_the_first_draw_with_the_answer_of_the_majority_speaks() -> None:
    method = Agree(3, 0.7, 1.0, "", ("number",))
    ask = replying(["so 5", "it is 7", "7!", "no idea", "none", "well"])
    assert method.answer({0: QUESTION, 1: QUESTION}, ask) == {0: "it is 7", 1: "no idea"}


def test_a_draw_that_was_cut_off_is_silent() -> None:
    method = Agree(2, 0.7, 1.0, "", ("number",))
    assert method.answer({0: QUESTION}, replying(["5 and", "7 and"], finish="length")) == {0: "5 and"}


def test_draws_are_reproduced_by_the_seed_and_differ_between_themselves(inner: HarnessModel) -> None:
    first, again = (PromptedModel(inner, Agree(4, 3.0, 1.0, "", ("number",))) for _ in range(2))
    assert first.generate_until(asked(first, ["How many?"])) == again.generate_until(asked(again, ["How many?"]))
    assert len({completion.text for completion in inner.completions}) > 1
    assert first.usage[0][0] == sum(completion.prompt_tokens for completion in inner.completions)


def test_refining_ends_for_each_conversation_where_its_criticism_says_so() -> None:
    method = Refine(3, "", "Check it.", "Again.", "it is correct")
    ask = replying(["a0", "b0"], ["It is correct.", "wrong"], ["b1"], ["wrong still"], ["b2"], ["it IS correct"])
    assert method.answer({0: QUESTION, 1: QUESTION}, ask) == {0: "a0", 1: "b2"}


def test_refining_ends_after_its_rounds() -> None:
    method = Refine(1, "", "Check it.", "Again.", "it is correct")
    assert method.answer({0: QUESTION}, replying(["a0"], ["wrong"], ["a1"])) == {0: "a1"}


def test_refining_keeps_the_whole_conversation_in_view() -> None:
    seen = []

    def ask(chats: Mapping[int, Any], draws: int = 1, temperature: float = 0.0, top_p: float = 1.0) -> Any:
        seen.append([turn["content"] for turn in chats[0]])
        return {0: [Completion(f"reply {len(seen)}", "stop", 1, 1, 0.0)]}

    Refine(1, "", "Check it.", "Again.", "fine").answer({0: QUESTION}, ask)
    assert seen[-1] == ["Be brief.", "How many?", "reply 1", "Check it.", "reply 2", "Again."]


def test_log_likelihoods_are_refused(inner: HarnessModel) -> None:
    with pytest.raises(ValueError, match="generative tasks only"):
        PromptedModel(inner, Reason("Think.")).loglikelihood([])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(COT, trigger=" "), r"zero_shot_cot\.trigger is ' '; it must be text"),
        (lambda: FewShot(examples=0), r"few_shot\.examples is 0"),
        (lambda: FewShot(shots=(5,)), r"few_shot\.shots is \[5\]"),
        (lambda: SelfConsistency(draws=0), r"self_consistency\.draws is 0"),
        (lambda: SelfConsistency(temperature=0.0), r"temperature is 0\.0; it must be above 0: draws must differ"),
        (lambda: SelfRefine(rounds=0, feedback="a", refine="b"), r"self_refine\.rounds is 0"),
        (lambda: SelfRefine(refine="b"), r"self_refine\.feedback is ''"),
        (lambda: Prompting("x", {"other": COT}), r"baselines\.other\.name is 'zero_shot_cot'"),
    ],
)
def test_impossible_settings_are_named(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def organism_suite(*tasks: str, **options: Any) -> EvaluationSettings:
    return EvaluationSettings("organism", tasks=tasks, task_folders=(str(ORGANISM / "tasks"),), **options)


def test_baselines_are_planned_at_their_shots_for_tasks_with_an_answer() -> None:
    settings = EvaluationSettings(
        "x", tasks=("gsm8k", "ifeval", "hellaswag"), task_folders=(str(ORGANISM / "../evaluation/tasks"),)
    )
    assert [(source.name, shots) for source, shots in harness.plan(settings, COT)] == [("gsm8k", 0)]
    both = replace(COT, shots=(0, 5))
    assert [shots for _, shots in harness.plan(settings, both)] == [0, 5]
    assert len(harness.plan(settings, Plain())) == 5


def test_a_baseline_that_applies_to_nothing_is_refused_with_a_hint() -> None:
    prompting = Prompting("zero_shot_cot", {"zero_shot_cot": COT})
    with pytest.raises(ValueError, match=r"zero_shot_cot applies to no task of eval=organism at eval\.shots=\[5\]"):
        harness.check(organism_suite("organism_gsm", shots=(5,)), prompting)
    with pytest.raises(ValueError, match=r"needs eval\.chat_template=true"):
        harness.check(organism_suite("organism_gsm", chat_template=False), prompting)


@pytest.fixture(scope="module")
def organism() -> TransformersEngine:
    return TransformersEngine(*load(Weights("organism", str(ORGANISM / "weights" / "organism")), "cpu"), "organism")


def share(organism: TransformersEngine, prompting: Any, limit: int = 40) -> tuple[float, float]:
    """(share right, new tokens a question) on the organism's multi-step problems, 0-shot."""
    settings = organism_suite("organism_gsm", shots=(0,), limit=limit)
    ((source, shots),) = harness.plan(settings, prompting)
    scores = harness.score_task(source, shots, settings, organism, Console(quiet=True), prompting).scores
    values = {f"{one.metric},{one.filter}": one.value for one in scores}
    return values["exact_match,flexible-extract"], values["new_tokens,none"]


def test_chain_of_thought_helps_the_organism_and_costs_tokens(organism: TransformersEngine) -> None:
    (plain, short), (reasoned, long) = share(organism, Plain()), share(organism, COT)
    assert reasoned > plain + 0.1 and long > short


def test_worked_examples_of_the_tasks_own_split_reach_the_prompt(organism: TransformersEngine) -> None:
    settings = organism_suite("organism_plus", shots=(0,), limit=2)
    (source,) = catalogue.find(settings)
    result = harness.score_task(source, 0, settings, organism, Console(quiet=True), FewShot(examples=2))
    shots = (ORGANISM / "tasks" / "data" / "organism_plus_shots.jsonl").read_text(encoding="utf-8")
    users = result.samples[0]["prompt"].split("user")[1:]
    assert len(users) == 3 and result.conditions["prompting"]["examples"] == 2
    assert all(any(line[:40] in part for line in shots.split('"question": "')[1:]) for part in users[:2])
