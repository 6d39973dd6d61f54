"""Dedup strategies on vectors whose similarities are known."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from configured import experiment

from crescent.config.typed import ConfigError
from crescent.dedup import Candidate, Drop, Exact, Judged, KeepAll, MinHash, Paper, Rejection, Rewrite, Tools

ANGLES = {"a": 0, "a2": 20, "a3": 25, "b": 90, "b2": 110, "c": 180, "near a": 28}  # cos 20 = 0.94, cos 28 = 0.88


def embed(texts: Sequence[str]) -> np.ndarray:
    radians = np.deg2rad([ANGLES[text.split("/")[0]] for text in texts])
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def rewriting(answers: dict[str, str | None]) -> tuple[Tools, list[Rewrite]]:
    asked: list[Rewrite] = []

    def rewrite(rewrites: Sequence[Rewrite]) -> list[str | None]:
        asked.extend(rewrites)
        return [answers.get(question) for question, _ in rewrites]

    return Tools(embed, rewrite), asked


def judge(strategy: object, tools: Tools, *rounds: Sequence[str]) -> list[Judged]:
    judge = strategy.open(tools)  # type: ignore[attr-defined]
    return [
        one
        for index, texts in enumerate(rounds)
        for one in judge.judge([Candidate(t, t, index, place) for place, t in enumerate(texts)])
    ]


def kept(judged: Sequence[Judged]) -> list[str]:
    return [one.question.text for one in judged if one.question is not None]


NOTHING, _ = rewriting({})


def test_none_keeps_everything_a_repeat_too() -> None:
    assert kept(judge(KeepAll(), NOTHING, ["a", "a"], ["a2"])) == ["a", "a", "a2"]


def test_exact_drops_what_differs_only_in_case_and_space() -> None:
    judged = judge(Exact(), NOTHING, ["How many?", "how  MANY ?"], ["How many", "How much?"])
    assert kept(judged) == ["How many?", "How much?"]
    assert judged[1].decision.nearest_id == judged[0].decision.question_id


def test_minhash_drops_what_shares_most_of_its_wording() -> None:
    first = "Tom has 12 red apples in a box and gives 5 of them to his sister Ann. How many apples are left?"
    near = first.replace("12 red", "14 red")
    other = "A train goes 60 miles an hour for three hours and then rests. How far has it come by then?"
    judged = judge(MinHash(), NOTHING, [first, other], [near, first.upper()])
    assert kept(judged) == [first, other]
    assert judged[2].decision.nearest_id == judged[0].decision.question_id
    assert judged[2].decision.reason == "74% of its shingles shared"
    assert kept(judge(MinHash(min_jaccard=0.8), NOTHING, [first, near])) == [first, near]
    assert kept(judge(MinHash(min_jaccard=1.0, mask_numbers=True), NOTHING, [first, near])) == [first]


def test_minhash_finds_what_comparing_all_pairs_finds() -> None:
    rng = random.Random(1)
    words = [f"w{n}" for n in range(40)]
    texts = [" ".join(rng.choice(words) for _ in range(6)) for _ in range(150)]
    texts += [" ".join([*text.split()[:5], "new"]) for text in texts[:80]]
    settings = MinHash(min_jaccard=0.6, shingle_words=1)
    strategy = settings.open(NOTHING)
    by_all_pairs: list[frozenset[str]] = []
    for place, text in enumerate(texts):
        shingles = frozenset(text.split())
        new = all(len(shingles & one) / len(shingles | one) < 0.6 for one in by_all_pairs)
        by_all_pairs += [shingles] * new
        assert bool(kept(strategy.judge([Candidate(text, text, 0, place)]))) == new, text


def test_minhash_overlooks_no_pair_above_its_threshold() -> None:
    rng = random.Random(2)
    words = [f"w{n}" for n in range(500)]
    pairs = []
    while len(pairs) < 400:
        first = rng.sample(words, 30)
        second = [*first[: (cut := rng.randrange(10))], *rng.sample(words, rng.randint(1, 3)), *first[cut:]]
        one, other = ({" ".join(said[at : at + 3]) for at in range(len(said) - 2)} for said in (first, second))
        if 0.7 <= len(one & other) / len(one | other) < 0.8:
            pairs.append((" ".join(first), " ".join(second)))
    overlooked = [pair for pair in pairs if len(kept(judge(MinHash(), NOTHING, list(pair)))) == 2]
    assert not overlooked


@pytest.mark.parametrize(
    ("first", "near", "other"),
    [
        (
            "小明有5个苹果，小红又给了他3个苹果。小明现在一共有多少个苹果？",
            "小明有5个苹果，小红又给了他8个苹果。小明现在一共有多少个苹果？",
            "一列火车每小时行驶60公里，三个小时以后它一共走了多少公里？",
        ),
        (
            "太郎君はりんごを5個持っています。花子さんに2個あげました。残りは何個ですか。",
            "太郎君はりんごを7個持っています。花子さんに2個あげました。残りは何個ですか。",
            "電車は1時間に60キロ進みます。3時間で何キロ進みますか。",
        ),
        (
            "ร้านค้ามีแอปเปิ้ล 12 ลูก ขายไป 5 ลูก เหลือแอปเปิ้ลกี่ลูก",
            "ร้านค้ามีแอปเปิ้ล 14 ลูก ขายไป 5 ลูก เหลือแอปเปิ้ลกี่ลูก",
            "รถไฟวิ่งชั่วโมงละ 60 กิโลเมตร สามชั่วโมงวิ่งได้กี่กิโลเมตร",
        ),
    ],
)
def test_minhash_compares_wording_where_a_script_has_no_spaces(first: str, near: str, other: str) -> None:
    assert kept(judge(MinHash(), NOTHING, [first, near, other])) == [first, other]


def test_minhash_refuses_a_sketch_too_small_for_its_threshold() -> None:
    with pytest.raises(ValueError, match=r"dedup.permutations=16 would miss .* give at least 39"):
        MinHash(min_jaccard=0.3, permutations=16)
    MinHash(min_jaccard=0.3, permutations=39)


@pytest.mark.parametrize("text", ["", " ", "?", "\ud800 x", "one"])
def test_minhash_judges_any_text(text: str) -> None:
    assert kept(judge(MinHash(), NOTHING, [text, text])) == [text]


def test_drop_compares_with_earlier_rounds_and_its_own() -> None:
    judged = judge(Drop(min_cosine=0.9), NOTHING, ["a", "a2", "b"], ["b2", "c"])
    assert kept(judged) == ["a", "b", "c"]
    assert judged[1].decision.cosine == pytest.approx(np.cos(np.deg2rad(20)), abs=1e-4)


def test_a_rejected_question_is_judged_again_after_each_rewrite() -> None:
    tools, asked = rewriting({"a2": "a3", "a3": "b"})
    judged = judge(Rejection(min_cosine=0.9, max_rewrites=2), tools, ["a", "a2"])
    assert kept(judged) == ["a", "b"] and asked == [("a2", "a"), ("a3", "a")]
    decision = judged[1].decision
    assert (decision.verdict, decision.rewrites, decision.text) == ("rewritten", 2, "a2")
    assert judged[1].question is not None and judged[1].question.parent_id is not None


def test_a_question_still_similar_after_its_rewrites_is_dropped() -> None:
    tools, asked = rewriting({"a2": "a3", "a3": "a2/again"})
    judged = judge(Rejection(min_cosine=0.9, max_rewrites=2), tools, ["a", "a2"])
    assert kept(judged) == ["a"] and len(asked) == 2
    assert (judged[-1].decision.verdict, judged[-1].decision.rewrites) == ("dropped", 2)


def test_an_unusable_rewrite_is_a_drop_that_says_so() -> None:
    judged = judge(Rejection(min_cosine=0.9), rewriting({"a2": None})[0], ["a", "a2"])
    assert judged[-1].decision.reason == "rewrite without a question"


def test_a_rewrite_that_comes_back_unchanged_is_a_drop_that_says_so() -> None:
    tools, asked = rewriting({"a2": " a2\n"})
    judged = judge(Rejection(min_cosine=0.9), tools, ["a", "a2"])
    assert (judged[-1].decision.reason, len(asked)) == ("rewrite unchanged", 1)


def test_rewrites_of_a_round_are_asked_for_in_one_batch() -> None:
    batches: list[int] = []

    def rewrite(rewrites: Sequence[Rewrite]) -> list[str | None]:
        batches.append(len(rewrites))
        return [None] * len(rewrites)

    judge(Rejection(min_cosine=0.9), Tools(embed, rewrite), ["a", "b", "a2", "b2", "a3"])
    assert batches == [3]


def test_the_paper_drops_the_earlier_of_two_in_a_round() -> None:
    assert kept(judge(Paper(), NOTHING, ["a", "b", "a2"])) == ["b", "a2"]


def test_the_paper_keeps_one_rewrite_against_the_pool_unseen() -> None:
    tools, asked = rewriting({"a2": "a3"})
    judged = judge(Paper(), tools, ["a"], ["a2", "c"])
    assert kept(judged) == ["a", "a3", "c"] and asked == [("a2", "a")]


def test_the_paper_uses_a_higher_threshold_against_the_pool() -> None:
    near = judge(Paper(pool_cosine=0.89), rewriting({})[0], ["a"], ["near a"])
    assert kept(near) == ["a", "near a"] and near[1].decision.verdict == "accepted"


@pytest.mark.parametrize("settings", [{"min_cosine": 1.5}, {"max_rewrites": 0}])
def test_impossible_settings_are_named(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"dedup.{next(iter(settings))} is"):
        Rejection(**settings)


@pytest.mark.parametrize("strategy", ["minhash", "drop", "rejection"])
def test_a_mask_of_numbers_that_is_neither_true_nor_false_is_named(strategy: str) -> None:
    with pytest.raises(ConfigError, match=r"dedup\.mask_numbers is 'x'; it must be true or false"):
        experiment(f"dedup={strategy}", "dedup.mask_numbers=x")
