"""Data sets of the hub in the cache of `datasets`: here or not, by configuration, and in which revision."""

import os
from pathlib import Path
from typing import Any

import pytest

from crescent.evaluation import catalogue, harness, hub
from crescent.evaluation.data import describe, needs
from crescent.evaluation.hub import HubData
from crescent.evaluation.settings import EvaluationSettings

from .general_files import FOLDER, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that does not answer."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub._newest.cache_clear()
    return tmp_path


def keep(cache: Path, name: str, revision: str, made_at: int = 0) -> Path:
    """A folder as `datasets` leaves it."""
    folder = cache / name / "0.0.0" / revision
    folder.mkdir(parents=True)
    os.utime(folder, (made_at, made_at))
    return folder


def test_another_configuration_of_a_data_set_does_not_make_this_one_there(cache: Path) -> None:
    folder = keep(cache, "cais___mmlu/anatomy", "a1")
    assert HubData("cais/mmlu", "anatomy").cached() == folder
    assert HubData("cais/mmlu", "virology").cached() is None


def test_a_data_set_that_is_half_prepared_is_not_there(cache: Path) -> None:
    keep(cache, "openai___gsm8k/main", "a1.incomplete")
    assert HubData("openai/gsm8k", "main").cached() is None


def test_a_folder_of_the_cache_is_named_as_datasets_names_it(cache: Path) -> None:
    folder = keep(cache, "Owner___big_set/default", "a1")
    assert HubData("Owner/BigSet").cached() == folder


def test_one_subject_in_the_cache_is_not_all_of_mmlu(cache: Path) -> None:
    keep(cache, "cais___mmlu/anatomy", "a1")
    suite = EvaluationSettings("x", ("mmlu",), (FOLDER,))
    with pytest.raises(ValueError, match=r"task mmlu: data set cais/mmlu \(\w+\) is not on this machine"):
        harness.check(suite)
    lines = describe(needs(suite, cache / "none"), cache / "none", False)
    assert lines[0] == "mmlu (57 data sets): MISSING" and lines[1].endswith("1 of 57 configurations in the cache")


def key(data: Path | None = None) -> dict[str, Any]:
    """Of gsm8k, from the hub or from the files in `data`."""
    suite = EvaluationSettings("x", ("gsm8k",), (FOLDER,), str(data) if data else None)
    return catalogue.find(suite)[0].key()


def test_a_revised_data_set_has_another_key(cache: Path) -> None:
    keep(cache, "openai___gsm8k/main", "a1", made_at=1)
    assert key() == key() and key()["hub"] == {"openai/gsm8k (main)": "a1"}
    keep(cache, "openai___gsm8k/main", "b2", made_at=2)
    assert key()["hub"] == {"openai/gsm8k (main)": "b2"}


def test_the_hub_is_no_part_of_the_key_of_files(cache: Path) -> None:
    for split in ("train", "test"):
        write(cache / "files" / "gsm8k" / f"{split}.jsonl", [{"question": "1?", "answer": "#### 1"}])
    before = key(cache / "files")
    keep(cache, "openai___gsm8k/main", "a1")
    assert key(cache / "files") == before


def test_where_the_hub_answers_its_newest_revision_counts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(cache, "openai___gsm8k/main", "a1")
    monkeypatch.setattr(hub, "ask", lambda path: "c3")
    assert HubData("openai/gsm8k", "main").revision() == "c3"


def test_a_group_reads_the_data_sets_of_all_its_tasks_wherever_they_are() -> None:
    (source,) = catalogue.find(EvaluationSettings("x", ("openllm",)))
    assert {HubData("openai/gsm8k", "main"), HubData("cais/mmlu", "anatomy")} <= set(source.hub)
