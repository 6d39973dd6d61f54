"""A real vLLM server on loopback, started from the environment that the tests run in, and ended by process id.

It needs the package vllm, which lives in an environment of its own: `make test-vllm` makes it and runs these tests.
"""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

_SPEC = importlib.util.find_spec("vllm")
NEEDS_VLLM = (
    pytest.mark.skipif(
        _SPEC is None or _SPEC.origin is None, reason="vLLM is not installed here; `make test-vllm` runs this"
    ),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, of torch and of itself
)
_OPTIONS = (
    "--dtype", "float32", "--max-num-seqs", "64", "--kv-cache-memory-bytes", str(1 << 29), "--enforce-eager",
    # On a CPU a seeded request whose prompt is read in parts ends the server (docs/engines.md).
    "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096", "--disable-uvicorn-access-log",
)  # fmt: skip
_ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


class VllmServer:
    """`with VllmServer(folder, "name", log) as server: server.url`. `kill` is a crash; `start` starts it again."""

    def __init__(self, model: Path, name: str, log: Path) -> None:
        self._model, self._name, self._log = model, name, log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Starts the server; returns before it is ready."""
        module = ("-m", "vllm.entrypoints.openai.api_server")
        place = ("--model", str(self._model), "--served-model-name", self._name, "--host", "127.0.0.1")
        command = [sys.executable, *module, *place, "--port", str(self.port), *_OPTIONS]
        with open(self._log, "ab") as log:
            environment = {**os.environ, **_ENVIRONMENT}
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, cwd=self._log.parent
            )

    def wait(self, seconds: float = 300) -> None:
        """Until it answers. Raises RuntimeError with the end of its log if it does not."""
        assert self._process is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        raise RuntimeError(f"vLLM's server did not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL to the server and the processes it started: its group, which is led by the process started here."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to what is left of its group."""
        if self._process is None:
            return
        group = self._process.pid
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._process = None

    def _end(self, sent: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, sent)
        self._process.wait(timeout=30)
        self._process = None

    def __enter__(self) -> "VllmServer":
        self.start()
        self.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
