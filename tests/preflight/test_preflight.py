"""The check before a run: what is short is named with a suggested fix, and what a run will take is told from a
probe."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from command_line import crescent
from configured import experiment
from unlisted import save_unlisted

from crescent.core.console import Console, duration
from crescent.core.records import QAPair
from crescent.engines import Completion, Prompt, Sampling, memory
from crescent.engines.model_files import number_count
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights
from crescent.preflight import probe, requirements
from crescent.preflight.forecast import Forecast, forecast
from crescent.preflight.probe import Probe, Step, Written, train_step, write
from crescent.preflight.requirements import check_gpu, disk_needs, is_long, preflight, training_need
from crescent.training import launch

SMALL = ("num_questions=40", "elicit.samples_per_round=20", "vote.draws=2", "eval.limit=20", "tracking=none")


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
    for told in ("free", "elicit", "up to 80 draws", "4 steps of 32 pairs", "total: about"):
        assert told in done.stderr
    assert not (tmp_path / "outputs" / "store" / "artifacts").exists() and not done.stdout.strip()


def test_the_forecast_has_every_stage_and_the_probe_keeps_nothing(tmp_path: Path, console: Console) -> None:
    wanted = experiment(*SMALL, "verify=self", f"store={tmp_path}")
    told = {one.stage: one for one in forecast(wanted, console)}
    assert told["elicit"].tokens > 40 * 10 and told["answer"].tokens > 80 * 10
    assert (told["verify"].work, told["verify"].tokens) == ("40 verdicts", 40 * 16)
    assert all(one.seconds > 0 for one in told.values()) and not list(tmp_path.glob("artifacts/*"))


def test_a_suite_without_tasks_has_no_row_of_the_forecast(tmp_path: Path, console: Console) -> None:
    one = ("num_questions=1", "vote.draws=1", "train.epochs=1", "eval=none")
    told = forecast(experiment(*SMALL, *one, f"store={tmp_path}"), console)
    assert [one.stage for one in told] == ["elicit", "answer", "finetune"]
    assert told[1].work == "up to 1 draw" and told[2].work == "1 step of 32 pairs"


def test_too_little_memory_is_told_before_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    (tmp_path / "memory.max").write_text("2000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    with pytest.raises(ValueError, match=r"memory to generate with organism in float32 on cpu: \d+ MB needed, 1"):
        preflight(experiment(f"store={tmp_path}"), tmp_path, console)


@pytest.mark.parametrize(
    ("device", "hidden", "overrides", "refused"),
    [
        ("cpu", None, (), True),
        ("cuda", None, (), False),
        ("cpu", "", (), False),  # hidden on purpose
        ("cpu", None, ("runtime=ray", "runtime.gpus_per_worker=1"), True),  # it is trained here
    ],
)
def test_a_large_model_without_a_gpu_is_refused_with_the_way_round(
    device: str, hidden: str | None, overrides: tuple[str, ...], refused: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(requirements, "number_count", lambda folder: 8_030_000_000)
    monkeypatch.setattr(requirements, "best_device", lambda: device)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    large = experiment(f"store={tmp_path}", *overrides)
    if not refused:
        check_gpu(large)
        return
    with pytest.raises(ValueError, match=r"8\.0 billion parameters, and torch finds no GPU here.*check=false"):
        check_gpu(large)


def test_a_small_model_needs_no_gpu(tmp_path: Path) -> None:
    check_gpu(experiment(f"store={tmp_path}"))


def test_too_little_disk_is_told_with_the_key_that_moves_the_store(tmp_path: Path, console: Console) -> None:
    huge = experiment(f"store={tmp_path}", "num_questions=1000000000000")
    with pytest.raises(ValueError, match=r"disk for the store .* free. Make room there, or choose store=DIR"):
        preflight(huge, tmp_path, console)


def test_what_training_writes_counts_as_disk(tmp_path: Path) -> None:
    iterated = experiment("train=full", "iterations=3", "distill=self")
    none, some = (next(disk_needs(iterated, count, tmp_path)).bytes for count in (0, 1000))
    assert some - none == 2 * 12 * 1000 + 3 * 4 * 1000  # two checkpoints, and a model in float32 for each iteration


def test_processes_without_gpus_share_the_memory_that_training_needs() -> None:
    assert training_need(experiment("train.devices=3"), 1000).bytes == 3 * training_need(experiment(), 1000).bytes


def test_room_for_a_model_is_asked_for_before_it_is_fetched(tmp_path: Path) -> None:
    with hub(size=10**16) as url:
        environment = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hub")}
        done = crescent(tmp_path, "model.path=lab/huge", "tracking=none", **environment)
    message = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "disk to download lab/huge" in message and "set HF_HOME" in message


def test_a_check_is_made_unasked_where_the_model_is_elsewhere_but_not_for_a_small_one() -> None:
    assert is_long(experiment("engine=server")) and not is_long(experiment())


def test_a_check_is_made_unasked_where_a_small_model_has_much_to_write() -> None:
    assert is_long(experiment("num_questions=75000", "iterations=3"))


def test_numbers_are_counted_from_headers(tiny_llama: Path) -> None:
    from crescent.engines.weights import load

    model, _ = load(Weights("tiny", str(tiny_llama)), "cpu")
    assert number_count(tiny_llama) == model.num_parameters()


PROBE = Probe(
    round_tokens=40.0, questions=0.5, tokens_per_second=1000.0, scoring_tokens_per_second=100.0, answer_tokens=10.0,
    pairs=[QAPair(str(n), "Q", "A", "1", 1, 1, 1.0) for n in range(4)],
)  # fmt: skip


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds and 200 tokens a step of 4 pairs."""
    monkeypatch.setattr("crescent.preflight.forecast.measure", lambda *given: PROBE)
    monkeypatch.setattr("crescent.preflight.forecast.train_step", lambda *given: Step(2.0, 200, 4))


