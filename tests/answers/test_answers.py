"""Answers: a table of hard forms, properties on arbitrary text, and real model outputs where they are at hand."""

import json
import os
import re
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crescent.answers import ANSWER_KINDS, equivalent, extract

BENCHMARKS = os.environ.get("CRESCENT_BENCHMARKS")
needs_benchmarks = pytest.mark.skipif(not BENCHMARKS, reason="CRESCENT_BENCHMARKS names no folder of benchmark data")

# One text a line, then "=>" and the number it commits to ("-" for none); \n is a line break.
HARD_NUMBERS = r"""
#### 7 dozen eggs in 4 weeks => 7
#### $25,000/year => 25000
#### -3 => -3
####5 => 5
#### 1/2 => 0.5
#### 2 1/2 => 2.5
#### 3 and 1/2 => 3.5
#### 50% => 50
#### Answer: 5 => 5
#### 0,1 => 0.1
#### -$160.00 => -160
#### $-160 => -160
$40 - $27 = $### 13 => 13
€1500 - €1423 = €#### 77 => 77
#### 84 - 84 = 0. => 0
#### 18 (9 x 2 = 18) => 18
#### 3 30-minute episodes => 3
#### 240 5 dollar bills => 240
#### 118 000. => 118000
#### 18. => 18
#### 18.00 => 18
#### .5 => 0.5
#### 007 => 7
#### 67" => 67
#### 6th => 6
#### ~18 => 18
#### ½ => 0.5
#### 2½ cups => 2.5
#### １２ => 12
٣٤ => 34
−5 => -5
The answer is –3. => -3
It is negative 3. => -3
10 minus 5 => 5
16-3 => 3
pages 10-12 => 12
The answer is 10-12 hours. => -
- 5 apples => 5
1,000 => 1000
1'000 => 1000
1.234,56 € => 1234.56
10\,000 => 10000
₹1,00,000 => 100000
3/4 => 0.75
1/3 => 1/3
-(1/3) => -1/3
5/0 => -
1.5e3 => 1500
#### 3 × 10⁸ m/s => 300000000
The answer is $2.5 \times 10^{-3}$. => 0.0025
#### 2 million => 2000000
#### 25k => 25000
#### $3M => 3000000
#### 5 m => 5
#### 5 million-dollar homes => 5
$\boxed{\frac{3}{4}}$ => 0.75
\boxed{-\dfrac{1}{3}} => -1/3
\boxed{2\frac{1}{2}} => 2.5
\boxed{\text{18 dollars}} => 18
\boxed{\$18} => 18
The final answer is \(\boxed{10{,}000}\). => 10000
\[ \boxed{18 \text{ eggs}} \] => 18
The area is 25 cm^{2}. => 25
The area is 25 cm² => 25
16 - 3 = **13** => 13
He has **13** apples left after 4 days. => 13
**Final Answer:** 18 apples => 18
Final Answer:\n\n$$\n18\n$$ => 18
The answer is: 18... => 18
The answer is x = 5. => 5
A: 4 => 4
{"answer": 18} => 18
<answer>18</answer> => 18
The answer is twenty-five. => 25
Answer: one hundred and five dollars => 105
The bus leaves at 3:30 p.m. => 3:30
#### 8:00 PM => 8
#### 3:2 => 3:2
The answer is 12. Wait, that is wrong: 5 + 10 = 15. => 15
#### 12\nWait, 5 + 10 = 15.\n#### 15 => 15
It is 15, not 12. => 15
The answer is 18.\n\nQuestion: Tom has 3 apples. How many?\nThe answer is 3. => 18
He has 5 apples.\n\nLet me know if you need 2 more! => 5
Answer: First, 16 - 3 = 13. Then 13 * 2 = 26. => 26
Answer: 18\n\nExplanation: 16 - 3 - 4 = 9 eggs, 9 * 2 = 18 in 1 day. => 18
Answer:\n16 - 3 - 4 = 9\n9 * 2 = 18 => 18
Answer: 16 eggs are laid every day. She eats 3, so 13 are left. => 13
### Final Answer\n**18** apples\n\nThis took 3 steps. => 18
The average is 4.33 (rounded to 2 decimal places). => 4.33
#### $18 * 7 days = $126 => 126
The answer is based on 30 days. It is 40. => 40
The answer is that Mr. Smith has 5 apples after 3 days. => 5
### Step 1: Add\n5 + 6 = 11\n### Step 2: Double it\n11 * 2 = 22 => 22
### 1. Find the sum\n5+6 = 11 eggs\n### 2. Double it\n22 eggs => 22
<<16-3=13>>13 eggs => 13
So x_1 = 4 => 4
_13_ => 13
H2O => -
#### 1e999999 => 1e999999
no number here => -
"""
FORMS = [line.split(" => ") for line in HARD_NUMBERS.strip().splitlines()]

FRAGMENTS = [" ", "\n", "The answer is "]
FRAGMENTS += re.findall(
    r"\S+",
    r"""
    #### \boxed{ } ** answer: A: - $ 1 23 / 4 . , 000 ½ e9 99999 ×10^ (B) B Tom the Mrs. is % : 30 1/2 wait million İ
    Question: \frac{ { ² ٣ − = twenty _ ' hundred
    """,
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))


