"""The state of one `generate` call that decoders share: rows being written, when they end, and who is notified.

In: tokens as they are chosen. Out: completions, handed out as soon as they are finished. This module runs no model.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from crescent.engines import Completion, Finished, FinishReason, Sampling
from crescent.engines.stops import Texts
from crescent.engines.transformers.sampling import generator
from crescent.engines.turns import without_end


@dataclass(slots=True)
class Row:
    """One completion being written: at most `limit` new tokens, sampled with random numbers determined by `key`.

    `opened` is the thinking tag at the end of the prompt: the text of the completion begins with it.
    """

    index: int
    prompt_ids: tuple[int, ...]
    limit: int
    key: bytes
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: FinishReason | None = None
    opened: str = ""
    _numbers: np.random.Generator | None = None
    _seen: np.ndarray | None = None
    _counted: int = 0

    @property
    def longest(self) -> int:
        """Tokens of prompt and answer if it reaches its limit."""
        return len(self.prompt_ids) + self.limit

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.prompt_ids) + len(self.tokens)

    def begin_again(self) -> None:
        """Discards what was written."""
        self.tokens.clear()
        self.logprob, self._numbers, self._seen = 0.0, None, None

    def seen(self, vocabulary: int) -> np.ndarray:
        """Which tokens the prompt or the answer so far has: bool [vocabulary]."""
        if self._seen is None:
            self._seen, self._counted = np.zeros(vocabulary, dtype=bool), 0
            self._seen[list(self.prompt_ids)] = True
        self._seen[self.tokens[self._counted :]] = True
        self._counted = len(self.tokens)
        return self._seen

    def wait(self, out: np.ndarray) -> None:
        """Fills `out` [vocabulary] with exponential random numbers for the next token; call it once per token.

        In float64: in float32 one in eight million is 0, and a token that waits for 0 wins however unlikely it is.
        """
        if self._numbers is None:
            self._numbers = generator(self.key)
        self._numbers.standard_exponential(out=out)


class Work:
    """The sampling settings and the completions so far. `ends` are the tokens that end a turn."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, sampling: Sampling, count: int, finished: Finished | None,
        ends: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.sampling, self._ends = sampling, ends
        self.completions: list[Completion | None] = [None] * count
        self._texts, self._finished = Texts(tokenizer, sampling), finished

    @property
    def has_stops(self) -> bool:
        """True if a row may end at a stop string."""
        return any(self.sampling.stop)

    def stops_at(self, row: Row) -> bool:
        """True if the row's last token completed a stop string of its answer."""
        return self._texts.stops_at(row.index, row.tokens, row.opened)

    def hand_out(self, row: Row, mean_logprob: float) -> None:
        """Turns a finished row into a completion. `mean_logprob` is in nats per token."""
        assert row.finish is not None and self.completions[row.index] is None
        tokens = without_end(row.tokens, self._ends)
        text = self._texts.text(tokens, row.opened)
        made = Completion(text, row.finish, len(row.prompt_ids), len(row.tokens), round(mean_logprob, 2) + 0.0)
        self.completions[row.index] = made
        if self._finished is not None:
            self._finished(row.index, made)


def torch_seed(rows: Sequence[Row]) -> int:
    """A torch seed shared by all rows of a call; it differs for other draws."""
    digest = hashlib.sha256(b"".join(row.key for row in rows)).digest()
    return int.from_bytes(digest[:4], "big") >> 1
