"""Elicitation from an engine that gives up, and from a model that thinks aloud."""

from collections.abc import Sequence

import pytest
from stage_context import stage_context

from crescent.core.console import Console
from crescent.core.records import Decision, RawQuestion, decode_lines
from crescent.core.store import Store
from crescent.dedup import KeepAll
from crescent.dedup.stage import DECISIONS, Diversify
from crescent.elicitation.stage import Elicit, Stream
from crescent.engines import Completion, Finished, LazyEngine, Prompt, Sampling
from crescent.observers.narration import Narrator
from crescent.similarity import EmbedderSettings

ELICIT = Elicit("Write a problem.", Sampling(), samples_per_round=5)
WHOLE = ("Tom has 5 apples and buys 7. How many has he now?", "stop")


class Scripted:
    """An engine that answers with given texts and finish reasons, over and over."""

    deterministic, identity = True, "scripted"

    def __init__(self, *answers: tuple[str, str]) -> None:
        self._answers = answers

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        return [
            Completion(*self._answers[index % len(self._answers)], prompt_tokens=3, new_tokens=9, mean_logprob=-0.1)
            for index, _ in enumerate(prompts)
        ]

    def close(self) -> None: ...


def lazy(*answers: tuple[str, str]) -> LazyEngine:
    return LazyEngine("scripted", lambda: Scripted(*answers), name="scripted")


def test_what_the_engine_gave_up_on_is_no_question_and_is_counted_by_its_reason(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [WHOLE, (WHOLE[0], "abort"), (WHOLE[0], "content_filter"), (WHOLE[0], "null"), (WHOLE[0][:9], "length")]
    stage, engine = Diversify(KeepAll(), "{question}{neighbour}", Sampling(), 1, 1), lazy(*answers)
    context = stage_context(store, engine, EmbedderSettings().build().embed, events=Narrator(Console()))
    made = context.run(stage, context.run(ELICIT))
    assert made.records == 1
    counted = {"abort": 1, "content_filter": 1, "length": 1, "null": 1}
    assert made.info["unfinished"] == Stream(ELICIT, store, engine).shard(0).info["unfinished"] == counted
    with open(made.path / DECISIONS, encoding="utf-8") as lines:
        reasons = [one.reason for one in decode_lines(Decision, lines) if one.verdict == "invalid"]
    assert reasons == ["unfinished", "unfinished", "unfinished", "cut off"]
    told = " ".join(capsys.readouterr().err.split())
    assert "unfinished: 1 abort, 1 content_filter, 1 length, 1 null" in told


def test_thoughts_are_kept_in_the_stream(store: Store) -> None:
    text = f"<think>Let me see.</think>{WHOLE[0]}"
    stream = Stream(ELICIT, store, lazy((text, "stop")))
    assert [raw.text for raw in stream.shard(0).read(RawQuestion)] == [text] * 5


def test_a_model_that_writes_plain_questions_is_taken(store: Store) -> None:
    shard = Stream(ELICIT, store, lazy(WHOLE)).shard(0)
    assert [raw.text for raw in shard.read(RawQuestion)] == [WHOLE[0]] * 5
