"""The check before a run: what is short is named with its mend, and what a run will take is told from a probe."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from test_cli import crescent
from test_configs import experiment

from crescent.console import Console, duration
from crescent.engines import memory
from crescent.engines.weights import Weights, number_count
from crescent.forecast import forecast
from crescent.preflight import is_long, preflight

SMALL = ("num_questions=40", "elicit.round_size=20", "vote.draws=2", "eval.limit=20", "tracking=none")


@contextmanager
def hub(size: int) -> Iterator[str]:
    """A hub on loopback that knows one model, of which one file has `size` bytes."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files = [{"rfilename": "model.safetensors", "size": size}, {"rfilename": "notes.txt", "size": 1 << 60}]
            body = json.dumps({"id": "lab/huge", "sha": "0" * 40, "siblings": files}).encode()
            self.send_response(200 if self.path.startswith("/api/models/lab/huge?") else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_check_tells_what_a_run_will_take_and_runs_nothing_more(tmp_path: Path) -> None:
    done = crescent(tmp_path, "check=true", *SMALL)
    assert done.returncode == 0, done.stderr
    for told in ("free", "elicit", "up to 80 draws", "4 steps of 32 pairs", "together about"):
        assert told in done.stderr
    kept = {folder.name for folder in (tmp_path / "outputs" / "store" / "artifacts").iterdir()}
    assert kept == {"elicit"} and not done.stdout.strip()


def test_the_probe_is_the_first_round_of_the_run(tmp_path: Path, console: Console) -> None:
    wanted = experiment(*SMALL, f"store={tmp_path}")
    told = {one.stage: one for one in forecast(wanted, console)}
    assert told["elicit"].tokens > 40 * 10 and told["answer"].tokens > 80 * 10
    assert all(one.seconds > 0 for one in told.values()) and len(list(tmp_path.glob("artifacts/elicit/*"))) == 1


def test_too_little_memory_is_told_before_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    (tmp_path / "memory.max").write_text("2000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    with pytest.raises(
        ValueError, match=r"memory to generate with organism in float32 on cpu: \d+ MB are needed and 1"
    ):
        preflight(experiment(f"store={tmp_path}"), tmp_path, console)


def test_too_little_disk_is_told_with_the_key_that_moves_the_store(tmp_path: Path, console: Console) -> None:
    huge = experiment(f"store={tmp_path}", "num_questions=1000000000000")
    with pytest.raises(ValueError, match=r"disk for the store .* are free. Make room there, or choose store=DIR"):
        preflight(huge, tmp_path, console)


def test_room_for_a_model_is_asked_for_before_it_is_fetched(tmp_path: Path) -> None:
    with hub(size=10**16) as url:
        environment = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hub")}
        done = crescent(tmp_path, "model.path=lab/huge", "tracking=none", **environment)
    message = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "disk to fetch lab/huge" in message and "set HF_HOME" in message


def test_a_check_is_made_unasked_where_the_model_is_elsewhere_but_not_for_a_small_one() -> None:
    assert is_long(experiment("engine=server")) and not is_long(experiment())


def test_numbers_are_counted_from_headers(tiny_llama: Path) -> None:
    from crescent.engines.weights import load

    model, _ = load(Weights("tiny", str(tiny_llama)), "cpu")
    assert number_count(tiny_llama) == model.num_parameters()


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (600, "10 min"), (12_060, "3 h 21 min")])
def test_a_duration_is_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
