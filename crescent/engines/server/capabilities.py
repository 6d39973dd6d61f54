"""Finds out what a server supports before the first request, because servers silently ignore settings.

In: an endpoint. Out: `ServerCapabilities`, or a UserError that names the server and what it ignores. The probes are a
dozen short completions of the shortest prompt, or of a neutral prompt if that is refused; none becomes a result.
Servers are probed independently, so one that is down does not delay the others.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from crescent.core.errors import UserError
from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.encoding import seed_of
from crescent.engines.server.endpoints import Endpoint, Endpoints, Unusable
from crescent.engines.server.refusals import FieldRefused
from crescent.engines.server.terms import Terms

SAMPLES = 4
SEED_BITS = 31  # the limit of llama.cpp and OpenAI
NEUTRAL = "How are you?"
"""A prompt that no server has a reason to refuse."""
_HOT = Sampling(temperature=2.0, max_new_tokens=32)
BY_CHANCE = 8  # tokens from which two samples at a high temperature are not equal by chance
_HEATS = (2.0, 1.5, 1.0)  # tried in this order; the hottest that a server accepts is used
_PLAIN_SAMPLING = Sampling(max_new_tokens=16)
_GREEDY = Sampling(temperature=0.0, max_new_tokens=16)
_NARROWEST = {"top_p": 1e-6, "top_k": 1, "min_p": 1.0}
"""With each of these alone all samples are alike, however hot."""
_STRONG = 100.0  # a penalty with which no token is repeated while there is another

# Settings beyond the OpenAI interface that servers fill from their own defaults (llama.cpp: top_k 40, min_p 0.05) or
# from the model's generation_config.json (vLLM, SGLang). The server is identified by `owned_by` in /v1/models.
_PLAIN = {
    "vllm": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
    "lmdeploy": {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0},
}
_ALL_TOKENS = {"repeat_last_n": 1 << 17}  # llama.cpp looks for repetitions in the last 64 tokens
_ORDER = {"samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"]}  # llama.cpp's own has temperature last
_OLLAMA = "library"  # its OpenAI interface has no field for these settings
_TAKE_IDS = ("vllm", "sglang", "llamacpp")  # accept token ids as prompts of /v1/completions
_TAKE_STOP_IDS = ("vllm", "sglang")  # their texts omit special tokens, so no stop string matches one


@dataclass(frozen=True, slots=True)
class Request:
    """Samples of one prompt, requested together: sample number i belongs at `indices[i]`."""

    prompt: Prompt
    indices: tuple[int, ...]
    seed: int


Probe = tuple[Prompt, Sampling, list[Completion]]


@dataclass(slots=True)
class ServerCapabilities:
    """What the servers support. `plain`: settings that make each server sample without filters of its own; `single`:
    servers that return one sample however many are requested; `narrow`: (server, part of sampling) that has been
    checked; `fresh`: servers that do not repeat themselves across requests. `probes`: the first probe of each server
    and its completions. `terms`: the fields that each server accepts. `end`: an end of turn (id, text) that the servers
    must be told about."""

    logprobs: bool = True
    context: int | None = None
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)
    narrow: set[tuple[str, str]] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    probes: dict[str, Probe] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    end: tuple[int, str] | None = None
    told: set[str] = field(default_factory=set)

    def terms_of(self, url: str) -> Terms:
        """The fields that a server accepts."""
        return self.terms.setdefault(url, Terms())


Ask = Callable[[Request, Sampling, Endpoint], Awaitable[list[Completion]]]


async def check_model(endpoints: Endpoints, place: Endpoint, model: str, honours: ServerCapabilities) -> None:
    """Raises UserError if a server does not serve the model; records its context and its settings for plain
    sampling."""
    served = await endpoints.ask(_listed, place)
    if model not in served:
        raise UserError(f"engine.model: {place.url} does not serve {model!r}; it has {', '.join(served)}")
    context = served[model].get("max_model_len")
    if isinstance(context, int):
        honours.context = min(context, honours.context or context)
    owner = served[model].get("owned_by", "")
    place.plain = dict(_PLAIN.get(owner, {}))
    if owner == _OLLAMA:
        endpoints.tell(f"{place.url} ollama", (
            f"{place.url} is Ollama: top_k, min_p and repeat_penalty come from the model's Modelfile, whatever is "
            "requested; to sample without them, set PARAMETER top_k 0, min_p 0, repeat_penalty 1 and a num_ctx that "
            "fits"
        ))  # fmt: skip
    honours.terms_of(place.url).takes_ids = owner in _TAKE_IDS
    if honours.end is not None and owner in _TAKE_STOP_IDS:
        place.plain["stop_token_ids"] = [honours.end[0]]


async def _listed(place: Endpoint) -> dict[str, Any]:
    """The models of a server by name. Raises Unusable if there are none, as while the model is loaded; UserError if the
    address is not that of such a server."""
    # As plain JSON: the client's own list fails on a web page returned with status 200.
    listed = await place.client.get("/models", cast_to=object)
    if not isinstance(listed, dict) or not isinstance(entries := listed.get("data", ""), list | None):
        raise UserError(f"engine.urls: {place.url} lists no models; most servers' addresses end in /v1")
    served = {entry["id"]: entry for entry in entries or () if isinstance(entry, dict) and "id" in entry}
    if not served:
        raise Unusable("it has no model, or has not loaded it yet")
    return served


async def find_out(ask: Ask, place: Endpoint, prompts: Sequence[Prompt], honours: ServerCapabilities) -> None:
    """Records whether n samples are returned for n requested. Raises UserError if a server ignores temperature or
    max_tokens."""
    prompt, hot, made = honours.probes[place.url] = await _probed(ask, place, prompts)
    if len(made) < SAMPLES or len({one.text for one in made}) == 1:
        honours.single.add(place.url)
        made = await _alone(ask, prompt, hot, place)
    if len({one.text for one in made}) == 1 and made[0].text and hot.temperature > 1:
        raise UserError(
            f"{place.url} ignores temperature: {SAMPLES} samples at temperature {hot.temperature:g} are all "
            f"{made[0].text[:40]!r}. Enable sampling (transformers serve: do_sample in the model's "
            "generation_config.json), and disable any response cache in front of it."
        )
    longest = max(one.new_tokens for one in made)
    if longest > _HOT.max_new_tokens:
        raise UserError(
            f"{place.url} ignores max_tokens: it wrote {longest} tokens with a limit of {_HOT.max_new_tokens}. "
            "Choose a server that respects it."
        )
    try:
        greedy = {one.text for one in await _alone(ask, prompt, _GREEDY, place)}
    except FieldRefused:  # a run that needs greedy answers raises this itself
        greedy = {one.text for one in made[:1]}
    if len(greedy) == SAMPLES:  # rounding may change one; all differ only if the server ignores the request
        raise UserError(
            f"{place.url} ignores temperature 0: {SAMPLES} greedy answers are all different. Remove the "
            "server's own sampling settings."
        )


def beyond_plain(sampling: Sampling, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields for `top_k`, `min_p` and `repetition_penalty` that are not neutral, with the names that a server with
    such `plain` fields uses."""
    fields: dict[str, Any] = {name: getattr(sampling, name) for name in ("top_k", "min_p") if getattr(sampling, name)}
    if "repeat_penalty" in plain and (sampling.top_p < 1 or sampling.min_p) and sampling.temperature not in (0, 1):
        fields |= _ORDER
    if sampling.repetition_penalty != 1 and "repeat_penalty" in plain:
        return {**fields, "repeat_penalty": sampling.repetition_penalty, **_ALL_TOKENS}
    return {**fields, "repetition_penalty": sampling.repetition_penalty} if sampling.repetition_penalty != 1 else fields


