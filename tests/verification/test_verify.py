"""Questions are judged by the model that asked them."""

from collections.abc import Sequence

import pytest
from configured import experiment
from stage_context import stage_context

from crescent.core.errors import UserError
from crescent.core.records import Question, Solution
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines import Completion, Finished, LazyEngine, Prompt, Sampling
from crescent.verification import NoVerification, SelfVerification
from crescent.verification.stage import Verify, verdict

PROMPT = "{question}\nYes or No?"


class Judge:
    """An engine that says yes to texts with a question mark, and to each draw what `said` has for it."""

    deterministic, identity = True, "judge"

    def __init__(self, *said: str) -> None:
        self._said, self.asked = said, 0

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        self.asked += len(prompts)
        made = []
        for prompt in prompts:
            assert isinstance(prompt, Prompt)
            is_problem = "?" in prompt.text.removesuffix("Yes or No?")
            made.append(self._said[prompt.draw] if self._said else "Yes." if is_problem else "**No**, it is not.")
        return [Completion(text, "stop", 9, 3, -0.1) for text in made]

    def close(self) -> None: ...


def questions_of(store: Store, *texts: str) -> Artifact:
    asked = [Question(text, text, 0) for text in texts]
    return store.build(Key("diversify", 1, {"texts": list(texts)}), lambda work: Outcome(asked))


def verified(store: Store, judge: Judge, settings: SelfVerification, *texts: str) -> Artifact:
    context = stage_context(store, LazyEngine("judge", lambda: judge))
    return context.run(Verify(settings, Sampling()), questions_of(store, *texts))


def test_what_the_model_takes_for_no_problem_is_dropped_and_counted(store: Store) -> None:
    judge = Judge()
    kept = verified(store, judge, SelfVerification(PROMPT), "How many?", "I like apples.", "How long is it?")
    assert [question.text for question in kept.read(Question)] == ["How many?", "How long is it?"]
    assert (kept.info["verdicts_yes"], kept.info["verdicts_no"], kept.info["verdicts_unclear"]) == (2, 1, 0)
    assert kept.info["thrown_away"] == {"not verified": {"count": 1, "examples": ["I like apples."]}}
    assert kept.info["tokens"] == 9 and judge.asked == 3
    again = verified(store, Judge(), SelfVerification(PROMPT), "How many?", "I like apples.", "How long is it?")
    assert again.reused


@pytest.mark.parametrize(("share", "kept"), [(0.3, True), (0.5, False), (1.0, False)])
def test_a_share_of_the_verdicts_decides_and_a_reply_without_one_counts_as_no(
    share: float, kept: bool, store: Store
) -> None:
    settings = SelfVerification(PROMPT, draws=3, min_share=share, temperature=0.7)
    texts = ("Yes", "No", "I cannot tell.")
    if kept:
        assert verified(store, Judge(*texts), settings, "How many?").records == 1
    else:
        with pytest.raises(UserError, match=r"verify=self keeps none of 1 question\. .* replied 'Yes'"):
            verified(store, Judge(*texts), settings, "How many?")


@pytest.mark.parametrize(
    ("reply", "found"),
    [("Yes", True), ("no.", False), ("**Answer:** No", False), ("<think>No? Yes?</think>\nYes", True), ("", None),
     ("<think>Yes", None), ("Nothing, yesterday", None), ("The answer is yes, not no.", True)],
)  # fmt: skip
def test_the_first_word_of_judgement_behind_a_thought_counts(reply: str, found: bool | None) -> None:
    assert verdict(Solution("q", 0, reply, "stop", 3, -0.1)) is found


def test_without_verification_questions_pass_as_they_are(store: Store) -> None:
    asked = questions_of(store, "How many?")
    context = stage_context(store, LazyEngine("none", Judge))
    assert context.run(Verify(NoVerification(), Sampling()), asked) is asked


@pytest.mark.parametrize(
    ("override", "message"),
    [("verify.prompt=go", r"verify\.prompt does not contain \{question\}"), ("verify.draws=0", "verify.draws is 0"),
     ("verify.draws=3", r"verify\.draws is 3 at verify\.temperature=0"),
     ("verify.min_share=0", "verify.min_share is 0"), ("verify.top_p=0", "verify.top_p is 0")],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        experiment("verify=self", override, "tracking=none")


@pytest.mark.parametrize(("reason", "found"), [("stop", True), ("length", True), ("abort", None), ("refused", None)])
def test_what_the_engine_gave_up_on_is_no_verdict(reason: str, found: bool | None) -> None:
    assert verdict(Solution("q", 0, "Yes, the text is", reason, 3, -0.1)) is found
