"""Encodes control tokens spelled out in a text (`<|im_end|>` in a question) as plain text.

In: a tokenizer and turns. Out: token ids of the turns in the chat template, where only the template's own control
tokens are encoded as such. A tokenizer recognises a spelled token anywhere; so a mark is inserted into it, the turns
are rendered, and the pieces between marks are tokenised separately. Turns that spell no control token are tokenised by
the library. Thinking tags do not count as control tokens here: they belong to what a model writes. This module runs no
model.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from crescent.answers.thoughts import CLOSING, OPENING
from crescent.engines.turns import control_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_THOUGHT = re.compile(rf"(?:{OPENING})|(?:{CLOSING})", re.IGNORECASE)
# Added tokens that are not special count as control tokens because of their form (`<｜User｜>`, `<|fim_prefix|>`,
# `<tool_call>`), or because the chat template writes them. Gemma's added tokens include HTML tags, which are text.
_FORM = re.compile(r"[<\[]\S*[|｜_▁]\S*[>\]]")
# Those of common chat formats, for models whose tokenizer is not on this machine.
_COMMON = re.compile(r"<[|｜][^<>|｜\s]{1,40}[|｜]>|</?(?:s|bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]")
_MARKS = range(0xE000, 0xF8FF)  # private use
_ANCHOR = "\n"  # merges with nothing that follows
_known: "WeakKeyDictionary[Any, tuple[Any, dict[int, str], re.Pattern[str]]]" = WeakKeyDictionary()


def spellable(tokenizer: "PreTrainedTokenizerBase") -> dict[int, str]:
    """Control tokens that a text could spell: id to text."""
    return _tokens(tokenizer)[0]


def spells_control(text: str, tokenizer: "PreTrainedTokenizerBase") -> bool:
    """True if a text spells a control token."""
    return _tokens(tokenizer)[1].search(text) is not None


def spelled_apart(text: str, tokenizer: "PreTrainedTokenizerBase | None") -> str:
    """Inserts a space into each control token that the text spells, for servers that tokenise it themselves."""
    return _marked(text, _COMMON if tokenizer is None else _tokens(tokenizer)[1], " ")


def chat_ids(tokenizer: "PreTrainedTokenizerBase", turns: Sequence[Mapping[str, str]], **options: Any) -> list[int]:
    """Token ids of turns in the chat template. `options` are passed to `apply_chat_template`."""
    pattern = _tokens(tokenizer)[1]
    chat: Any = [dict(turn) for turn in turns]
    if not any(pattern.search(turn["content"]) for turn in chat):
        encoded: Any = tokenizer.apply_chat_template(chat, return_dict=True, **options)
        return list(encoded["input_ids"])
    mark = next(chr(one) for one in _MARKS if not any(chr(one) in turn["content"] for turn in chat))
    marked: Any = [{**turn, "content": _marked(turn["content"], pattern, mark)} for turn in chat]
    first, *others = str(tokenizer.apply_chat_template(marked, tokenize=False, **options)).split(mark)
    return [*_ids(tokenizer, first), *(token for part in others for token in ids_behind(tokenizer, part))]


def _tokens(tokenizer: Any) -> tuple[dict[int, str], re.Pattern[str]]:
    template = tokenizer.chat_template
    kept = _known.get(tokenizer)
    if kept is None or kept[0] != template:
        found = _control(tokenizer, str(template))
        texts = sorted(found.values(), key=len, reverse=True)
        kept = template, found, re.compile("|".join(map(re.escape, texts)) or r"(?!)")
        _known[tokenizer] = kept
    return kept[1], kept[2]


def _control(tokenizer: Any, template: str) -> dict[int, str]:
    special = set(tokenizer.all_special_ids)
    added = tokenizer.added_tokens_decoder
    texts = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in control_tokens(tokenizer)}
    return {
        token: text
        for token, text in texts.items()
        if len(text) > 1
        and not _THOUGHT.fullmatch(text)
        and (token in special or added[token].special or _FORM.fullmatch(text) or text in template)
    }


def _marked(text: str, pattern: re.Pattern[str], mark: str) -> str:
    """Inserts `mark` after the first character of each match until nothing matches."""
    while found := [match.start() + 1 for match in pattern.finditer(text)]:
        text = mark.join(text[start:end] for start, end in pairwise([0, *found, len(text)]))
    return text


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def ids_behind(tokenizer: Any, text: str) -> list[int]:
    """Ids of a continuation of another text: some tokenizers (Llama 2's) put a space before a text."""
    before, both = _ids(tokenizer, _ANCHOR), _ids(tokenizer, _ANCHOR + text)
    return both[len(before) :] if both[: len(before)] == before else _ids(tokenizer, text)
