"""Where stop strings end a completion, and what of its text is then left: the same for engines that decode themselves.

In: the tokens of a completion, a tokenizer, stop strings. Out: whether the last token completed one, and the text that
remains. A stop string may spell special tokens (`<|im_end|>`, `<|start_header_id|>user<|end_header_id|>`), which are
not in the text of a completion. It runs no model.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crescent.engines.turns import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def spells_special(stops: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether a stop string holds the text of a special token."""
    if not any(stops):
        return False
    names = special_tokens(tokenizer).values()
    return any(name in stop for stop in stops for name in names)


class Stops:
    """Stop strings. Text is decoded only after a token that can complete one of them.

    `keeps_text`: see `Sampling`.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", stops: tuple[str, ...], keeps_text: bool = False) -> None:
        self._tokenizer, self._keeps_text = tokenizer, keeps_text
        self._stops = tuple(stop for stop in stops if stop)
        self._special = frozenset(special_tokens(tokenizer)) if self._stops else frozenset()
        self._window = 2 * max(map(len, self._stops), default=0) + 8

    def __bool__(self) -> bool:
        return bool(self._stops)

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether the last token completed a stop string."""
        if not self._stops or not tokens or tokens[-1] not in self._can_end:
            return False
        tail = tokens[-self._window :]
        return self._found(self._decode(tail)) or self._found_among_special(tail)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a completion, special tokens left out, before its first stop string."""
        if not self._keeps_text and self._found_among_special(tokens[-self._window :]):
            return self.cut(self._before_special(tokens))
        return self.cut(self._decode(tokens))

    def cut(self, text: str) -> str:
        """The text before the first stop string."""
        for stop in self._stops:
            text = text.split(stop, 1)[0]
        return text

    @cached_property
    def _can_end(self) -> set[int]:
        """Tokens that can complete a stop string."""
        last = {stop[-1] for stop in self._stops}
        pieces = enumerate(self._tokenizer.batch_decode([[token] for token in range(len(self._tokenizer))]))
        return {token for token, piece in pieces if last & set(piece) or "�" in piece}

    def _found(self, text: str) -> bool:
        return any(stop in text for stop in self._stops)

    def _found_among_special(self, tokens: Sequence[int]) -> bool:
        return not self._special.isdisjoint(tokens) and self._found(self._decode(tokens, skip=False))

    def _before_special(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, which end with a stop string that spells special tokens, without all of that string."""
        start = len(tokens) - 1
        while not self._found(self._decode(tokens[start:], skip=False)):
            start -= 1
        before, first = self._decode(tokens[:start]), self._decode(tokens[: start + 1])
        if tokens[start] in self._special or not first.startswith(before):
            return before
        [stop] = [one for one in self._stops if one in self._decode(tokens[start:], skip=False)][:1]
        shared = max(size for size in range(len(stop) + 1) if first.endswith(stop[:size]))
        return first[: len(first) - shared]

    def _decode(self, tokens: Sequence[int], skip: bool = True) -> str:
        text: Any = self._tokenizer.decode(list(tokens), skip_special_tokens=skip)
        return text
