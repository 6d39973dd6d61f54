"""The baselines' stages: seeds read, questions asked backwards, pairs selected by gold answers, pairs gathered."""

import json
from pathlib import Path

import pytest
from stage_context import Recorder, stage_context

from crescent.core.console import Console
from crescent.core.records import GOLDS, Ballot, Gold, QAPair, Question, Solution, decode_lines
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.engines import Sampling
from crescent.sources.filter_by_gold_stage import Select, reasoning
from crescent.sources.metamath import mask_numbers, split_question, states
from crescent.sources.rewrite_stage import Fobar, Rewrite, SelfVerification
from crescent.sources.seeded import MetaMath, Seeded
from crescent.sources.seeds_stage import Seeds, read_seeds, write_golds
from crescent.training.subset_stage import Accumulate, Gather
from crescent.voting.draws import Draws

TOM = "Tom has 3 apples and buys 1,200 more. How many has he now?"


def seed_file(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_seeds_are_read_in_each_form(tmp_path: Path) -> None:
    path = seed_file(
        tmp_path,
        {"question": "a?", "answer": "48/2 = <<48/2=24>>24 clips.\n#### 24"},
        {"question": "b?", "solution": "3 + 4 = 7.\n#### 7", "answer": "7"},
        {"question": "c?", "answer": "1,000"},
        {"question": "c?", "answer": "2"},
    )
    golds = [gold for _, gold in read_seeds(path, "number")]
    assert [gold.answer for gold in golds] == ["24", "7", "1000"]
    assert [gold.solution for gold in golds] == ["48/2 = 24 clips.\n#### 24", "3 + 4 = 7.\n#### 7", "1,000"]


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", r"seeds.jsonl:1 is not JSON"), ('{"question": "a"}', "needs the fields"), ("", "contains no question"),
     ('{"question": "a", "answer": "none"}', "has no answer of the kind 'number'")],
)  # fmt: skip
def test_a_seed_file_that_cannot_be_used_is_named_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_text(line)
    with pytest.raises(ValueError, match=message):
        read_seeds(tmp_path / "seeds.jsonl", "number")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "gbk", "shift_jis"])
def test_a_seed_file_in_another_encoding_is_refused_with_its_line(encoding: str, tmp_path: Path) -> None:
    word = "café" if encoding in ("latin-1", "utf-16") else "苹果"
    rows = [{"question": question, "answer": "7"} for question in ("What is 3 + 4?", f"Which {word} has 7 tables?")]
    path = tmp_path / "seeds.jsonl"
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding))
    line = 1 if encoding == "utf-16" else 2
    with pytest.raises(
        ValueError, match=rf"^source.seeds: {path}:{line} is not UTF-8 \(byte 0x[0-9a-f]+\); save"
    ) as error:
        read_seeds(path, "number")
    assert "\n" not in str(error.value)