def told(console: Console, *overrides: str) -> dict[str, Forecast]:
    return {one.stage: one for one in forecast(experiment(*SMALL, *overrides), console)}


@pytest.mark.usefixtures("probed")
def test_a_forecast_counts_every_iteration(console: Console) -> None:
    once, often = told(console), told(console, "iterations=3")
    assert all(often[stage].tokens == 3 * once[stage].tokens for stage in ("elicit", "answer", "finetune"))
    assert often["finetune"].seconds == 3 * once["finetune"].seconds
    assert often["evaluate"].tokens == 2 * once["evaluate"].tokens  # base and three students
    assert told(console, "iterations=3", "iterate.data=accumulate")["finetune"].seconds == 6 * once["finetune"].seconds


@pytest.mark.usefixtures("probed")
def test_a_forecast_counts_prompting_baselines_and_the_rate_of_the_engine_that_scores(console: Console) -> None:
    plain = told(console, "eval.shots=[0]")["evaluate"]
    prompted = told(console, "eval.shots=[0]", "prompting=[zero_shot_cot,self_consistency,self_refine]")["evaluate"]
    assert prompted.tokens >= plain.tokens + (1 + 10 + 7) * 10 * 20 and plain.seconds == plain.tokens / 100.0


@pytest.mark.usefixtures("probed")
def test_a_forecast_divides_generation_by_the_workers_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    alone, shared = told(Console())["answer"], told(Console(), "runtime=ray", "runtime.workers=4")["answer"]
    assert shared.seconds == alone.seconds / 4
    assert "each of 4 workers is assumed to be as fast" in capsys.readouterr().err


