"""Pairs are selected between vote and training, by a rule."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from configured import composed, experiment
from numpy.typing import NDArray
from stage_context import stage_context

from crescent.config.typed import ConfigError
from crescent.core.errors import UserError
from crescent.core.records import QAPair
from crescent.core.store import Artifact, Key, Outcome, Store
from crescent.experiment import Experiment
from crescent.selection import Agreement, AllPairs, Chosen, Diverse, Selection
from crescent.selection.stage import SelectPairs
from crescent.training.subset_stage import Gather


def pairs_of(store: Store, *agreements: float) -> Artifact:
    """Pairs q0, q1, ...: q0 to q4 about one thing, q5 to q9 about another."""
    made = [
        QAPair(f"q{index}", f"question {index}", "so 1", "1", round(5 * share), 5, share)
        for index, share in enumerate(agreements)
    ]
    return store.build(Key("vote", 1, {"agreements": list(agreements)}), lambda work: Outcome(made))


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[1, 0] if int(text.split()[1]) < 5 else [0, 1] for text in texts], np.float32)


def selected(store: Store, settings: Selection, *agreements: float) -> Artifact:
    context = stage_context(store, embed=embed if settings.uses_embeddings else None)
    return context.run(SelectPairs(settings), pairs_of(store, *agreements))


def ids(pairs: Artifact) -> list[str]:
    return [pair.question_id for pair in pairs.read(QAPair)]


def test_a_band_keeps_what_the_model_half_knows_and_counts_the_rest_by_reason(store: Store) -> None:
    kept = selected(store, Agreement(), 0.2, 0.4, 1.0, 0.8, 0.6, 1.0)
    assert ids(kept) == ["q1", "q3", "q4"]
    assert {name: kept.info[name] for name in ("pairs", "of", "mean_agreement")} == {
        "pairs": 3, "of": 6, "mean_agreement": 0.6,
    }  # fmt: skip
    assert kept.info["thrown_away"] == {
        "agreement below 0.3": {"count": 1, "examples": ["question 0"]},
        "agreement above 0.8": {"count": 2, "examples": ["question 2", "question 5"]},
    }


def test_the_limits_of_a_band_are_included_as_far_as_an_agreement_is_exact(store: Store) -> None:
    assert ids(selected(store, Agreement(min=1 / 3, max=2 / 3), 0.3333, 0.6667, 0.7, 0.3)) == ["q0", "q1"]


def test_the_most_diverse_pairs_come_first_so_that_fewer_of_them_are_so_too(store: Store) -> None:
    pairs = pairs_of(store, *[0.6] * 10)
    context = stage_context(store, embed=embed)
    kept = context.run(SelectPairs(Diverse(count=4)), pairs)
    assert ids(kept) == ["q0", "q5", "q1", "q2"]
    assert kept.info["thrown_away"]["covered by other questions"]["count"] == 6
    assert (kept.info["coverage"], kept.info["coverage_of_first"]) == (1.0, 0.5)
    assert ids(context.run(Gather(2), kept)) == ["q0", "q5"]


@pytest.mark.parametrize(("share", "kept"), [(0.5, 5), (0.01, 1), (1.0, 10), (0.41, 5)])
def test_a_share_of_the_pairs_is_rounded_up(share: float, kept: int, store: Store) -> None:
    assert selected(store, Diverse(share=share), *[0.6] * 10).records == kept


def test_a_count_above_the_number_of_pairs_keeps_them_all(store: Store) -> None:
    assert selected(store, Diverse(count=99), *[0.6] * 3).records == 3


def test_all_pairs_pass_as_they_are(store: Store) -> None:
    pairs = pairs_of(store, 0.6)
    assert stage_context(store).run(SelectPairs(AllPairs()), pairs) is pairs


def test_only_a_rule_that_embeds_depends_on_the_embedder_and_a_count_not_on_the_share() -> None:
    def inputs(settings: Selection) -> int:
        key = SelectPairs(settings).key(stage_context(Store(Path())).models, "pairs")
        return 0 if key is None else len(key.inputs)

    assert [inputs(one) for one in (AllPairs(), Agreement(), Diverse())] == [0, 1, 2]
    assert Diverse(count=3, share=0.5) == Diverse(count=3, share=0.9)


def test_an_empty_band_is_named_with_what_there_is(store: Store) -> None:
    message = r"keeps none of the 3 pairs: .* \(1 are below, 2 above\)\. They lie between 0.2 and 1: widen select.min"
    with pytest.raises(UserError, match=message):
        selected(store, Agreement(min=0.5, max=0.7), 0.2, 0.8, 1.0)


MISTAKES = [
    ("select=agreement select.min=0.9", "select.min is 0.9, above select.max=0.8"),
    ("select=agreement select.max=80", "select.max is 80.0; it must be a share of the votes, from 0 to 1"),
    ("select=agreement vote=single", "with vote.draws=1 an agreement is 1; widen select.min and select.max, or raise"),
    ("select=agreement select.min=0.45 select.max=0.55", "with vote.draws=5 an agreement is 0.2, 0.4, 0.6, 0.8, 1;"),
    ("select=agreement vote.min_agreement=0.9", "vote.min_agreement is 0.9, above select.max=0.8"),
    ("select=diverse select.count=0", "select.count is 0; it must be at least 1"),
    ("select=diverse select.share=0", "select.share is 0.0; it must be a share of the pairs"),
    ("select=diverse select.share=null", "select.count and select.share are both null"),
]


@pytest.mark.parametrize(("overrides", "message"), MISTAKES)
def test_bands_and_counts_that_cannot_work_are_refused_before_anything_is_drawn(overrides: str, message: str) -> None:
    with pytest.raises((ConfigError, UserError), match=re.escape(message)):
        experiment(*overrides.split())


def test_a_band_that_the_vote_of_a_seeded_source_does_not_decide_is_not_judged_by_that_vote() -> None:
    assert experiment("select=agreement", "vote=single", "source=seed_gold").select.name == "agreement"
    assert experiment("select=agreement", "vote=adaptive", "select.min=0.51", "select.max=0.52").select.name


def test_the_rule_in_the_docs_is_built_from_its_yaml_and_chooses(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    code, node = (re.search(rf"^```{kind}\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for kind in ("python", "yaml"))
    assert code and node
    (tmp_path / "my_selection.py").write_text(code[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_selection", raising=False)
    rule = Experiment.from_node({**composed(), "select": yaml.safe_load(node[1])}).select
    kept = selected(store, rule, 0.2, 0.4, 1.0)
    assert ids(kept) == ["q0", "q1"]
    assert kept.info["thrown_away"] == {"long response": {"count": 1, "examples": ["question 2"]}}


def test_what_a_rule_gives_no_reason_for_is_counted(store: Store) -> None:
    kept = selected(store, Given((2, 0)), 0.2, 0.4, 1.0)
    assert ids(kept) == ["q2", "q0"]
    assert kept.info["thrown_away"] == {"not selected": {"count": 1, "examples": ["question 1"]}}


@dataclass(frozen=True)
class Given:
    """A rule that chooses the indices that it was given."""

    chosen: tuple[int, ...]
    name: str = "given"
    uses_embeddings: bool = False

    def choose(self, pairs: Sequence[QAPair], embed: object) -> Chosen:
        return Chosen(self.chosen)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [((), "select=given keeps none of 2 pairs"), ((0, 0), "select=given chose an index twice"),
     ((2,), "not from 0 to 1")],
)  # fmt: skip
def test_a_rule_that_chooses_what_is_not_there_is_refused(chosen: tuple[int, ...], message: str, store: Store) -> None:
    with pytest.raises(UserError, match=message):
        selected(store, Given(chosen), 0.6, 0.8)
