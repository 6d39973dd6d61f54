"""What a careful reader takes out of a response: published cases by family, and variants invented beside them."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from crescent.answers import equivalent, extract

DATA = Path(__file__).parent / "data"


def published(name: str) -> list[dict]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def unseen() -> Iterator[tuple[str, str, str, str | None]]:
    """Responses in the manner of several chat models, each set (`u1...`, `u2...`) written before the readers met it."""
    for one in published("unseen"):
        yield one["id"], one["kind"], one["text"], one["want"]


def variants() -> Iterator[tuple[str, str, str, str | None]]:
    """(id, kind, text, answer) of the lines of variants.txt."""
    family = kind = ""
    for number, line in enumerate((DATA / "variants.txt").read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("## ") and " => " not in line:
            family, kind = line[3:].split()
        elif " => " in line and not line.startswith("# "):
            text, answer = line.rsplit(" => ", 1)
            yield f"{family}-{number}", kind, text.replace("⏎", "\n"), None if answer == "-" else answer


def apart() -> list[tuple[str, list[str]]]:
    """(kind, texts) of the lines of apart.txt."""
    lines = (DATA / "apart.txt").read_text(encoding="utf-8").split("\n")
    rows = [line.split(" | ") for line in lines if line and not line.startswith("# ")]
    return [(kind, [text.replace("⏎", "\n") for text in texts]) for kind, *texts in rows]


WRONG = {
    "u3028",  # "five cents, i.e. $0.05"
    "u4030",  # "two dozen eggs": after a number "dozen" is a unit, so this is 2
    "u6059",  # the same
    "u5094",  # n(n+1)/2 is the same expression as \frac{n(n+1)}{2}, in another spelling
    "u6039",  # "42 m" stays apart from "42" under kind expression, as "42 cm" does
    "u7003",  # "20 × 14 is 280, and 280 minus 20 equals 260." without a mark
    "u7009",  # "On Tuesday, the shop sold 27 candles, 9 fewer than on Monday."
}
"""Read otherwise than wanted."""

LISTED = [(one["id"], one["kind"], one["text"], one["want"]) for one in published("answers")]
SETS = [(one["kind"], one["texts"]) for one in published("distinct")]


@pytest.mark.parametrize(("name", "kind", "text", "wanted"), [*LISTED, *variants(), *unseen()])
def test_the_answer_of_a_careful_reader_is_extracted(name: str, kind: str, text: str, wanted: str | None) -> None:
    answer = extract(text, kind)
    assert (answer == wanted or equivalent(answer, wanted)) == (name not in WRONG)


@pytest.mark.parametrize(("kind", "texts"), [*SETS, *apart()])
def test_different_answers_stay_apart(kind: str, texts: list[str]) -> None:
    answers = [extract(text, kind) for text in texts]
    assert not any(equivalent(one, other) for one, other in combinations(answers, 2))


@pytest.mark.parametrize(("name", "kind", "text", "wanted"), [*LISTED, *variants(), *unseen()])
def test_a_canonical_answer_is_its_own(name: str, kind: str, text: str, wanted: str | None) -> None:
    answer = extract(text, kind)
    assert answer is None or extract(answer, kind) == answer


def test_the_tidy_end_of_a_worked_solution_is_read_as_it_stands() -> None:
    assert extract("3 + 4 = 7 apples. 7 * 2 = 14.\n#### 14") == "14"
    assert extract("Ann is taller than Tom. The tallest is Ann.\n#### Ann", "name") == "ann"


def test_a_list_with_semicolons_is_one_answer_and_no_other_list() -> None:
    answers = [extract(f"#### Answer: {text}") for text in ("12 m; 5 m", "12 cm; 8 cm", "12", "x = 12; y = 8")]
    assert answers == ["12; 5", "12; 8", "12", "12; 8"]
    assert extract("#### Answer: 36; so she needs 36 boxes") == "36"


@pytest.mark.parametrize(
    "text",
    [
        "First, we know that there are 17 green jellybeans.",
        "Since there are 60 girls, we can find the number of boys by multiplying 60 by 2.",
        "She has 21 books, so 21 = 3 + 2x.\n\nNow, let's solve for x.",
        "To do this, we divide the weekly amount by 7 (the number of days in a week).",
    ],
)
def test_a_response_that_breaks_off_in_a_plan_has_no_answer(text: str) -> None:
    assert extract(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Therefore, Sam would have to spend $60 to make 4 liters of juice.", "60"),
        ("Therefore, Cecelia spent a total of $98 on 10-gallon jars and 16 half-gallon jars.", "98"),
        ("Therefore, Gerald can run the 400-meter hurdles, with his improved diet, in 32.4 seconds.", "32.4"),
        ("So she needs to buy 7 packs.", "7"),
        ("Thus, it takes 7 days for the plant to grow from 3 cm to 10 cm.", "7"),
    ],
)
def test_a_detail_behind_what_a_sentence_states_is_no_answer(text: str, wanted: str) -> None:
    assert extract(text) == wanted