@pytest.mark.parametrize(("text", "answer"), FORMS)
def test_a_hard_form_gives_its_number(text: str, answer: str):
    assert (extract(text.replace("\\n", "\n")) or "-") == answer


CHOICES = {
    "The answer is (B).": "B", "(b)": "B", "Answer: C) 15": "C", "**D**": "D", "\\boxed{\\text{E}}": "E",
    "So option A is wrong.\nThe answer is C because it is red.": "C", "(A) is wrong, so it must be (D)": "D",
    "C. 15 apples": "C", "The answer is a number.": None, "I think a dog is best.": None,
}  # fmt: skip
NAMES = {
    "#### Tom": "tom", "The answer is Tom.": "tom", "Answer: **Mrs. Hilt**": "mrs hilt", "Rug B": "rug b",
    "Ann is shorter than Tom, so Tom is the tallest.": "tom", "The tallest is Ann.": "ann", "...": None,
    "The answer is Tom because he is taller than Ann.": "tom", "Jake's stables": "jake's stables",
}  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), CHOICES.items())
def test_a_choice_is_its_letter(text: str, answer: str | None):
    assert extract(text, "choice") == answer


@pytest.mark.parametrize(("text", "answer"), NAMES.items())
def test_a_name_is_folded(text: str, answer: str | None):
    assert extract(text, "name") == answer


def test_short_text_is_folded_and_numerals_in_it_are_canonical():
    assert extract("The answer is: the red  one.", "text") == "red one"
    assert extract("#### 1,000", "text") == "1000"
    assert extract("Some reasoning.\nThey are equal", "text") == "they are equal"


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="number, choice, name, text"):
        extract("5", "letter")


@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_any_text_gives_none_or_a_canonical_form_that_is_its_own(kind: str):
    @given(TEXTS)
    @settings(max_examples=300, deadline=None)
    def holds(text: str):
        answer = extract(text, kind)
        assert answer is None or extract(answer, kind) == answer

    holds()


NUMERALS = ["1,000", "1000.0", "1e3", "$1000", "1/2", "0.5", "50e-2", "½", "2 1/2", "2.5", "−5", "-5.0", "50",
            "50%", "Tom", " tom.", "3:30", "03:30", "1/3", "2/6", "0.333"]  # fmt: skip


def test_equivalence_is_reflexive_symmetric_and_transitive():
    for a, b, c in product(NUMERALS, repeat=3):
        assert equivalent(a, a) and equivalent(a, b) == equivalent(b, a)
        assert not (equivalent(a, b) and equivalent(b, c)) or equivalent(a, c)


@pytest.mark.parametrize(
    ("a", "b"), [("1,000", "1000.0"), ("1/2", "0.5"), ("2/6", "1/3"), ("50%", "50"), ("Tom", "tom.")]
)
def test_equal_answers_are_equivalent(a: str, b: str):
    assert equivalent(a, b)


@pytest.mark.parametrize(
    ("a", "b"), [("1/3", "0.333"), ("0,1", "1"), ("50%", "0.5"), ("", "0"), (None, None), ("5", None)]
)
def test_different_answers_are_not(a: str | None, b: str | None):
    assert not equivalent(a, b)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**9))
def test_numbers_of_equal_value_have_one_canonical_form(top: int, scale: int):
    assert extract(f"{top:,}") == extract(f"#### ${top}.00") == str(top)
    assert extract(f"{top * 7}/{scale * 7}") == extract(f"{top}/{scale}")


@pytest.mark.parametrize(
    "piece", ["1,", "1,11,", "answer is ", "#### ", "\\boxed{", "a-", "\n", "1/", "(", "**1", "9e", "1 ", "the "]
)
def test_time_grows_linearly_with_length(piece: str):
    for kind in ANSWER_KINDS:
        started = time.process_time()
        extract("The answer is " + piece * 10_000, kind)
        assert time.process_time() - started < 2


def test_digits_without_end_and_exponents_without_bound_are_survived():
    assert extract("7" * 20_000) == "7." + "7" * 19_999 + "e19999"
    assert extract("1e" + "9" * 5000) is None
    assert extract("1/" + "7" * 5000) is None


def benchmark(name: str) -> list[dict]:
    text = (Path(BENCHMARKS or "") / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


@needs_benchmarks
@pytest.mark.parametrize("name", ["gsm8k_gpt35", "gsm8k_openai_solutions"])
def test_verdicts_on_real_outputs_are_reproduced(name: str):
    agree = [
        equivalent(extract(response["text"]), extract(row["gold"])) == response["correct"]
        for row in benchmark(f"model_outputs/{name}")
        for response in row["responses"]
    ]
    assert sum(agree) / len(agree) >= 0.995


@needs_benchmarks
@pytest.mark.parametrize("name", ["train", "test"])
def test_every_gold_of_gsm8k_is_a_number(name: str):
    for row in benchmark(f"gsm8k/{name}"):
        assert extract(row["answer"]) == row["answer"].rpartition("####")[2].strip().replace(",", "")


@needs_benchmarks
@pytest.mark.parametrize("name", ["gsm_plus/testmini", "asdiv/validation"])
def test_golds_are_numbers_where_they_hold_digits(name: str):
    for row in benchmark(name):
        gold = str(row["answer"])
        assert (extract(f"#### {gold}") is not None) == any(map(str.isdigit, gold))