async def check_honoured(ask: Ask, place: Endpoint, honours: ServerCapabilities, sampling: Sampling) -> None:
    """Raises UserError if a server ignores a part of this sampling. Each part is checked once."""
    for name, narrowest in _NARROWEST.items():
        if getattr(sampling, name) != getattr(_PLAIN_SAMPLING, name) and (place.url, name) not in honours.narrow:
            await _check_narrow(ask, place, honours, name, narrowest)
            honours.narrow.add((place.url, name))
    if sampling.repetition_penalty != 1 and (place.url, "repetition_penalty") not in honours.narrow:
        await _check_penalty(ask, place, honours)
        honours.narrow.add((place.url, "repetition_penalty"))


async def _check_narrow(ask: Ask, place: Endpoint, honours: ServerCapabilities, name: str, narrowest: float) -> None:
    """Raises UserError if samples differ although only one token may be chosen."""
    prompt, hot, _ = honours.probes[place.url]
    narrow = replace(_PLAIN_SAMPLING, temperature=hot.temperature, **{name: narrowest})
    with suppress(FieldRefused):  # so narrow a choice is not accepted: inconclusive
        made = await _alone(ask, prompt, narrow, place)
        if len({one.text for one in made}) == SAMPLES:
            raise UserError(
                f"{place.url} ignores {name}: {SAMPLES} samples with {name} {narrowest:g} are all different. Choose a "
                f"server that honours it, or leave {name} at {getattr(_PLAIN_SAMPLING, name):g}."
            )


