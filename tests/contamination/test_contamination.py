"""Generated questions against benchmark items: shared runs of words, and cosines."""

from pathlib import Path

import numpy as np
import pytest
from stage_context import Recorder, stage_context

from crescent.contamination import Check
from crescent.contamination.overlap import Item, WordRuns, find_hits
from crescent.contamination.stage import Decontaminate, Off, read_hits
from crescent.core.records import Question
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.evaluation.settings import EvaluationSettings
from crescent.similarity import EmbedderSettings

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many?"


def test_a_run_of_words_is_found_whatever_case_and_punctuation() -> None:
    shared = WordRuns([Item("a", 0, "Something else."), Item("a", 1, f"Question: {LONG}\nAnswer:")], 13)
    found = shared.find("Yesterday NATALIA sold clips to 48 of her friends, in April, and then she left.")
    assert found == (1, "natalia sold clips to 48 of her friends in april and then she")
    assert shared.find("Natalia sold clips to 48 of her friends in May, and then she sold half as many.") is None


def test_a_short_question_is_a_hit_only_as_a_whole() -> None:
    shared = WordRuns([Item("a", 0, "What is 2 plus 3? Please say.")], 13)
    assert shared.find("What is 2 plus 3?") == (0, "what is 2 plus 3")
    assert shared.find("What is 2 plus 4?") is None and shared.find("?!") is None


def test_a_close_embedding_is_a_hit_and_shared_words_go_first() -> None:
    questions = [Question(name, text, 0) for name, text in (("q", "How much?"), ("r", LONG), ("s", "Who?"))]
    items = [Item("gsm8k", 0, "What number?"), Item("gsm8k", 1, LONG)]
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    hits = find_hits(questions, items, vectors, np.array([[0.96, 0.28], [0, 1]], np.float32), 0.95, 13)
    assert [(hit.question_id, hit.item, hit.cosine) for hit in hits] == [("q", 0, 0.96), ("r", 1, 0.6), ("s", 1, 1.0)]
    assert hits[0].reason == "similar" and hits[1].reason.startswith("shares 13 words: natalia sold")
    assert hits[1].item_text == hits[1].question == LONG


@pytest.fixture
def suite(tmp_path: Path) -> EvaluationSettings:
    """One task of three items."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = "".join(f'{{"q": "{text}", "a": "1"}}\n' for text in (LONG, "Who is the tallest of the three?", "Why?"))
    (folder / "items.jsonl").write_text(rows)
    (folder / "own.yaml").write_text(
        "task: own\ndataset_path: json\ndataset_kwargs: {data_files: {test: items.jsonl}}\ntest_split: test\n"
        'output_type: generate_until\ndoc_to_text: "Question: {{q}}"\ndoc_to_target: a\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    return EvaluationSettings("own", ("own",), (str(folder),), shots=(0,), limit=2)


def asked(store: Store) -> Artifact:
    texts = [LONG, "A garden has 6 rows of 7 trees. How many trees are there in all?"]
    questions = [Question(f"q{index}", text, 0) for index, text in enumerate(texts)]
    return store.build(Key("diversify", 1, {}), lambda work: Outcome(questions))


@pytest.mark.parametrize("drops", [False, True])
def test_hits_are_listed_with_both_texts_and_dropped_on_request(
    drops: bool, suite: EvaluationSettings, store: Store
) -> None:
    stage = Decontaminate(Check("drop" if drops else "report", drops), suite)
    checked = stage.run(stage_context(store, embed=EmbedderSettings().build().embed), asked(store))
    (hit,) = read_hits(checked)
    assert (hit.task, hit.item, hit.item_text) == ("own", 0, f"Question: {LONG}")
    assert [question.id for question in checked.read(Question)] == (["q1"] if drops else ["q0", "q1"])
    assert checked.info == {"items": 2, "hits": 1, "hits_by_task": {"own": 1}, "dropped": int(drops)}


def test_off_compares_nothing(suite: EvaluationSettings, store: Store) -> None:
    questions, seen = asked(store), Recorder()
    context = stage_context(store, events=seen)
    assert context.run(Decontaminate(Off(), suite), questions) is questions
    assert read_hits(questions) == [] and not seen.reports


def test_a_suite_without_tasks_leaves_nothing_to_compare_with(store: Store) -> None:
    questions = asked(store)
    stage = Decontaminate(Check("drop", True), EvaluationSettings("none"))
    assert stage_context(store).run(stage, questions) is questions


@pytest.mark.parametrize("settings", [{"min_cosine": 1.5}, {"run_words": 0}])
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"contamination.{next(iter(settings))} is"):
        Check("report", False, **settings)
