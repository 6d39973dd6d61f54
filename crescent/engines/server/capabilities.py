"""What a server honours, asked before the first request, because servers ignore settings without a word.

In: an endpoint. Out: what it was found to do, in `Honours`, or a ValueError that names the server and what it ignores.
The probes are a dozen short completions of the shortest prompt; none of them becomes a result. Each server is probed by
itself, so that one which is down keeps none of the others waiting.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.encoding import seed_of
from crescent.engines.server.endpoints import Endpoint, Endpoints

SAMPLES = 4
SEED_BITS = 31  # what llama.cpp and OpenAI take
_HOT = Sampling(temperature=2.0, max_new_tokens=32)
_GREEDY = Sampling(temperature=0.0, max_new_tokens=16)
_NARROW = Sampling(temperature=2.0, top_p=1e-6, max_new_tokens=16)

# Settings beyond the OpenAI interface that servers fill from defaults of their own (llama.cpp: top_k 40, min_p 0.05) or
# from the model's generation_config.json (vLLM, SGLang), told apart by what /v1/models says in `owned_by`.
_PLAIN = {
    "vllm": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
}
_TAKE_STOP_IDS = ("vllm", "sglang")  # their texts do not have special tokens, so that no stop string meets one


@dataclass(frozen=True, slots=True)
class Request:
    """Samples of one prompt, asked for together: sample number i of them belongs at `indices[i]`."""

    prompt: Prompt
    indices: tuple[int, ...]
    seed: int


@dataclass(slots=True)
class Honours:
    """What the servers were found to do. `plain`: what makes each one sample plainly; `single`: those that bring one
    sample however many are asked for; `narrow`: those found to honour top_p. `end` is an end
    of turn, as id and as text, that the servers must be told of."""

    logprobs: bool = True
    context: int | None = None
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)
    narrow: set[str] = field(default_factory=set)
    end: tuple[int, str] | None = None
    told: set[str] = field(default_factory=set)


Ask = Callable[[Request, Sampling, Endpoint], Awaitable[list[Completion]]]


async def check_model(endpoints: Endpoints, place: Endpoint, model: str, honours: Honours) -> None:
    """Raises ValueError if a server does not serve the model; notes its context and how it samples plainly."""
    # As plain JSON: the client's own list fails on a web page that is answered with status 200.
    listed = await endpoints.ask(lambda one: one.client.get("/models", cast_to=object), place)
    if not isinstance(listed, dict) or "data" not in listed:
        raise ValueError(f"engine.urls: {place.url} lists no models; most servers' addresses end in /v1")
    served = {entry["id"]: entry for entry in listed["data"]}
    if model not in served:
        raise ValueError(f"engine.model: {place.url} does not serve {model!r}; it has {', '.join(served)}")
    context = served[model].get("max_model_len")
    if isinstance(context, int):
        honours.context = min(context, honours.context or context)
    owner = served[model].get("owned_by", "")
    place.plain = dict(_PLAIN.get(owner, {}))
    if honours.end is not None and owner in _TAKE_STOP_IDS:
        place.plain["stop_token_ids"] = [honours.end[0]]


async def find_out(ask: Ask, place: Endpoint, prompts: Sequence[Prompt], honours: Honours) -> None:
    """Whether n samples come for n asked; raises ValueError for a server that ignores temperature or max_tokens."""
    prompt = _shortest(prompts)
    made = await ask(Request(prompt, tuple(range(SAMPLES)), 1), _HOT, place)
    if len(made) < SAMPLES or len({one.text for one in made}) == 1:
        honours.single.add(place.url)
        made = await _alone(ask, prompt, _HOT, place)
    texts = {one.text for one in made}
    if len(texts) == 1 and made[0].text:
        raise ValueError(
            f"{place.url} ignores temperature: {SAMPLES} samples at temperature 2 are all {made[0].text[:40]!r}. "
            "Let it sample (transformers serve: do_sample in the model's generation_config.json)."
        )
    longest = max(one.new_tokens for one in made)
    if longest > _HOT.max_new_tokens:
        raise ValueError(
            f"{place.url} ignores max_tokens: it wrote {longest} tokens where {_HOT.max_new_tokens} were asked "
            "for. Choose a server that keeps the limit."
        )
    greedy = {one.text for one in await _alone(ask, prompt, _GREEDY, place)}
    if len(greedy) == SAMPLES:  # rounding may change one; a server that takes the request's word never changes all
        raise ValueError(
            f"{place.url} ignores temperature 0: {SAMPLES} greedy answers are all different. Take sampling "
            "settings of its own off the server."
        )


async def check_top_p(ask: Ask, place: Endpoint, prompts: Sequence[Prompt], honours: Honours) -> None:
    """Raises ValueError for a server that ignores top_p: of a nucleus of one token all samples are alike."""
    made = await _alone(ask, _shortest(prompts), _NARROW, place)
    if len({one.text for one in made}) == SAMPLES:
        raise ValueError(
            f"{place.url} ignores top_p: {SAMPLES} samples with top_p {_NARROW.top_p:g} are all different. Choose a "
            "server that honours it, or leave top_p at 1."
        )
    honours.narrow.add(place.url)


def _shortest(prompts: Sequence[Prompt]) -> Prompt:
    """One that surely fits the context."""
    return min(prompts, key=lambda one: (not one.text, len(one.text)))


async def _alone(ask: Ask, prompt: Prompt, sampling: Sampling, place: Endpoint) -> list[Completion]:
    requests = [Request(prompt, (index,), seed_of(index, prompt, SEED_BITS)) for index in range(SAMPLES)]
    return [one for request in requests for one in await ask(request, sampling, place)]
