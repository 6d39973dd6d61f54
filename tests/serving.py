"""An OpenAI-compatible HTTP server on loopback around a real engine, with the faults that real servers have."""

import json
import operator
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.transformers import TransformersSettings
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights


@dataclass
class Behaviour:
    """What this server does otherwise than asked."""

    honours_n: bool = True
    honours_temperature: bool = True
    honours_zero: bool = True
    honours_top_p: bool = True
    ignores: tuple[str, ...] = ()
    """Fields that it takes and does nothing with."""
    honours_limit: bool = True
    honours_stop: bool = True
    gives_logprobs: bool = True
    gives_usage: bool = True
    owned_by: str = ""
    ends_with: str | None = "as it did"
    """The finish reason of every answer, unless it is as it did."""
    reasoning: str | None = None
    """A thought beside the text of a chat answer."""
    content: str | None = "as it is"
    """The text of every chat answer, unless it is as it is."""
    begins_with: str = ""
    """What every text begins with."""
    special: tuple[str, ...] = ()
    """Special tokens, which are in no text unless they are asked for."""
    reads_at_most: int | None = None
    """Prompts are cut to so many tokens, without a word."""
    seconds: float = 0.0
    """An answer takes so much longer."""
    hangs: bool = False
    """It takes a request and never answers."""
    poison: str | None = None
    """A prompt with this text is answered with status 500."""
    cuts: str | None = None
    """A prompt with this text is answered with the first half of an answer, then the connection is closed."""
    models: Any = "as it is"
    """What it lists as its models, unless it is as it is."""
    hollow: str | None = None
    """A prompt with this text is answered with no choice."""
    useless: list[Any] = field(default_factory=list)
    """Answered with status 200, one by one, before it works: text as a web page, bytes as they are, anything else as
    JSON."""
    takes_logprobs: bool = True
    most_tokens: int | None = None
    context: int | None = None
    failures: int = 0
    """Requests that are answered with `failure` before it works again."""
    failure: int = 503
    retry_after: str | None = None
    refuses: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """What is answered where a field is sent ("seed"), or sent with such a value ("top_p=1", "n>1", "temperature<0.1").
    """
    refuses_prompts: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """What is answered to a prompt with such a text."""
    honours_seed: bool = True
    """Else each request brings the samples of the one before."""
    change: Callable[[dict[str, Any]], object] = field(default=lambda answer: None)
    """Done to each answer before it is sent."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    busiest: int = 0


class Serving:
    """`with Serving(engine, Behaviour()) as url:`; `stop` and `start` are a crash and a restart on the same port."""

    def __init__(self, engine: TransformersEngine, behaviour: Behaviour, port: int = 0) -> None:
        self.behaviour, self._engine, self._port = behaviour, engine, port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self._engine, self.behaviour))
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self._port}/v1"

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _handler(engine: TransformersEngine, behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    turn, counting, busy = threading.Lock(), threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if not self.path.startswith("/v1/"):
                self._send_text("<html>a web page</html>")
                return
            model = {"id": "tiny", "object": "model", "created": 0, "owned_by": behaviour.owned_by}
            models = [model] if behaviour.models == "as it is" else behaviour.models
            self._send(200, {"object": "list", "data": models})

        def _send_text(self, page: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page.encode())

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with counting:
                behaviour.seen.append(asked)
                busy[0] += 1
                behaviour.busiest = max(behaviour.busiest, busy[0])
                failing, behaviour.failures = behaviour.failures > 0, max(0, behaviour.failures - 1)
            try:
                time.sleep(600 if behaviour.hangs else behaviour.seconds)
                if failing:
                    self._send(behaviour.failure, {"error": {"message": "loading"}})
                    return
                if behaviour.useless:
                    body = behaviour.useless.pop()
                    self._send_text(body) if isinstance(body, str) else self._send(200, body)
                    return
                if behaviour.hollow and behaviour.hollow in json.dumps(asked):
                    self._send(200, {"id": "x", "object": "chat.completion", "choices": []})
                    return
                if behaviour.poison and behaviour.poison in json.dumps(asked):
                    self._send(500, {"error": {"message": "this prompt is too much"}})
                    return
                if behaviour.cuts and behaviour.cuts in json.dumps(asked):
                    self._send(200, {"id": "x"}, missing=9)
                    return
                with turn:
                    status, answer = _answer(engine, behaviour, asked, chat="/chat/" in self.path)
                self._send(status, answer)
            finally:
                with counting:
                    busy[0] -= 1

        def _send(self, status: int, body: Mapping[str, Any] | bytes, missing: int = 0) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data) + missing))
            self.close_connection = missing > 0
            if status == 429 and behaviour.retry_after:
                self.send_header("Retry-After", behaviour.retry_after)
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _answer(engine: TransformersEngine, behaviour: Behaviour, asked: Any, chat: bool) -> tuple[int, dict[str, Any]]:
    for condition, (status, body) in behaviour.refuses.items():
        if _holds(condition, asked):
            return status, body
    for part, (status, body) in behaviour.refuses_prompts.items():
        if part in json.dumps(asked):
            return status, body
    if "logprobs" in asked and not behaviour.takes_logprobs:
        return 400, {"error": {"message": "unknown field logprobs"}}
    text = asked["messages"][0]["content"] if chat else asked["prompt"]
    if isinstance(text, list):  # token ids, as servers take them
        text = str(engine.tokenizer.decode(text))
    prompt = Prompt(text, rendered=not chat)
    context = behaviour.context or engine.context
    length, most = len(engine.encode(prompt)), asked.get("max_tokens", asked.get("max_completion_tokens"))
    if length + (most or 1) > context:
        return 400, {"error": {"message": f"maximum context length is {context} tokens"}}
    most = min(most or context - length, behaviour.most_tokens or context) * (1 if behaviour.honours_limit else 2)
    stop = (asked.get("stop") or ()) if behaviour.honours_stop else ()
    hidden = behaviour.special if asked.get("skip_special_tokens", True) else ()
    temperature = asked.get("temperature", 1.0) if behaviour.honours_temperature else 0.0
    temperature = temperature or (0.0 if behaviour.honours_zero else 1.0)
    top_p = asked.get("top_p", 1.0) if behaviour.honours_top_p else 1.0
    seed = asked.get("seed", random.randrange(1 << 31)) if behaviour.honours_seed else 0
    others = {name: asked[name] for name in ("top_k", "min_p") if name in asked and name not in behaviour.ignores}
    penalty = asked.get("repeat_penalty" if behaviour.owned_by == "llamacpp" else "repetition_penalty", 1.0)
    others["repetition_penalty"] = 1.0 if "repetition_penalty" in behaviour.ignores else penalty
    others["top_k"] = max(0, others.get("top_k", 0))
    sampling = Sampling(temperature, top_p, most, tuple(stop), seed, **others)
    draws = range(asked.get("n", 1) if behaviour.honours_n else 1)
    made = engine.generate([Prompt(text, draw, rendered=not chat) for draw in draws], sampling)
    choices = [_choice(index, one, chat, behaviour, hidden) for index, one in enumerate(made)]
    read = min(length, behaviour.reads_at_most or length)
    usage = {"prompt_tokens": read, "completion_tokens": sum(one.new_tokens for one in made), "total_tokens": 0}
    kind = "chat.completion" if chat else "text_completion"
    answer = {
        "id": "x",
        "object": kind,
        "created": int(time.time()),
        "model": "tiny",
        "choices": choices,
        "usage": usage if behaviour.gives_usage else None,
    }
    behaviour.change(answer)
    return 200, answer


def _holds(condition: str, asked: Mapping[str, Any]) -> bool:
    """ "Of "seed": it is sent; "top_p=1", "n>1", "temperature<0.1": it is sent with such a value."""
    name, how, value = re.fullmatch(r"(\w+)(?:([=<>])(.+))?", condition).groups()  # type: ignore[union-attr]
    if name not in asked or not how:
        return name in asked
    return {"=": operator.eq, "<": operator.lt, ">": operator.gt}[how](asked[name], float(value))