async def _check_penalty(ask: Ask, place: Endpoint, honours: ServerCapabilities) -> None:
    """A greedy text that repeats something is another with a strong penalty."""
    prompt, _, _ = honours.probes[place.url]
    greedy = replace(_GREEDY, max_new_tokens=_HOT.max_new_tokens)
    with suppress(FieldRefused):
        free, held = [
            (await _alone(ask, prompt, replace(greedy, repetition_penalty=penalty), place, 1))[0]
            for penalty in (1.0, _STRONG)
        ]
        words = free.text.split()
        repeats = len(set(words)) < len(words) or len(set(free.text)) < free.new_tokens
        if free.text == held.text and repeats:
            raise UserError(
                f"{place.url} ignores repetition_penalty: with {_STRONG:g} it writes the same as without. Choose a "
                "server that honours it, or leave repetition_penalty at 1."
            )


async def check_repeats(ask: Ask, place: Endpoint, honours: ServerCapabilities) -> None:
    """Raises UserError if a server, or a cache in front of it, returns the same samples for another seed: draws of
    several requests would agree only because they are the same sample."""
    prompt, hot, first = honours.probes[place.url]
    repeated: set[str] = set()
    if place.url not in honours.single:
        repeated = _repeated(first, await ask(Request(prompt, tuple(range(SAMPLES)), 2), hot, place))
    elif hot.temperature > 1:  # at lower temperatures, some answers begin alike naturally
        made = await _alone(ask, prompt, hot, place)
        count = Counter(one.text for one in made if one.new_tokens >= BY_CHANCE)
        repeated = {text for text, times in count.items() if times > 1}
    if repeated:
        raise UserError(
            f"{place.url} repeats itself: requests with different seeds return the same texts at temperature "
            f"{hot.temperature:g} ({min(repeated)[:40]!r}), so draws would not be independent. It ignores "
            "seed, or there is a cache in front of it: disable that, or choose a server that honours seed."
        )
    honours.fresh.add(place.url)


async def _probed(ask: Ask, place: Endpoint, prompts: Sequence[Prompt]) -> Probe:
    """Returns a prompt that the server answers, the hottest sampling that it accepts, and the resulting completions."""
    shortest = _shortest(prompts)
    for prompt in (shortest, Prompt(NEUTRAL, rendered=shortest.rendered)):
        hot, made = await _hottest(ask, prompt, place)
        if any(one.text or one.new_tokens for one in made):
            break
    return prompt, hot, made


async def _hottest(ask: Ask, prompt: Prompt, place: Endpoint) -> tuple[Sampling, list[Completion]]:
    for heat in _HEATS:
        hot = replace(_HOT, temperature=heat)
        try:
            return hot, await ask(Request(prompt, tuple(range(SAMPLES)), 1), hot, place)
        except FieldRefused as error:
            if error.field != "temperature" or heat == _HEATS[-1]:
                raise
    raise AssertionError("the last is answered or refused")


def _repeated(first: Sequence[Completion], again: Sequence[Completion]) -> set[str]:
    """Texts too long to be equal by chance, if both requests returned the same set of texts; else empty."""
    if {one.text for one in first} != {one.text for one in again}:
        return set()
    return {one.text for one in first if one.new_tokens >= BY_CHANCE}


def _shortest(prompts: Sequence[Prompt]) -> Prompt:
    """A prompt that surely fits the context."""
    return min(prompts, key=lambda one: (not one.text, len(one.text)))


async def _alone(
    ask: Ask, prompt: Prompt, sampling: Sampling, place: Endpoint, count: int = SAMPLES
) -> list[Completion]:
    requests = [Request(prompt, (index,), seed_of(index, prompt, SEED_BITS)) for index in range(count)]
    return [one for request in requests for one in await ask(request, sampling, place)]