@pytest.mark.parametrize(("devices", "processes"), [(1, 0), (2, 2)])
def test_the_training_probe_runs_on_as_many_devices_as_the_run_and_leaves_nothing(
    devices: int, processes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start, started = launch._process, []
    monkeypatch.setattr(launch, "_process", lambda *given: started.append(given) or start(*given))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    wanted = experiment(f"train.devices={devices}")
    step = train_step(wanted, PROBE.pairs, Console(quiet=True))
    assert step.seconds > 0 and step.tokens > 4 and len(started) == processes and not list(tmp_path.iterdir())


def test_a_probe_of_which_nothing_can_be_trained_on_says_why() -> None:
    wanted = experiment("train.max_length=2")
    with pytest.raises(ValueError, match=r"none of the 4 answers .*train\.max_length=2 \(raise it\)"):
        train_step(wanted, PROBE.pairs, Console(quiet=True))


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (600, "10 min"), (12_060, "3 h 21 min")])
def test_a_duration_is_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_end_of_turn_that_a_model_does_not_list_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_unlisted(tmp_path / "model")
    made = experiment("model=hf", f"model.path={folder}", f"store={tmp_path}").resolved()
    preflight(made, tmp_path, Console())
    told = " ".join(capsys.readouterr().err.split())
    assert "its chat template ends a turn with <|end|>, its generation config lists <s>: answers end at either" in told


def test_an_end_of_turn_that_a_model_lists_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preflight(experiment(f"store={tmp_path}"), tmp_path, Console())
    assert "ends a turn" not in capsys.readouterr().err


def test_a_probe_of_unclosed_thoughts_tells_so(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    thought = Completion("<think>Hm. How many apples are there?", "length", 3, 9, -0.1)
    monkeypatch.setattr(TransformersEngine, "generate", lambda engine, prompts, *given: [thought] * len(prompts))
    with pytest.raises(ValueError, match=r"none of 64 answers .*\(unclosed thought: 64, finish_reason length: 64\)"):
        forecast(experiment(*SMALL, f"store={tmp_path}"), console)


def test_a_probe_without_questions_tells_how_its_texts_ended(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = Completion("Tom has 5 apples. How", "abort", 3, 9, -0.1)
    monkeypatch.setattr(TransformersEngine, "generate", lambda engine, prompts, *given: [given_up] * len(prompts))
    with pytest.raises(ValueError, match=r"none of 64 answers .*\(unfinished: 64, finish_reason abort: 64\)"):
        forecast(experiment(*SMALL, f"store={tmp_path}"), console)


class Slow:
    """Writes one token in `seconds` whatever the batch; every text has `length` tokens."""

    def __init__(self, seconds: float, length: int) -> None:
        self.seconds, self.length, self.asked = seconds, length, list[tuple[int, int]]()

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        limit = sampling.max_new_tokens
        self.asked.append((len(prompts), limit))
        time.sleep(self.seconds * len(prompts) * min(limit, self.length))
        finish = "stop" if self.length <= limit else "length"
        return [Completion("x", finish, 1, min(limit, self.length), 0.0) for _ in prompts]


def test_a_probe_of_a_slow_model_asks_for_less(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.4)
    slow, prompts = Slow(0.001, 100), [Prompt("x", draw) for draw in range(64)]
    made = write(slow, prompts, Sampling(max_new_tokens=2048), console, "x")  # type: ignore[arg-type]
    assert slow.asked[:2] == [(1, 1), (8, 16)] and slow.asked[-1][0] == 8 and 16 < slow.asked[-1][1] < 60
    assert not made.ended and made.length == 2048  # none ended: all that is known is the limit


def test_a_probe_of_a_fast_model_asks_for_everything(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    fast, prompts = Slow(0.00001, 20), [Prompt("x", draw) for draw in range(64)]
    made = write(fast, prompts, Sampling(max_new_tokens=40), console, "x")  # type: ignore[arg-type]
    assert fast.asked == [(1, 1), (8, 16), (64, 40)] and made.length == 20 and len(made.ended) == 64


def test_lengths_are_estimated_from_texts_that_were_cut() -> None:
    def text(tokens: int, finish: str) -> Completion:
        return Completion("x", finish, 1, tokens, 0.0)

    made = Written([text(10, "stop"), text(30, "stop"), text(40, "length")], 1.0, limit=40, full_limit=2000)
    assert made.length == 40.0 and len(made.ended) == 2  # 80 tokens for two texts that ended
