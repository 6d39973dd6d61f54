"""Where stop strings end a completion and which text remains, for all engines that decode themselves.

In: the tokens of a completion, a tokenizer, stop strings. Out: whether the last token completed a stop string, and the
remaining text. A stop string may spell special tokens (`<|im_end|>`, `<|start_header_id|>user<|end_header_id|>`), which
are not in the text of a completion. Stop strings inside thoughts are ignored. This module runs no model.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from crescent.engines import Sampling
from crescent.engines.thoughts import Answers, Decoder, cut_at_stops
from crescent.engines.turns import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_known: "WeakKeyDictionary[Any, list[str]]" = WeakKeyDictionary()


def spells_special(stops: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> bool:
    """True if a stop string contains the text of a special token."""
    if not any(stops):
        return False
    names = special_tokens(tokenizer).values()
    return any(name in stop for stop in stops for name in names)


def _pieces(tokenizer: Any) -> list[str]:
    """The text of each token; kept, because large vocabularies take seconds to decode."""
    if len(_known.get(tokenizer, ())) != len(tokenizer):
        _known[tokenizer] = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return _known[tokenizer]


class Texts:
    """Texts of completions up to the first stop string outside of thoughts, with the tags around thoughts.

    `name` identifies a completion, `opened` is the thinking tag at the end of its prompt.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", sampling: Sampling) -> None:
        self._decode, self._sampling = Decoder(tokenizer), sampling
        self._spells_special = spells_special(sampling.stop, tokenizer)
        self._stops = Stops(tokenizer, sampling.stop, sampling.keeps_stop_text)
        self._answers = Answers(self._decode)

    def stops_at(self, name: int, tokens: Sequence[int], opened: str) -> bool:
        """True if the last token completed a stop string outside of thoughts."""
        if not self._stops.reached(tokens):
            return False
        start = self._answers.start(name, tokens, opened)
        return start is not None and self._stops.reached(tokens[start:])

    def text(self, tokens: Sequence[int], opened: str) -> str:
        """The text of a completion, whose tokens may continue after a stop string."""
        whole = opened + self._decode(tokens)
        if not self._spells_special:
            return cut_at_stops(whole, self._sampling.stop)
        for start, end in self._answers.spans(tokens, opened):
            part = tokens[start:end]
            if (kept := self._stops.text(part)) != self._decode(part):
                return opened + self._decode(tokens[:start]) + kept
        return whole


class Stops:
    """Finds stop strings. Text is decoded only after a token that can complete one of them.

    `keeps_text`: see `Sampling`.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", stops: tuple[str, ...], keeps_text: bool = False) -> None:
        self._tokenizer, self._keeps_text, self._plain = tokenizer, keeps_text, Decoder(tokenizer)
        self._stops = tuple(stop for stop in stops if stop)
        self._special = frozenset(special_tokens(tokenizer)) if self._stops else frozenset()
        self._window = 2 * max(map(len, self._stops), default=0) + 8

    def __bool__(self) -> bool:
        return bool(self._stops)

    def reached(self, tokens: Sequence[int]) -> bool:
        """True if the last token completed a stop string."""
        if not self._stops or not tokens or tokens[-1] not in self._can_end:
            return False
        tail = tokens[-self._window :]
        return self._found(self._plain(tail)) or self._found_among_special(tail)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a completion without special tokens, up to its first stop string."""
        end = None if self._keeps_text else self._end_among_special(tokens)
        return self.cut(self._plain(tokens) if end is None else self._before_special(tokens[:end]))

    def cut(self, text: str) -> str:
        """The text up to the first stop string."""
        for stop in self._stops:
            text = text.split(stop, 1)[0]
        return text

    @cached_property
    def _can_end(self) -> set[int]:
        """Tokens that can complete a stop string."""
        last = {*(stop[-1] for stop in self._stops), "�"}
        return {token for token, piece in enumerate(_pieces(self._tokenizer)) if not last.isdisjoint(piece)}

    def _found(self, text: str) -> bool:
        return any(stop in text for stop in self._stops)

    def _found_among_special(self, tokens: Sequence[int]) -> bool:
        return not self._special.isdisjoint(tokens) and self._found(self._with_special(tokens))

    def _end_among_special(self, tokens: Sequence[int]) -> int | None:
        """Number of tokens up to and including the first stop string that spells special tokens; None if there is
        none."""
        if self._special.isdisjoint(tokens):
            return None
        ends = (at + 1 for at, token in enumerate(tokens) if token in self._can_end)
        return next((end for end in ends if self._found_among_special(tokens[max(0, end - self._window) : end])), None)

    def _before_special(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, which end with a stop string that spells special tokens, without that whole string."""
        start = len(tokens) - 1
        while not self._found(self._with_special(tokens[start:])):
            start -= 1
        before, first = self._plain(tokens[:start]), self._plain(tokens[: start + 1])
        if tokens[start] in self._special or not first.startswith(before):
            return before
        [stop] = [one for one in self._stops if one in self._with_special(tokens[start:])][:1]
        shared = max(size for size in range(len(stop) + 1) if first.endswith(stop[:size]))
        return first[: len(first) - shared]

    def _with_special(self, tokens: Sequence[int]) -> str:
        text: Any = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return text
