"""No key of a stage changes unless results are meant to: what is in a user's store is found again."""

import json

import pytest

from tests.golden.stage_keys import FILE, of_presets, of_sweeps

KEYS = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _no_benchmark_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRESCENT_BENCHMARKS", raising=False)


def test_every_stage_of_every_preset_has_its_key() -> None:
    assert of_presets() == KEYS["presets"]


@pytest.mark.slow
def test_every_job_of_every_sweep_has_its_keys() -> None:
    assert of_sweeps() == KEYS["sweeps"]