def test_a_seed_file_may_have_a_mark_of_order_and_any_utf8_within_a_line(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    row = json.dumps({"question": "Which café\u2028has 苹果?", "answer": "7"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + f"{row}\r\n\r\n".encode())
    assert [question.text for question, _ in read_seeds(path, "number")] == ["Which café\u2028has 苹果?"]


def test_each_number_of_a_question_can_be_hidden_and_nothing_else() -> None:
    found = mask_numbers(f"At 3:30, 1/2 of v2: {TOM}")
    assert [(one.hidden, one.text.count("x ")) for one in found] == [("3", 1), ("1200", 1)]


def test_questions_asked_backwards_are_answered_with_the_hidden_number() -> None:
    question, gold = Question("q", TOM, 0), Gold("q", "1203", "", "seed")
    told = Fobar("{question} The answer is {answer}; what is x?", 2).drafts(question, gold)
    assert [(draft.expected, draft.ask) for draft in told] == [("3", None), ("1200", None)]
    [declared] = SelfVerification("{question} {answer}", "{story} {statement} What is x?", 1).drafts(question, gold)
    assert declared.form == "Tom has x apples and buys 1,200 more. {reply} What is x?" and declared.ask is not None
    assert declared.ask.text == "How many has he now? 1203" and declared.must_state == "1203"
    assert states("He has 1,203 now.", "1203") and not states("He has 12 now.", "1203")
    assert split_question("Only one?") == ("", "Only one?")


def test_two_ways_to_an_answer_are_told_apart_by_their_equations() -> None:
    assert reasoning("First 3 + 4 = 7, so\n#### 7") == reasoning("We get 3+4 = 7.")
    assert reasoning("3 + 4 = 7") != reasoning("4 + 3 = 7") and reasoning("Seven.  Yes") == "Seven. Yes"


def questions_of(store: Store, **kinds: str) -> Artifact:
    """A question for each name, of that kind, whose answer is 7."""

    def build(work: Path) -> Outcome:
        write_golds(work / GOLDS, [Gold(text, "7", "3 + 4 = 7", kind) for text, kind in kinds.items()])
        return Outcome([Question(text, text, 0) for text in kinds], {}, {GOLDS: work / GOLDS})

    return store.build(Key("seeds", 1, kinds), build)


def draw(question: str, text: str, place: int, finish: str = "stop") -> Solution:
    return Solution(question, place, text, finish, 5, -0.1)


def test_only_different_right_draws_are_kept_and_first_ones_of_all_questions_first(store: Store) -> None:
    questions = questions_of(store, a="seed", b="seed", c="seed")
    solutions = [
        [draw("a", text, place) for place, text in enumerate(["3 + 4 = 7", "so 3 + 4 = 7", "4 + 3 = 7"])],
        [draw("b", "5 + 4 = 9", 0), draw("b", "1 + 6 = 7", 1)],
        [draw("c", "3 + 4 = 7", 0, "abort"), draw("c", "3 + 4 = 7", 1, "length"), draw("c", "8", 2)],
    ]
    context, draws = stage_context(store), Draws("ledger", solutions, 0, 0)
    pairs = Select("right", "number", 3, draws=3).run(context, questions, draws, golds=questions)
    assert [(pair.question_id, pair.response) for pair in pairs.read(QAPair)] == [
        ("a", "3 + 4 = 7"), ("a", "4 + 3 = 7"), ("b", "1 + 6 = 7"),
    ]  # fmt: skip
    with open(pairs.path / "ballots.jsonl", encoding="utf-8") as lines:
        chosen = [(ballot.votes, ballot.chosen, ballot.reason) for ballot in decode_lines(Ballot, lines)]
    assert chosen == [(3, 0, "right"), (1, 1, "right"), (0, None, "no right answer")]
    assert pairs.info["draws_unfinished"] == {"abort": 1, "length": 1}
    two = Select("right", "number", 2, draws=3).run(context, questions, draws, golds=questions)
    assert [pair.question_id for pair in two.read(QAPair)] == ["a", "b"]


def test_shares_are_kept_and_what_a_kind_cannot_give_the_others_do(store: Store) -> None:
    questions = questions_of(store, a="seed", b="seed", c="seed", d="fobar")
    context, draws = stage_context(store), Draws("l", [[draw(name, "7", 0)] for name in "abcd"], 0, 0)
    select = Select("right", "number", 2, "text", {"seed": 0.5, "fobar": 0.5}, draws=1)
    chosen = select.run(context, questions, draws, golds=questions)
    assert chosen.info["pairs_by_kind"] == {"fobar": 1, "seed": 1}
    poor = Select("right", "number", 3, "text", {"seed": 0.1, "fobar": 0.9}, draws=1)
    assert poor.run(context, questions, draws, golds=questions).info["pairs_by_kind"] == {"fobar": 1, "seed": 2}


def test_which_seeds_are_drawn_is_decided_by_the_seed(store: Store, tmp_path: Path) -> None:
    path = seed_file(tmp_path, *({"question": f"{number}?", "answer": "1"} for number in range(40)))
    context = stage_context(store)
    stages = [Seeds("number", 10, seed, path) for seed in (0, 0, 1)]
    drawn = [[one.text for one in stage.run(context).read(Question)] for stage in stages]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 10
    assert 0 < len(set(drawn[0]) & set(drawn[2])) < 10
    every = Seeds("number", seed=1, path=path).run(context).read(Question)
    assert set(every) == {one for one, _ in read_seeds(path, "number")}


def test_every_seed_is_rewritten_once_before_one_is_twice(store: Store, tmp_path: Path) -> None:
    path = seed_file(tmp_path, *({"question": f"{n} and 5{n} make how many?", "answer": "8"} for n in range(3, 7)))
    way = Fobar("{question} The answer is {answer}; what is x?", 2)
    context = stage_context(store)  # this way of asking needs no teacher
    made = Rewrite((way,), Sampling(), 1, 500, False).run(context, Seeds("number", path=path).run(context))
    texts = [question.text for question in made.read(Question)]
    assert ["x and 5" in text for text in texts] == [True] * 4 + [False] * 4


def test_the_seeds_own_solutions_need_no_draws(store: Store, tmp_path: Path) -> None:
    path = seed_file(tmp_path, {"question": "a?", "answer": "3 + 4 = 7\n#### 7"}, {"question": "b?", "answer": "8"})
    context = stage_context(store)
    seeds = Seeds("number", path=path).run(context)
    pairs = Select("gold", "number", 9).run(context, seeds, golds=seeds)
    assert sorted(pair.response for pair in pairs.read(QAPair)) == ["3 + 4 = 7\n#### 7", "8"]


def pairs_of(store: Store, *rows: tuple[str, str]) -> Artifact:
    made = [QAPair(question, question, response, "1", 1, 1, 1.0) for question, response in rows]
    return store.build(Key("vote", 1, {"rows": [list(row) for row in rows]}), lambda work: Outcome(made))


def test_as_many_pairs_as_asked_are_taken_and_too_few_are_told(store: Store, capsys: pytest.CaptureFixture) -> None:
    pairs, context = pairs_of(store, ("a", "1"), ("b", "2"), ("c", "3")), stage_context(store, console=Console())
    assert [pair.question for pair in context.run(Gather(2), pairs).read(QAPair)] == ["a", "b"]
    assert context.run(Gather(), pairs) is pairs and context.run(Gather(5), pairs) is pairs
    assert "only 3 pairs of source.num_pairs=5" in capsys.readouterr().err


def test_of_several_iterations_the_later_answer_to_a_question_stays(store: Store) -> None:
    first, second = pairs_of(store, ("a", "1"), ("b", "2"), ("b", "3")), pairs_of(store, ("c", "4"), ("a", "5"))
    seen = Recorder()
    context = stage_context(store, events=seen)
    assert context.run(Accumulate(), first) is first and not seen.reports
    both = context.run(Accumulate(), first, second).read(QAPair)
    assert [(pair.question, pair.response) for pair in both] == [("b", "2"), ("b", "3"), ("c", "4"), ("a", "5")]


def test_backward_questions_are_refused_where_answers_are_no_numbers() -> None:
    shares = {"seed": 0.25, "rephrased": 0.25, "self_verification": 0.25, "fobar": 0.25}
    prompts = ("{question}", "{question} {answer}", "{story} {statement}", "{question} {answer}")
    with pytest.raises(ValueError, match=r"domain\.answer is 'name'"):
        Seeded("metamath", "x.jsonl", 4, MetaMath(1, 1, *prompts, shares)).check("name")
    with pytest.raises(ValueError, match="add up to 1"):
        MetaMath(1, 1, *prompts, {**shares, "seed": 0.9})
