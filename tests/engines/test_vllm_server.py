"""engine=server against real vLLM servers: killed and started again, sharing the work, n and log-probabilities.

`make test-vllm` makes the environment that these need.
"""

import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_vllm import NEEDS_VLLM, VllmServer

from crescent.core.store import Store
from crescent.engines import LazyEngine, Prompt, Sampling
from crescent.engines.ledger import Ask, Ledger
from crescent.engines.server import ServerSettings
from crescent.engines.server.engine import ServerEngine
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights

pytestmark = list(NEEDS_VLLM)
ORGANISM = Path(__file__).parents[2] / "crescent" / "organism" / "weights" / "organism"
WEIGHTS = Weights("organism", str(ORGANISM))
THINK = "Tom has {} apples and gives 7 to Ann. How many apples are left? Think step by step."
DRAWN = Sampling(max_new_tokens=80, seed=1)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[VllmServer]]:
    folder = tmp_path_factory.mktemp("servers")
    both = [VllmServer(ORGANISM, "organism", folder / f"{number}.log") for number in (1, 2)]
    try:
        for server in both:
            server.start()
        for server in both:
            server.wait()
        yield both
    finally:
        for server in both:
            server.stop()


def engine(*servers: VllmServer, **limits: Any) -> ServerEngine:
    urls = tuple(server.url for server in servers)
    return ServerSettings(urls, model="organism", patience_seconds=300, **limits).build(WEIGHTS, "w")


def served(server: VllmServer) -> float:
    """Requests that a server has finished, by its own count."""
    with urllib.request.urlopen(server.url.removesuffix("/v1") + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:request_success_total"))


def test_several_samples_come_from_one_request_with_their_log_probabilities(servers: list[VllmServer]) -> None:
    asker = engine(servers[0])
    made = asker.generate([Prompt(THINK.format(90), draw) for draw in range(40)], DRAWN)
    assert not asker._honours.single and asker._honours.logprobs  # what it found out
    assert len({one.text for one in made}) > 3
    assert all(one.mean_logprob < 0 and one.new_tokens > 0 for one in made)


def test_log_probabilities_are_the_model_s_own(servers: list[VllmServer]) -> None:
    greedy = Sampling(temperature=0, max_new_tokens=60)
    questions = [THINK.format(n) for n in range(20, 30)]
    ours = TransformersSettings(device="cpu").build(WEIGHTS, "w").generate(questions, greedy)
    for one, expected in zip(engine(servers[0]).generate(questions, greedy), ours, strict=True):
        assert (one.text, one.new_tokens) == (expected.text, expected.new_tokens)
        assert one.mean_logprob == pytest.approx(expected.mean_logprob, abs=0.011)


def test_two_servers_share_the_work(servers: list[VllmServer]) -> None:
    for server in servers:  # the first request of a server is slow
        engine(server).generate(["How many?"], DRAWN)
    before = [served(server) for server in servers]
    made = engine(*servers, in_flight=32).generate([THINK.format(n) for n in range(200)], DRAWN)
    shares = [served(server) - then for server, then in zip(servers, before, strict=True)]
    assert len(made) == 200 and min(shares) > 20


class Killer:
    """Counts completions as a tally does; at the `at`-th the server is killed, and started again from a thread."""

    def __init__(self, server: VllmServer, at: int) -> None:
        self._server, self._at, self.done = server, at, 0
        self.restart: threading.Thread | None = None

    def complete(self) -> None:
        """The tally's count of completions; this one counts what advances."""

    def advance(self, count: int = 1, note: str | None = None) -> None:
        self.done += count
        if self.restart is None and self.done >= self._at:
            self._server.kill()
            self.restart = threading.Thread(target=self._server.start)
            self.restart.start()


def test_a_server_killed_mid_run_and_started_again_loses_nothing(
    servers: list[VllmServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = servers[1]
    store, lazy = Store(tmp_path), LazyEngine("served", lambda: engine(server, in_flight=16))
    ledger = Ledger(store, lazy, "{question}", DRAWN)
    asks = [Ask(str(n), draw, THINK.format(n)) for draw in range(2) for n in range(150)]
    killer: Any = Killer(server, at=40)
    drawn = ledger.complete(asks, killer)
    assert killer.restart is not None and "is not answering" in caplog.text  # it was gone while work was left
    rows = [json.loads(line) for line in (ledger.folder / "rows.jsonl").read_text().splitlines()]
    named = [(row["question_id"], row["draw"]) for row in rows]
    assert len(named) == len(set(named)) == len(drawn.rows) == 300
    assert all(row["new_tokens"] > 0 for row in rows)
