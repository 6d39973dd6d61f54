"""Generation and embedding over a real Ray cluster of two workers, one of which is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from processes import children, commands, ended
from test_end_to_end import command, contents, crescent

from crescent.config.resolvers import PACKAGE
from crescent.config.typed import ConfigError
from crescent.engines import Prompt, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights
from crescent.runtime.cluster import Cluster, ClusterSettings
from crescent.runtime.local import RayBackend, RayRuntime
from crescent.similarity import EmbedderSettings

ORGANISM = Weights("organism", str(PACKAGE / "organism" / "weights" / "organism"))
SAMPLING = Sampling(max_new_tokens=60, seed=3)
PROMPTS = [Prompt(f"What is {number} + 2?", draw) for draw in range(2) for number in range(24)]
TEXTS = [f"How many apples are {number} apples and {number} pears?" * (1 + number % 3) for number in range(40)]


def workers(pid: int) -> list[int]:
    """The Ray workers below `pid` that run our code."""
    return [child for child, text in commands(children(pid)).items() if text.startswith("ray::Worker")]


def test_a_killed_worker_changes_nothing_and_nothing_comes_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = TransformersSettings(device="cpu").build(ORGANISM, "key")
    heard: list[int] = []
    before = children(os.getpid())
    capfd.readouterr()
    with RayRuntime(workers=2, shard=8).start() as place:
        assert isinstance(place, RayBackend)
        engine = place.engine(TransformersSettings(device="cpu"), ORGANISM, "key")

        def kill_one(index: int, _made: object) -> None:
            if not heard:
                os.kill(workers(os.getpid())[0], signal.SIGKILL)
            heard.append(index)

        made = engine.generate(PROMPTS, SAMPLING, kill_one)
        vectors = place.embedder(EmbedderSettings(), tmp_path).embed(TEXTS)
        processes = children(os.getpid()) - before
    assert "a worker was lost" in caplog.text and capfd.readouterr() == ("", "")
    assert made == plain.generate(PROMPTS, SAMPLING) and sorted(heard) == list(range(48))
    assert np.array_equal(vectors, EmbedderSettings().build().embed(TEXTS))
    assert len(processes) > 2 and ended(processes, 20)


def test_a_machine_with_room_for_too_few_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one_gpu = SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0, "GPU": 1.0}, shutdown=lambda: None)
    monkeypatch.setattr("crescent.runtime.cluster._connect", lambda settings: one_gpu)
    with pytest.raises(ValueError, match=r"this machine has room for 1 of runtime.workers=2: it has 8 CPUs, 1 GPUs"):
        Cluster(ClusterSettings(None, 2, 1, 1))


@pytest.mark.slow
def test_a_joined_cluster_with_room_for_fewer_workers_does_all_the_work(caplog: pytest.LogCaptureFixture) -> None:
    from ray.cluster_utils import Cluster as RayCluster

    head = RayCluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with RayRuntime(address=head.address, workers=3, shard=8).start() as place:
            engine = place.engine(TransformersSettings(device="cpu"), ORGANISM, "key")
            made = engine.generate(PROMPTS, SAMPLING)
            engine.close()
    finally:
        head.shutdown()
    assert "room for 1 of runtime.workers=3" in caplog.text
    assert made == TransformersSettings(device="cpu").build(ORGANISM, "key").generate(PROMPTS, SAMPLING)


def test_ray_that_is_not_installed_is_said_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'crescent-lm\[ray\]'"):
        RayRuntime().check()


def test_a_run_in_this_process_imports_no_ray() -> None:
    code = "import crescent.experiment, sys; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


RAY = ("runtime=ray", "runtime.shard=4", "tracking=none")


def finished(folder: Path) -> int:
    """Bytes of completions on disk, committed or not."""
    return sum(file.stat().st_size for kind in ("work", "artifacts", "ledgers")
               for file in (folder / "outputs" / "store" / kind).rglob("*.jsonl"))  # fmt: skip


def start(folder: Path) -> subprocess.Popen[str]:
    """A run on Ray, as soon as it has finished completions of its own."""
    before = finished(folder)
    process = subprocess.Popen(command(*RAY), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 240
    while finished(folder) == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_run_on_ray_ends_with_the_bytes_of_one_in_this_process(tmp_path: Path) -> None:
    plain, ray = tmp_path / "plain", tmp_path / "ray"
    for folder in (plain, ray):
        folder.mkdir()
    crescent(plain, "tracking=none")
    driver = start(ray)
    ours, processes = workers(driver.pid), children(driver.pid)
    driver.kill()
    driver.communicate()
    assert ended(set(ours), 20) and ended(processes, 120)  # Ray's own agents look every minute
    driver = start(ray)
    os.kill(workers(driver.pid)[0], signal.SIGKILL)
    _, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0 and "a worker was lost" in errors, errors
    assert contents(ray / "outputs" / "store") == contents(plain / "outputs" / "store")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("runtime.gpus_per_worker=64", "this machine has room for 0 of runtime.workers=2"),
        ("runtime.address=127.0.0.1:1", "no Ray cluster can be reached there"),
    ],
)
def test_a_cluster_that_cannot_be_had_ends_in_one_line(override: str, message: str, tmp_path: Path) -> None:
    done = subprocess.run(command(*RAY, override), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and message in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
