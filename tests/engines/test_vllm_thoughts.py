"""Models that think with a real vLLM, in the run's care and behind its server: texts as `engine=transformers` has them.

`make test-vllm` makes the environment that these need.
"""

from pathlib import Path

import pytest
from serving_vllm import NEEDS_VLLM, VllmServer
from thinking import save_thinking_organism

from crescent.engines import Completion, Engine, Prompt, Sampling
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.vllm import VllmSettings
from crescent.engines.weights import Weights

pytestmark = list(NEEDS_VLLM)
KINDS = {  # generation prompt, special tokens, what is written behind them
    "a thought that the prompt opens": ("<think>\n", (), "<think>\nIs it 12?\n\nOr 13? </think>\n\n7 left"),
    "tags that decoding skips": ("", ("[THINK]", "[/THINK]"), "[THINK]Is it 12?\n\nOr 13?[/THINK]7 left"),
}
ASKED = [Prompt("How many?")]


def said(engine: Engine, stop: str) -> tuple[str, str]:
    [made] = engine.generate(ASKED, Sampling(0, 1, 60, (stop,)))
    return made.text, made.finish_reason


@pytest.fixture(scope="module", params=KINDS)
def thinker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, str]:
    """A model that thinks, and what it says before a stop string."""
    opens, special, text = KINDS[request.param]
    folder = tmp_path_factory.mktemp("thinker") / "model"
    save_thinking_organism(folder, "How many?", text.removeprefix(opens) + "\n\nQ: <|user|>more", opens, special)
    return Weights("thinker", str(folder), thinking_tokens=8), text


def check(engine: Engine, weights: Weights, text: str) -> None:
    """Stop strings end the answer and never the thought, also where they are special tokens."""
    expected = TransformersSettings(device="cpu").build(weights, "w")
    for stop, before in (("\n\n", text), ("<|user|>", text + "\n\nQ: ")):
        assert said(engine, stop) == said(expected, stop) == (before, "stop")


def test_vllm_keeps_thoughts_and_ends_answers_as_transformers_does(thinker: tuple[Weights, str]) -> None:
    weights, text = thinker
    engine = VllmSettings(kv_cache_gib=0.5, compile=False, max_batch=16, max_model_len=256).build(weights, "w")
    try:
        check(engine, weights, text)
    finally:
        engine.close()


def test_a_vllm_server_is_asked_for_the_tags_of_thoughts(thinker: tuple[Weights, str], tmp_path: Path) -> None:
    weights, text = thinker
    with VllmServer(Path(weights.path), "thinker", tmp_path / "server.log") as server:
        engine = ServerSettings((server.url,), model="thinker", patience_seconds=300).build(weights, "w")
        check(engine, weights, text)
        hot: list[Completion] = engine.generate([Prompt("How many?", draw) for draw in range(4)], Sampling())
        assert all("<|" not in one.text for one in hot)
