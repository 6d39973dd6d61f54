"""One call of `generate`, as its decoders share it: the rows being written, when they end, and who is told.

In: tokens as they are chosen. Out: completions, handed out as they are finished. It runs no model.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from crescent.engines import Completion, Finished, FinishReason, Sampling
from crescent.engines.thoughts import AnswerStarts, Decoder
from crescent.engines.transformers.sampling import generator
from crescent.engines.turns import without_end


@dataclass(slots=True)
class Row:
    """One completion being written: `limit` new tokens at most, chosen by random numbers that `key` decides.

    `opened` is the thinking tag that the prompt ends in: the text of the completion begins with it.
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

    @property
    def longest(self) -> int:
        """Tokens of prompt and answer, if it is written to its limit."""
        return len(self.prompt_ids) + self.limit

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.prompt_ids) + len(self.tokens)

    def begin_again(self) -> None:
        """Forgets what was written."""
        self.tokens.clear()
        self.logprob, self._numbers = 0.0, None

    def wait(self, out: np.ndarray) -> None:
        """Fills `out` [vocabulary] with exponential numbers: those of the next token, so to be called once for each.

        Doubles: single ones are 0 once in eight million, and a token that waits for 0 wins however unlikely it is.
        """
        if self._numbers is None:
            self._numbers = generator(self.key)
        self._numbers.standard_exponential(out=out)


class Work:
    """How to sample, and the completions made so far. `ends` are the tokens that end a turn."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, sampling: Sampling, count: int, finished: Finished | None,
        ends: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.sampling, self._ends = sampling, ends
        self.stops = Stops(tokenizer, sampling.stop)
        self.completions: list[Completion | None] = [None] * count
        self._decode, self._finished = Decoder(tokenizer), finished
        self._answers = AnswerStarts(self._decode)

    def stops_at(self, row: Row) -> bool:
        """Whether the row's last token completed a stop string of its answer: those in its thoughts end nothing."""
        if not self.stops.reached(row.tokens):
            return False
        start = self._answers.find(row.index, row.tokens, row.opened)
        return start is not None and self.stops.reached(row.tokens[start:])

    def hand_out(self, row: Row, mean_logprob: float) -> None:
        """The row is finished. `mean_logprob` is in nats per token."""
        assert row.finish is not None and self.completions[row.index] is None
        tokens = without_end(row.tokens, self._ends)
        start = self._answers.find(row.index, tokens, row.opened)
        thought, answer = (tokens, []) if start is None else (tokens[:start], tokens[start:])
        text = row.opened + self._decode(thought) + self.stops.cut(self._decode(answer))
        made = Completion(text, row.finish, len(row.prompt_ids), len(row.tokens), round(mean_logprob, 2) + 0.0)
        self.completions[row.index] = made
        if self._finished is not None:
            self._finished(row.index, made)


class Stops:
    """Stop strings. Text is decoded only after a token that can complete one of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stop for stop in stops if stop)
        last = {stop[-1] for stop in self._stops}
        pieces = enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))])) if last else ()
        self._can_end = {token for token, piece in pieces if last & set(piece) or "�" in piece}
        self._window = 2 * max(map(len, self._stops), default=0) + 8

    def __bool__(self) -> bool:
        return bool(self._stops)

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether the last token completed a stop string."""
        if not self._stops or not tokens or tokens[-1] not in self._can_end:
            return False
        tail = self._tokenizer.decode(list(tokens[-self._window :]), skip_special_tokens=True)
        return any(stop in tail for stop in self._stops)

    def cut(self, text: str) -> str:
        """The text before the first stop string."""
        for stop in self._stops:
            text = text.split(stop, 1)[0]
        return text


def torch_seed(rows: Sequence[Row]) -> int:
    """A seed for a generator of torch that all rows of a call share: another for other draws."""
    digest = hashlib.sha256(b"".join(row.key for row in rows)).digest()
    return int.from_bytes(digest[:4], "big") >> 1
