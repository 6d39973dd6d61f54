"""The draw ledger: what is there is never generated again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from echo import Echo
from interrupting import Interrupted

from crescent.core.store import Store
from crescent.engines import Engine, LazyEngine, Sampling
from crescent.engines.ledger import Ask, Ledger

SAMPLING = Sampling(max_new_tokens=8)


def asks(questions: Sequence[str], draws: range) -> list[Ask]:
    return [Ask(question, draw, f"solve {question}") for draw in draws for question in questions]


def ledger(store: Store, engine: Engine, template: str = "solve {question}") -> Ledger:
    return Ledger(store, LazyEngine("echo", lambda: engine), template, SAMPLING)


def test_nine_draws_extend_five(store: Store) -> None:
    engine = Echo()
    assert ledger(store, engine).complete(asks("ab", range(5))).reused == 0
    drawn = ledger(store, engine).complete(asks("ab", range(9)))
    assert (drawn.reused, drawn.generated_tokens, len(engine.asked)) == (10, 16, 18)


def test_rows_come_in_the_order_asked(store: Store) -> None:
    wanted = asks("cab", range(3))
    rows = ledger(store, Echo()).complete(wanted[::-1]).rows
    assert [(row.question_id, row.draw) for row in rows] == [(ask.id, ask.draw) for ask in wanted[::-1]]


def test_other_questions_prompts_and_samplings_are_other_rows(store: Store) -> None:
    engine = Echo()
    ledger(store, engine).complete(asks("ab", range(2)))
    ledger(store, engine).complete(asks("bc", range(2)))
    ledger(store, engine, "think about {question}").complete(asks("a", range(2)))
    assert len(engine.asked) == 8


def test_committed_chunks_survive_an_interruption(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crescent.engines.ledger.COMMIT_EVERY", 4)
    with pytest.raises(KeyboardInterrupt):
        ledger(store, Echo(fail_after=10)).complete(asks("abcdef", range(2)))
    again = Echo()
    assert ledger(store, again).complete(asks("abcdef", range(2))).reused == 8 and len(again.asked) == 4


def test_an_interrupted_chunk_loses_nothing_and_leaves_the_bytes_of_an_undisturbed_one(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        ledger(store, Interrupted(Echo(), most=5)).complete(asks("abcdef", range(2)))
    assert not (store.root / "ledgers").exists()
    again = Echo()
    book = ledger(store, again)
    book.complete(asks("abcdef", range(2)))
    plain = ledger(Store(tmp_path / "plain"), Echo())
    plain.complete(asks("abcdef", range(2)))
    assert len(again.asked) == 7
    assert (book.folder / "rows.jsonl").read_bytes() == (plain.folder / "rows.jsonl").read_bytes()


def test_an_engine_with_a_larger_preferred_batch_gets_larger_chunks_and_leaves_the_same_bytes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crescent.engines.ledger.COMMIT_EVERY", 4)
    sizes = []
    for root, preferred_batch in ((store.root, 0), (tmp_path / "other", 10)):
        engine = Echo()
        lazy = LazyEngine("echo", lambda engine=engine: engine, preferred_batch)
        book = Ledger(Store(root), lazy, "solve {question}", SAMPLING)
        book.complete(asks("abcdef", range(2)))
        sizes.append((engine.calls, (book.folder / "rows.jsonl").read_bytes()))
    assert (sizes[0][0], sizes[1][0]) == (3, 2) and sizes[0][1] == sizes[1][1]


def test_a_torn_last_line_is_cut_off_and_drawn_again(store: Store) -> None:
    book = ledger(store, Echo())
    book.complete(asks("ab", range(2)))
    path = book.folder / "rows.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert ledger(store, Echo()).complete(asks("ab", range(2))).reused == 3
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named_and_drawn_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    book = ledger(store, Echo())
    book.complete(asks("ab", range(2)))
    path = book.folder / "rows.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"#" * 30 + b"\n" + b"".join(lines[2:]))
    drawn = ledger(store, Echo()).complete(asks("ab", range(2)))
    assert drawn.reused == 3 and "damaged" in caplog.text


def test_an_engine_is_not_loaded_for_what_is_there(store: Store) -> None:
    ledger(store, Echo()).complete(asks("ab", range(2)))

    def never() -> Echo:
        raise AssertionError("loaded")

    assert (
        Ledger(store, LazyEngine("echo", never), "solve {question}", SAMPLING).complete(asks("ab", range(2))).reused
        == 4
    )


def test_asks_are_taken_chunk_by_chunk_and_rows_read_one_by_one(store: Store) -> None:
    engine, taken = Echo(), list[int]()

    def many() -> Iterator[Ask]:
        for number in range(1300):
            taken.append(len(engine.asked))  # what was generated when this ask was made
            yield Ask(str(number), 0, f"solve {number}")

    book = ledger(store, engine)
    assert book.draw(many()) == (0, 2600)
    assert taken[511] == 0 and taken[512] == 512 and taken[-1] == 1024
    again = ledger(store, Echo(fail_after=0))
    assert again.draw(many()) == (1300, 0)
    rows = again.rows((str(number), 0) for number in (1299, 0))
    assert [next(rows).text, next(rows).text] == ["solve 1299 0", "solve 0 0"]
    assert again.tokens("7", 1) == 2 and again.tokens("7", 0) == 0
