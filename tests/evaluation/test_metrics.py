import math

import pytest

from crescent.core.records import TaskScore
from crescent.evaluation.metrics import primaries, task_scores
from crescent.evaluation.samples import merge

TABLE = {
    "alias": "t", "sample_len": 3, "acc,none": 0.5, "acc_stderr,none": 0.1, "acc_norm,none": 0.6,
    "acc_norm_stderr,none": "N/A",
}  # fmt: skip


def test_the_first_wish_that_is_reported_is_primary() -> None:
    assert primaries(task_scores("t", 0, TABLE), ("exact_match", "acc_norm", "acc")) == [False, True]


def test_each_part_of_a_task_has_a_primary_and_no_cost_is_one() -> None:
    parts = [TaskScore(task, 0, metric, "none", 0.5, 0.1, 3) for task in ("t", "t/a") for metric in ("f1", "acc")]
    cost = TaskScore("t", 0, "new_tokens", "none", 40.0, 1.0, 3)
    assert primaries([*parts, cost], ("new_tokens", "acc")) == [False, True, False, True, False]


def test_a_standard_error_that_is_not_given_is_zero() -> None:
    assert [score.stderr for score in task_scores("t", 0, TABLE)] == [0.1, 0.0]


def test_a_value_that_is_no_number_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    scores = task_scores("t", 5, {**TABLE, "f1,none": math.nan})
    assert [score.metric for score in scores] == ["acc", "acc_norm"]
    assert "t, 5-shot: f1,none is nan; skipped" in caplog.text


def test_a_task_that_reports_none_of_the_wishes_says_what_it_reports() -> None:
    with pytest.raises(
        ValueError, match=r"eval\.primary names none of the metrics of task t \(acc,none, acc_norm,none\)"
    ):
        primaries(task_scores("t", 0, TABLE), ("exact_match",))


def test_a_task_that_reports_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="task t reports no finite number"):
        task_scores("t", 0, {"sample_len": 3, "f1,none": math.nan})


def test_samples_hold_json_even_where_metrics_do_not() -> None:
    seen = {
        "doc_id": 0, "doc_hash": "h", "doc": {"weight": math.inf}, "arguments": [("p",)], "prompt_hash": "q",
        "target": 1, "resps": [[(-math.inf, True)], [(-1.0, False)]], "filtered_resps": [(-math.inf, True)],
        "filter": "none", "metrics": ["f1", "acc"], "f1": (1, 2), "acc": 1,
    }  # fmt: skip
    (sample,) = merge({"t": [seen]})
    assert sample["doc"] == {"weight": None} and sample["metrics"] == {"acc,none": 1.0}
    assert sample["response"] == [[None, True], [-1.0, False]]
