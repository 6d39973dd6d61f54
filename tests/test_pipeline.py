"""Elicit, diversify, answer and vote on the organism: real generations, small numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interrupting import Interrupted
from stage_context import Recorder, stage_context

from crescent.config.resolvers import PACKAGE
from crescent.core.console import Console
from crescent.core.context import StageContext
from crescent.core.records import Ballot, Decision, QAPair, Question, RawQuestion, decode_lines
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.dedup import Dedup, Exact, KeepAll, Rejection
from crescent.dedup.stage import DECISIONS, Diversify, thrown_away
from crescent.domain import fill
from crescent.elicitation.stage import Elicit, Stream
from crescent.engines import Finished, LazyEngine, Sampling
from crescent.engines.identity import identity
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights
from crescent.similarity import EmbedderSettings
from crescent.voting.answer_stage import Answer
from crescent.voting.rules import Adaptive, Majority
from crescent.voting.stage import BALLOTS, Vote

ORGANISM = Weights("organism", str(PACKAGE / "organism" / "weights" / "organism"))
BAIT = "Use your creativity, create one unique math word problem. Please provide only the problem, no any other words."
MODIFY = "{question}\nis very similar to:\n{neighbour}\nPlease modify it to make it different."
SOLVE = (
    "{question}\nPlease think step by step. Please provide the answer figure in the end of the response:\n#### Answer:"
)
SAMPLING = Sampling(max_new_tokens=200, seed=5)
ELICIT = Elicit(BAIT, SAMPLING, samples_per_round=12)


@pytest.fixture(scope="module")
def engine() -> Iterator[LazyEngine]:
    key = identity(ORGANISM)
    lazy = LazyEngine(key, lambda: TransformersSettings(device="cpu").build(ORGANISM, key))
    yield lazy
    lazy.close()


def context_of(store: Store, engine: LazyEngine, **options: Any) -> StageContext:
    return stage_context(store, engine, EmbedderSettings().build().embed, **options)


def diversify(dedup: Dedup, context: StageContext, count: int = 15, rounds: int = 4, bait: Elicit = ELICIT) -> Artifact:
    return context.run(Diversify(dedup, MODIFY, SAMPLING, count, rounds), context.run(bait))


def test_a_shard_is_a_function_of_its_index(store: Store, tmp_path: Path, engine: LazyEngine) -> None:
    third = Stream(ELICIT, store, engine).shard(2)
    other = Stream(ELICIT, Store(tmp_path / "other"), engine)
    other.shard(0)
    assert other.shard(2).read(RawQuestion) == third.read(RawQuestion)
    assert [raw.draw for raw in third.read(RawQuestion)] == list(range(24, 36))


def files(store: Store) -> dict[str, bytes]:
    """All that is committed."""
    kinds = ("artifacts", "ledgers")
    return {str(f.relative_to(store.root)): f.read_bytes() for k in kinds for f in (store.root / k).rglob("*.json*")}


def test_rounds_made_ahead_are_committed_when_they_are_asked_for(
    store: Store, tmp_path: Path, engine: LazyEngine
) -> None:
    counting = Interrupted(engine.get())
    ahead = Stream(ELICIT, store, LazyEngine(engine.identity, lambda: counting, preferred_batch=40))
    ahead.shard(0, ahead=5)
    assert counting.finished == 36 and len(list((store.root / "artifacts" / "elicit").iterdir())) == 1
    other = Store(tmp_path / "plain")
    plain = Stream(ELICIT, other, engine)
    for index in range(3):
        ahead.shard(index)
        plain.shard(index)
    assert counting.finished == 36 and files(store) == files(other)
    assert not list((store.root / "work" / "streams").iterdir())


def test_each_completion_of_rounds_made_ahead_is_told(store: Store, engine: LazyEngine) -> None:
    told: list[int] = []
    large = LazyEngine(engine.identity, engine.get, preferred_batch=24)
    Stream(ELICIT, store, large).shard(0, 5, lambda index, _made: told.append(index))
    assert sorted(told) == list(range(24))


def test_an_interrupted_round_loses_no_completion(store: Store, tmp_path: Path, engine: LazyEngine) -> None:
    with pytest.raises(KeyboardInterrupt):
        Stream(ELICIT, store, LazyEngine(engine.identity, lambda: Interrupted(engine.get(), 7))).shard(0)
    again = Interrupted(engine.get())
    made = Stream(ELICIT, store, LazyEngine(engine.identity, lambda: again)).shard(0)
    assert again.finished == 5
    plain = Stream(ELICIT, Store(tmp_path / "plain"), engine)
    assert made.read(RawQuestion) == plain.shard(0).read(RawQuestion)


def test_every_candidate_gets_one_decision_and_the_count_is_met(store: Store, engine: LazyEngine) -> None:
    questions = diversify(Rejection(min_cosine=0.8), context_of(store, engine))
    with open(questions.path / DECISIONS, encoding="utf-8") as lines:
        decisions = list(decode_lines(Decision, lines))
    kept = [one.question_id for one in decisions if one.verdict in ("accepted", "rewritten")]
    assert kept == [question.id for question in questions.read(Question)] and len(kept) == 15


def test_strategies_share_the_stream(store: Store, engine: LazyEngine) -> None:
    seen = Recorder()
    context = context_of(store, engine, events=seen)
    diversify(KeepAll(), context)
    first = seen.report("elicit")
    assert first.reused_records == 0 and first.new_tokens == first.tokens > 0
    diversify(Exact(), context)
    second = seen.report("elicit")
    assert second.reused_records == second.records > 0 and second.new_tokens == 0 and second.key == first.key


def test_fewer_questions_than_asked_are_told_not_hidden(
    store: Store, engine: LazyEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = diversify(KeepAll(), context_of(store, engine, console=Console()), 1000, 1)
    assert questions.records <= 12 and "elicit.max_rounds=1" in capsys.readouterr().err


class Repeating:
    """A stream whose rounds of 20 bring one new question each."""

    def __init__(self, store: Store) -> None:
        self._store, self.key, self.records = store, "repeating", 0
        self.info: dict[str, Any] = {}

    def shard(self, index: int, ahead: int = 1, finished: Finished | None = None) -> Artifact:
        texts = ["How many apples are there?"] * 19 + [f"How many boxes hold {index} apples?"]
        rows = [RawQuestion(20 * index + place, text, "stop", 5) for place, text in enumerate(texts)]
        return self._store.build(Key("elicit", 1, {"shard": index}), lambda work: Outcome(rows, {"tokens": 100}))


def test_rounds_that_add_little_are_told(store: Store, engine: LazyEngine, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Diversify(Exact(), MODIFY, SAMPLING, 9, 50)
    questions = stage.run(context_of(store, engine, console=Console()), Repeating(store))
    assert "New rounds add little: 5% of the last 5 rounds was kept" in capsys.readouterr().err
    assert questions.info["acceptance_by_round"] == [0.1, *[0.05] * 7]


def test_the_diversity_of_what_was_asked_and_of_what_is_kept_is_recorded(store: Store, engine: LazyEngine) -> None:
    stage = Diversify(Exact(), MODIFY, SAMPLING, 9, 50)
    info = stage.run(context_of(store, engine), Repeating(store)).info
    assert info["before/texts"] == info["after/texts"] == 9
    assert info["before/vendi"] < info["after/vendi"] and info["before/largest_cluster"] > 0.8


def test_what_was_thrown_away_is_counted_by_reason_with_examples() -> None:
    decisions = [Decision(str(i), "dropped", "x", 0.9, 0, "too similar", f"text {i}", 0) for i in range(4)]
    decisions += [Decision("4", "invalid", None, 0.0, 0, "refusal", "y" * 999, 0)]
    decisions += [Decision("5", "accepted", None, 0.0, 0, "new", "kept", 0)]
    found = thrown_away(decisions)
    assert found["too similar"] == {"count": 4, "examples": ["text 0", "text 1", "text 2"]}
    assert list(found) == ["too similar", "refusal"] and len(found["refusal"]["examples"][0]) == 300


def test_a_bait_that_yields_no_question_ends_in_one_line(store: Store, engine: LazyEngine) -> None:
    with pytest.raises(ValueError, match=r"no valid question in \d+ completions of the bait"):
        diversify(KeepAll(), context_of(store, engine), bait=Elicit("Say one word.", Sampling(max_new_tokens=3), 5))


def test_answers_and_votes_make_pairs_of_plain_questions(store: Store, engine: LazyEngine) -> None:
    context = context_of(store, engine)
    questions, vote = diversify(Exact(), context), Vote(Majority(draws=3, tie="first"), "number")
    texts = questions.read(Question)
    pairs = vote.run(context, questions, Answer(SOLVE, SAMPLING).run(context, questions, until=vote))
    with open(pairs.path / BALLOTS, encoding="utf-8") as lines:
        ballots = list(decode_lines(Ballot, lines))
    assert len(ballots) == 15 and pairs.records > 5
    for pair in pairs.read(QAPair):
        assert pair.question in {text.text for text in texts} and "think step by step" not in pair.question
        assert pair.agreement == pytest.approx(pair.votes / pair.draws, abs=1e-4)


def test_more_draws_generate_only_what_is_missing(store: Store, engine: LazyEngine) -> None:
    seen = Recorder()
    context = context_of(store, engine, events=seen)
    questions, answer = diversify(Exact(), context), Answer(SOLVE, SAMPLING)
    first, more = (context.run(answer, questions, until=Vote(Majority(draws=draws), "number")) for draws in (2, 3))
    assert (first.reused_records, more.reused_records, more.records) == (0, 30, 45)
    assert first.generated_tokens == first.tokens > 0 and more.generated_tokens == more.tokens - first.tokens
    report = seen.report("answer")
    assert (report.records, report.reused_records) == (45, 30)
    assert (report.tokens, report.new_tokens) == (more.tokens, more.generated_tokens)
    assert [draws[:2] for draws in more.solutions] == list(first.solutions)


def test_adaptive_voting_draws_less_and_extends_the_same_ledger(store: Store, engine: LazyEngine) -> None:
    context, answer = context_of(store, engine), Answer(SOLVE, SAMPLING)
    questions = diversify(Exact(), context)
    some = answer.run(context, questions, until=Vote(Adaptive(draws=6, stop="exact"), "number"))
    full = answer.run(context, questions, until=Vote(Majority(draws=6), "number"))
    assert some.records < full.records == 90 and full.reused_records == some.records and some.key == full.key
    assert all(draws == more[: len(draws)] for draws, more in zip(some.solutions, full.solutions, strict=True))


def test_braces_in_questions_and_prompts_stay_as_they_are() -> None:
    assert fill("{question} {x} {{y}}", question="{neighbour} {0}") == "{neighbour} {0} {x} {{y}}"