def _choice(index: int, made: Completion, chat: bool, behaviour: Behaviour, hidden: Sequence[str]) -> dict[str, Any]:
    finish = made.finish_reason if behaviour.ends_with == "as it did" else behaviour.ends_with
    choice: dict[str, Any] = {"index": index, "finish_reason": finish, "logprobs": None}
    if behaviour.gives_logprobs:
        values = [made.mean_logprob] * made.new_tokens
        content = [{"token": "", "logprob": value, "top_logprobs": []} for value in values]
        choice["logprobs"] = {"content": content} if chat else {"token_logprobs": values}
    text = behaviour.begins_with + made.text
    for special in hidden:
        text = text.replace(special, "")
    instead = "" if behaviour.content == "as it is" else made.text  # where no text is given, the thought has it
    reasoning = None if behaviour.reasoning is None else behaviour.reasoning + instead
    content = text if behaviour.content == "as it is" else behaviour.content
    message = {"role": "assistant", "content": content, "reasoning_content": reasoning}
    return choice | ({"message": message} if chat else {"text": text})


Start = Callable[[Behaviour], Serving]
StartAt = Callable[[Behaviour], str]


@pytest.fixture(scope="module")
def local(tiny_llama: Path) -> TransformersEngine:
    """What the servers serve."""
    return TransformersSettings(device="cpu").build(Weights("tiny", str(tiny_llama)), "w")


@contextmanager
def _servers(local: TransformersEngine) -> Iterator[Start]:
    made: list[Serving] = []

    def make(behaviour: Behaviour) -> Serving:
        made.append(Serving(local, behaviour))
        return made[-1]

    yield make
    for serving in made:
        serving.stop()


@pytest.fixture
def serve(local: TransformersEngine) -> Iterator[Start]:
    """Makes servers, not started yet, that are stopped when the test ends."""
    with _servers(local) as make:
        yield make


@pytest.fixture
def serve_at(local: TransformersEngine) -> Iterator[StartAt]:
    """Starts such servers and gives their addresses."""
    with _servers(local) as make:
        yield lambda behaviour: make(behaviour).start()
