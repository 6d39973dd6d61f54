"""Elicit, diversify, answer and vote on the organism: real generations, small numbers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from interrupting import Interrupted

from crescent.cli.main import PACKAGE
from crescent.core.console import Console
from crescent.core.records import Ballot, Decision, QAPair, Question, RawQuestion, decode_lines
from crescent.core.store import Artifact, Outcome, Store
from crescent.dedup import Exact, KeepAll, Rejection
from crescent.dedup.stage import DECISIONS, Diversify, thrown_away
from crescent.domain import fill
from crescent.elicitation.stage import Elicit
from crescent.engines import Finished, LazyEngine, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights, identity
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
STREAM = Elicit(BAIT, SAMPLING, samples_per_round=12)


@pytest.fixture(scope="module")
def engine() -> Iterator[LazyEngine]:
    key = identity(ORGANISM)
    lazy = LazyEngine(key, lambda: TransformersSettings(device="cpu").build(ORGANISM, key))
    yield lazy
    lazy.close()


def diversify(dedup: object, store: Store, engine: LazyEngine, count: int = 15, rounds: int = 4, bait: Elicit = STREAM):
    stage = Diversify(dedup, MODIFY, SAMPLING, count, rounds)  # type: ignore[arg-type]
    embedder = EmbedderSettings().build()
    return stage.run(bait, store, engine, embedder.embed, "minilm", Console(quiet=True))


def test_a_shard_is_a_function_of_its_index(store: Store, tmp_path: Path, engine: LazyEngine) -> None:
    third = STREAM.shard(2, store, engine)
    other = Store(tmp_path / "other")
    STREAM.shard(0, other, engine)
    assert STREAM.shard(2, other, engine).read(RawQuestion) == third.read(RawQuestion)
    assert [raw.draw for raw in third.read(RawQuestion)] == list(range(24, 36))


def files(store: Store) -> dict[str, bytes]:
    """All that is committed."""
    kinds = ("artifacts", "ledgers")
    return {str(f.relative_to(store.root)): f.read_bytes() for k in kinds for f in (store.root / k).rglob("*.json*")}


def test_rounds_made_ahead_are_committed_when_they_are_asked_for(
    store: Store, tmp_path: Path, engine: LazyEngine
) -> None:
    counting = Interrupted(engine.get())
    hungry = LazyEngine(engine.identity, lambda: counting, preferred_batch=40)
    STREAM.shard(0, store, hungry, ahead=5)
    assert counting.finished == 36 and len(list((store.root / "artifacts" / "elicit").iterdir())) == 1
    plain = Store(tmp_path / "plain")
    for index in range(3):
        STREAM.shard(index, store, hungry)
        STREAM.shard(index, plain, engine)
    assert counting.finished == 36 and files(store) == files(plain)
    assert not list((store.root / "work" / "streams").iterdir())


def test_each_completion_of_rounds_made_ahead_is_told(store: Store, engine: LazyEngine) -> None:
    told: list[int] = []
    hungry = LazyEngine(engine.identity, engine.get, preferred_batch=24)
    STREAM.shard(0, store, hungry, 5, lambda index, _made: told.append(index))
    assert sorted(told) == list(range(24))


def test_an_interrupted_round_loses_no_completion(store: Store, tmp_path: Path, engine: LazyEngine) -> None:
    with pytest.raises(KeyboardInterrupt):
        STREAM.shard(0, store, LazyEngine(engine.identity, lambda: Interrupted(engine.get(), 7)))
    again = Interrupted(engine.get())
    made = STREAM.shard(0, store, LazyEngine(engine.identity, lambda: again))
    assert again.finished == 5
    assert made.read(RawQuestion) == STREAM.shard(0, Store(tmp_path / "plain"), engine).read(RawQuestion)


def test_every_candidate_gets_one_decision_and_the_count_is_met(store: Store, engine: LazyEngine) -> None:
    questions, _ = diversify(Rejection(min_cosine=0.8), store, engine)
    with open(questions.path / DECISIONS, encoding="utf-8") as lines:
        decisions = list(decode_lines(Decision, lines))
    kept = [one.question_id for one in decisions if one.verdict in ("accepted", "rewritten")]
    assert kept == [question.id for question in questions.read(Question)] and len(kept) == 15


def test_strategies_share_the_stream(store: Store, engine: LazyEngine) -> None:
    diversify(KeepAll(), store, engine)
    _, elicited = diversify(Exact(), store, engine)
    assert elicited.reused == elicited.records > 0 and elicited.new_tokens == 0


def test_fewer_questions_than_asked_are_told_not_hidden(
    store: Store, engine: LazyEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Diversify(KeepAll(), MODIFY, SAMPLING, 1000, 1)
    questions, _ = stage.run(STREAM, store, engine, EmbedderSettings().build().embed, "minilm", Console())
    assert questions.records <= 12 and "elicit.max_rounds=1" in capsys.readouterr().err


class Repeating:
    """A stream whose rounds of 20 bring one new question each."""

    def stream_key(self, engine: LazyEngine) -> str:
        return "repeating"

    def shard(
        self, index: int, store: Store, engine: LazyEngine, ahead: int = 1, finished: Finished | None = None
    ) -> Artifact:
        texts = ["How many apples are there?"] * 19 + [f"How many boxes hold {index} apples?"]
        rows = [RawQuestion(20 * index + place, text, "stop", 5) for place, text in enumerate(texts)]
        return store.build("elicit", 1, {"shard": index}, [], lambda work: Outcome(rows, {"tokens": 100}))


def test_rounds_that_add_little_are_told(store: Store, engine: LazyEngine, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Diversify(Exact(), MODIFY, SAMPLING, 9, 50)
    questions, _ = stage.run(Repeating(), store, engine, EmbedderSettings().build().embed, "minilm", Console())
    assert "New rounds add little: 5% of the last 5 rounds was kept" in capsys.readouterr().err
    assert questions.info["acceptance_by_round"] == [0.1, *[0.05] * 7]


def test_the_diversity_of_what_was_asked_and_of_what_is_kept_is_recorded(store: Store, engine: LazyEngine) -> None:
    stage = Diversify(Exact(), MODIFY, SAMPLING, 9, 50)
    questions, _ = stage.run(Repeating(), store, engine, EmbedderSettings().build().embed, "minilm", Console(True))
    info = questions.info
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
        diversify(KeepAll(), store, engine, bait=Elicit("Say one word.", Sampling(max_new_tokens=3), 5))


def test_answers_and_votes_make_pairs_of_plain_questions(store: Store, engine: LazyEngine) -> None:
    questions, _ = diversify(Exact(), store, engine)
    texts = questions.read(Question)
    vote = Vote(Majority(draws=3, tie="first"), "number")
    draws = Answer(SOLVE, SAMPLING).run(texts, vote.wanted(store), 3, store, engine, Console(quiet=True))
    pairs = vote.run(questions, texts, draws.solutions, draws.key, store)
    with open(pairs.path / BALLOTS, encoding="utf-8") as lines:
        ballots = list(decode_lines(Ballot, lines))
    assert len(ballots) == 15 and pairs.records > 5
    for pair in pairs.read(QAPair):
        assert pair.question in {text.text for text in texts} and "think step by step" not in pair.question
        assert pair.agreement == pytest.approx(pair.votes / pair.draws, abs=1e-4)


def test_more_draws_generate_only_what_is_missing(store: Store, engine: LazyEngine) -> None:
    texts = diversify(Exact(), store, engine)[0].read(Question)
    two, three = (Vote(Majority(draws=draws), "number").wanted(store) for draws in (2, 3))
    first = Answer(SOLVE, SAMPLING).run(texts, two, 2, store, engine, Console(quiet=True))
    more = Answer(SOLVE, SAMPLING).run(texts, three, 3, store, engine, Console(quiet=True))
    assert (first.reused, more.reused, more.count) == (0, 30, 45)
    assert [draws[:2] for draws in more.solutions] == first.solutions


def test_adaptive_voting_draws_less_and_extends_the_same_ledger(store: Store, engine: LazyEngine) -> None:
    texts = diversify(Exact(), store, engine)[0].read(Question)
    rule, fixed = Vote(Adaptive(draws=6, stop="exact"), "number"), Vote(Majority(draws=6), "number")
    some = Answer(SOLVE, SAMPLING).run(texts, rule.wanted(store), 6, store, engine, Console(quiet=True))
    full = Answer(SOLVE, SAMPLING).run(texts, fixed.wanted(store), 6, store, engine, Console(quiet=True))
    assert some.count < full.count == 90 and full.reused == some.count and some.key == full.key
    assert all(draws == more[: len(draws)] for draws, more in zip(some.solutions, full.solutions, strict=True))


def test_braces_in_questions_and_prompts_stay_as_they_are() -> None:
    assert fill("{question} {x} {{y}}", question="{neighbour} {0}") == "{neighbour} {0} {x} {{y}}"
