"""Text generation behind one protocol.

In: prompts and sampling settings. Out: one `Completion` per prompt, in order, with token counts. An engine holds a
model; it is independent of questions, votes and files.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from crescent.core.errors import UserError
from crescent.core.store import omit_from_key_at

FinishReason = Literal["stop", "length"]
"""How a completion ends unless the engine gave up on it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request for one completion.

    `draw` numbers independent samples of the same text: (seed, text, draw) identifies one completion. `rendered` text
    already contains the chat template, special tokens included; other text becomes one user turn. Lone surrogates,
    which no tokenizer accepts, are replaced by "?".
    """

    text: str
    draw: int = 0
    rendered: bool = False

    def __post_init__(self) -> None:
        if not self.text.isascii():
            object.__setattr__(self, "text", self.text.encode("utf-8", "replace").decode("utf-8"))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are sampled. `temperature` 0 is greedy; a completion ends at the first of the `stop` strings, which is
    cut off.

    First, `repetition_penalty` (Keskar et al., arXiv 1909.05858) divides positive logits of tokens that occur in the
    prompt or the completion, and multiplies negative ones. Then, of the distribution at `temperature`, `top_k` keeps
    the k most likely tokens (0: all), `top_p` the nucleus of these, and `min_p` (arXiv 2407.01082) the tokens whose
    probability is at least this share of the most likely one's.

    `keeps_stop_text`: if a stop string spells special tokens, only those tokens are removed and its other text stays,
    as lm-evaluation-harness leaves it.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 2048
    stop: tuple[str, ...] = ()
    seed: int = 0
    keeps_stop_text: bool = omit_from_key_at(False)
    top_k: int = omit_from_key_at(0)
    min_p: float = omit_from_key_at(0.0)
    repetition_penalty: float = omit_from_key_at(1.0)

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature is {self.temperature}; it must be 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.top_k < 0:
            raise UserError(f"top_k is {self.top_k}; it must be 0 (all tokens) or more")
        if not 0 <= self.min_p <= 1:
            raise UserError(f"min_p is {self.min_p}; it must be from 0 (all tokens) to 1")
        if not 0 < self.repetition_penalty < float("inf"):
            raise UserError(f"repetition_penalty is {self.repetition_penalty}; it must be above 0, and 1 is none")
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote, and how it ended.

    `finish_reason` is "stop" (end of turn or a stop string), "length" (cut off at a limit), or the engine's own word
    for why it gave up midway: abort, content_filter, error, tool_calls, ... Only "stop" counts as an answer.
    `mean_logprob` is nats per new token, thoughts included, under the model at temperature 1, rounded to 2 decimals.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    new_tokens: int
    mean_logprob: float


Finished = Callable[[int, Completion], None]
"""Called once for every completion as soon as it is finished, in any order, with the index of its prompt."""


def unfinished(finish_reasons: Iterable[str]) -> dict[str, int]:
    """Counts the completions that are no answers by finish reason (every reason but "stop"), sorted by reason."""
    return dict(sorted(Counter(reason for reason in finish_reasons if reason != "stop").items()))


class Engine(Protocol):
    """A loaded model that completes prompts.

    `deterministic`: equal (prompt, sampling) gives equal text whatever else is in the batch. `identity` is everything
    that can change a result (engine kind, weights, dtype), so it belongs in the keys of generated text.
    """

    deterministic: bool
    identity: str

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """Returns one completion per prompt, in order. What `finished` receives is final and may be stored at once."""
        ...

    def close(self) -> None:
        """Frees the model's memory."""
        ...


class LazyEngine:
    """An engine that is built on first use, so a run whose artifacts are all cached loads no model.

    `preferred_batch` is the number of prompts that keeps the whole engine busy, if that is more than a caller would
    submit (large batches, many requests in flight, many workers); 0 means no preference. It does not change results.
    `name` is the model's name, for messages. `choices` computes likelihoods if this engine only writes texts.
    """

    def __init__(
        self,
        identity: str,
        build: Callable[[], Engine],
        preferred_batch: int = 0,
        name: str = "",
        choices: "LazyEngine | None" = None,
    ) -> None:
        self.identity, self.preferred_batch, self.name = identity, preferred_batch, name
        self._build, self._choices = build, choices
        self._engine: Engine | None = None

    @property
    def choices(self) -> "LazyEngine":
        """The engine that computes likelihoods of choices."""
        return self._choices or self

    def get(self) -> Engine:
        """Returns the engine; loads it if necessary."""
        if self._engine is None:
            self._engine = self._build()
        return self._engine

    def close(self) -> None:
        """Unloads the model; the next `get` loads it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        if self._choices is not None:
            self._choices.close()
