"""Made-up sweeps in the real files, once a session."""

from pathlib import Path

import pytest

from .synthetic_sweep import Sweep

SCRIPT = '<script>document.title = "broken"</script><img src=x onerror="document.title=1"> & "quoted" '


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 x 2 configurations in 3 seeds, 200 items of two tasks."""
    folder = tmp_path_factory.mktemp("sweep")
    small = Sweep(folder, ("none", "rejection"), (1, 5), tasks=("gsm", "plus"), shots=(0,), items=200, questions=60)
    return small.build()


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations whose questions hold HTML and a script."""
    folder = tmp_path_factory.mktemp("hostile")
    small = Sweep(
        folder, ("none", "rejection"), (5,), (0,), ("gsm",), shots=(0,), items=120, questions=60, prefix=SCRIPT
    )
    return small.build()


@pytest.fixture(scope="session")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One configuration in two seeds, its base under two prompting baselines as well; each task has a part."""
    sweep = Sweep(
        tmp_path_factory.mktemp("prompted"), ("rejection",), (5,), (0, 1), ("gsm",), shots=(0,), items=120,
        questions=20, promptings=("zero_shot_cot", "few_shot"), parts=True,
    )  # fmt: skip
    return sweep.build()


@pytest.fixture(scope="session")
def iterations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations in three seeds, of three iterations each."""
    sweep = Sweep(
        tmp_path_factory.mktemp("iterations"), ("none", "rejection"), (5,), (0, 1, 2), ("gsm",), shots=(0,), items=120,
        questions=20, promptings=("zero_shot_cot",), iterations=3,
    )  # fmt: skip
    return sweep.build()


@pytest.fixture(scope="session")
def reasoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One configuration whose base was asked to reason as well."""
    folder = tmp_path_factory.mktemp("reasoned")
    asked = ("zero_shot_cot",)
    return Sweep(folder, ("none",), (5,), (0,), ("gsm",), (0,), items=200, questions=20, promptings=asked).build()


@pytest.fixture(scope="session")
def two_iterations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One configuration in three seeds of two iterations."""
    folder = tmp_path_factory.mktemp("two_iterations")
    return Sweep(folder, ("none",), (1,), (0, 1, 2), ("gsm",), (0,), items=400, questions=20, iterations=2).build()
