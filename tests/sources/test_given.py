"""Data of the user: every usual form is read, every fault has its place, no question is asked twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from configured import experiment
from datasets import Dataset
from stage_context import stage_context

from crescent.config.typed import ConfigError
from crescent.core.context import ModelKeys
from crescent.core.records import BALLOTS, QAPair, Question
from crescent.core.store import Store
from crescent.sources.given_rows import Given, Where
from crescent.sources.given_stage import ReadPairs, ReadQuestions

PAIR = Given("What is 3 + 4?", "3 + 4 = 7\n#### 7")
USER, ASSISTANT = (
    {"role": "user", "content": PAIR.question},
    {"role": "assistant", "content": PAIR.response},
)


def lines(folder: Path, *rows: dict[str, Any], name: str = "mine.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pairs_in(data: str, **fields: str) -> tuple[Given, ...]:
    return Where(data, response_field=fields.pop("response_field", "auto"), **fields).read()


@pytest.mark.parametrize(
    "row",
    [
        {"question": PAIR.question, "answer": PAIR.response},
        {"prompt": PAIR.question, "response": PAIR.response},
        {"instruction": PAIR.question, "input": "", "output": PAIR.response},
        {"problem": PAIR.question, "solution": PAIR.response},
        {"messages": [USER, ASSISTANT]},
        {"prompt": [USER], "completion": [ASSISTANT]},
        {"conversations": [{"from": "human", "value": PAIR.question}, {"from": "gpt", "value": PAIR.response}]},
    ],
    ids=lambda row: "-".join(row),
)
def test_the_usual_fields_are_found(row: dict[str, Any], tmp_path: Path) -> None:
    assert pairs_in(lines(tmp_path, row, row)) == (PAIR,)
    assert Where(lines(tmp_path, row)).read() == (Given(PAIR.question),)


def test_other_fields_are_named_by_settings_and_an_input_belongs_to_its_instruction(tmp_path: Path) -> None:
    data = lines(tmp_path, {"q": "a?", "good": "b", "answer": "1"}, {"q": "c?", "good": "d"})
    assert pairs_in(data, question_field="q", response_field="good") == (Given("a?", "b", "1"), Given("c?", "d"))
    [made] = pairs_in(lines(tmp_path, {"instruction": "Add.", "input": "3 and 4", "output": "7"}))
    assert made.question == "Add.\n\n3 and 4"


def test_the_same_rows_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(3)]
    wanted = pairs_in(lines(tmp_path, *rows))
    (tmp_path / "mine.json").write_text(json.dumps(rows))
    (tmp_path / "set").mkdir()
    for place in (tmp_path / "mine.parquet", tmp_path / "set" / "train.parquet"):
        Dataset.from_list(rows).to_parquet(place)
    for name in ("mine.json", "mine.parquet", "set"):
        assert pairs_in(str(tmp_path / name)) == wanted
    keys = {
        ReadQuestions(0, where=Where(str(tmp_path / name))).key(ModelKeys("", "")).digest
        for name in ("mine.json", "set")
    }
    assert len(keys) == 1


FAULTS = [
    ('{"question": "a?"', r"mine.jsonl:2 is not JSON .*; write one JSON object per line"),
    ("[1]", r"mine.jsonl:2 is list, not a JSON object"),
    ('{"text": "a?"}', r"mine.jsonl:2 has no question; its fields are: text. .* source.question_field=text"),
    ('{"question": "a?"}', r"mine.jsonl:2 has no response; its fields are: question. .*source.response_field="),
    ('{"question": "a?", "answer": " "}', r"mine.jsonl:2: answer is empty; fix or remove the row"),
    ('{"question": "a?", "answer": "\\ud83d"}', r"mine.jsonl:2: answer has half a character .*; fix or remove the row"),
    ('{"question": "a?", "answer": 7}', r"mine.jsonl:2: answer is int, not text"),
    ('{"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]}',
     r"mine.jsonl:2: messages has the turns system, user; it may have one of user and one of assistant"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), FAULTS)
def test_a_row_that_cannot_be_used_is_named_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f'{{"question": "q?", "answer": "1"}}\n{line}\n')
    with pytest.raises(ValueError, match=message) as error:
        pairs_in(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("gone.jsonl", r"there is no file gone.jsonl; give a .jsonl, .json or .parquet file"),
        ("no/such-data-set", r"the data set no/such-data-set .* cannot be read \(.*Without a network, give a file"),
    ],
)
def test_data_that_are_not_there_are_named_before_a_model_loads(data: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        experiment("source=pairs", f"source.data={data}").check()
    assert "\n" not in str(error.value)


def test_another_encoding_a_broken_parquet_and_an_empty_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"question": "a?"}\n{"question": "café?"}\n'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.jsonl:2 is not UTF-8 \(byte 0xe9\); save the file as UTF-8"):
        Where(str(tmp_path / "latin.jsonl")).read()
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"torn.parquet is not a parquet file"):
        Where(str(tmp_path / "torn.parquet")).read()
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match=r"empty.jsonl has no rows"):
        Where(str(tmp_path / "empty.jsonl")).read()


def test_each_iteration_takes_questions_that_no_earlier_one_has_asked(store: Store, tmp_path: Path) -> None:
    where = Where(lines(tmp_path, *({"question": f"{n}?"} for n in range(5))))
    stage, context = ReadQuestions(0, 2, where), stage_context(store)
    first = context.run(stage)
    second = context.run(stage, first)
    third = context.run(stage, first, second)
    asked = [question.text for made in (first, second, third) for question in made.read(Question)]
    assert sorted(asked) == [f"{n}?" for n in range(5)] and third.info["asked_before"] == 4
    assert context.run(stage).key == first.key and ReadQuestions(1, 2, where).run(context).key != first.key
    with pytest.raises(ValueError, match=r"no question of .*mine.jsonl is left for iteration 1: iterate.pool=keep"):
        context.run(stage, first, second, third)


def test_pairs_are_trained_on_as_they_are_if_their_questions_passed_the_checks(store: Store, tmp_path: Path) -> None:
    where = Where(
        lines(
            tmp_path,
            {"question": "a?", "response": "so 7\n#### 7"},
            {"question": "a?", "response": "7 it is\n#### 7"},
            {"question": "b?", "response": "Hello.", "answer": "12"},
            {"question": "c?", "response": "No number."},
        ),
        response_field="auto",
    )
    context = stage_context(store)
    questions = context.run(ReadQuestions(0, None, where))
    pairs = context.run(ReadPairs("number", where), questions)
    found = {(pair.question, pair.response): pair.answer for pair in pairs.read(QAPair)}
    assert found == {
        ("a?", "so 7\n#### 7"): "7", ("a?", "7 it is\n#### 7"): "7", ("b?", "Hello."): "12", ("c?", "No number."): "",
    }  # fmt: skip
    assert pairs.info["pairs_without_answer"] == 1 and (pairs.path / BALLOTS).read_text().count("\n") == 3
    two = context.run(ReadQuestions(0, 2, where))
    asked = {question.text for question in two.read(Question)}
    assert {pair.question for pair in context.run(ReadPairs("number", where), two).read(QAPair)} == asked


def test_questions_need_a_file_and_at_least_one_row(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source.max_questions is 0; it must be at least 1"):
        experiment("source=questions", f"source.data={tmp_path}", "source.max_questions=0")
    with pytest.raises(ConfigError, match=r"source.data has no value yet"):
        experiment("source=questions")
