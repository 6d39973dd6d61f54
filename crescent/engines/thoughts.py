"""Models that think before they answer: how templates and texts show it, and how their tokens are decoded.

In: a tokenizer with its chat template, or the tokens that a model wrote. Out: the evidence that a model thinks; the
thinking tag at the end of a prompt, which belongs to the completion; text that keeps the tags around thoughts, even if
the tokenizer has them as special tokens. How thoughts are used is in `crescent.answers.thoughts`.

A template is tested as Crescent renders it, with the arguments of `model.chat_template_kwargs`. It belongs to a
thinking model if it opens a thought, or if a switch keeps it from doing so (Qwen3). It does not if it closes the
thought at once (DeepSeek V3.1, Qwen3 with enable_thinking=false), or only removes thoughts from earlier turns.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crescent.answers.thoughts import CHANNEL, CLOSING, OPENING, answer_spans
from crescent.engines.turns import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OPEN = re.compile(rf"{OPENING}|<\|channel\|>(?:analysis|thought)", re.IGNORECASE)
_OPEN_AT_END = re.compile(rf"(?:{OPENING}|<\|channel\|>analysis<\|message\|>)\s*\Z", re.IGNORECASE)
_CLOSED_AT_END = re.compile(rf"(?:{CLOSING})\s*\Z", re.IGNORECASE)
_CLOSES = re.compile(rf"{CLOSING}|<\|channel\|>\s*final[^<]*<\|message\|>", re.IGNORECASE)
_OPENS_OR_CLOSES = re.compile(
    rf"(?P<closes>{_CLOSES.pattern})|(?:{OPENING})|<\|channel\|>\s*\w+[^<]*<\|message\|>", re.IGNORECASE
)
_MARK = re.compile(rf"{OPENING}|{CLOSING}", re.IGNORECASE)
_CHANNEL_MARKS = (CHANNEL, "<|message|>", "<|start|>", "<|end|>")
_TO_FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"
_HINT = re.compile(r"think|thought|reasoning|\|channel\|", re.IGNORECASE)
TAG_TOKENS = 16
"""No thinking tag is longer, including the white space around it."""
_USER = [{"role": "user", "content": "How many?"}]
_ANSWER = {"role": "assistant", "content": "Nine"}
_THOUGHT = "count them one by one"
_FIELDS = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _THOUGHT)
_OPENING_TAG = re.compile(OPENING, re.IGNORECASE)
_EMPTY = re.compile(rf"(?P<opening>(?:{OPENING}))\s*(?:{CLOSING})", re.IGNORECASE)
_AROUND = re.compile(
    rf"(?P<opening>(?:(?:{OPENING})|<\|channel\|>analysis<\|message\|>)\s*){_THOUGHT}(?P<closing>\s*\S.*?){_ANSWER['content']}",
    re.IGNORECASE | re.DOTALL,
)


def may_think(template: str) -> bool:
    """False for templates that cannot belong to a thinking model (most): a cheap first check."""
    return _HINT.search(template) is not None


def why_thinking(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """Returns the evidence in a chat template that its model thinks, or None."""
    from jinja2 import TemplateError

    template = tokenizer.chat_template
    if isinstance(template, Mapping):  # several by name; the library renders this one
        template = template.get("default")
    if not isinstance(template, str) or not may_think(template):
        return None
    try:
        return _sign(tokenizer)
    except TemplateError:  # it rejects plain turns: the caller that renders them reports the reason
        return None


def open_thought(prompt: str) -> str:
    """The thinking tag at the end of a rendered prompt, with the white space after it; "" if there is none."""
    found = _OPEN_AT_END.search(prompt)
    return found[0] if found else ""


def open_thought_of(ids: Sequence[int], tokenizer: Any) -> str:
    """`open_thought` of a prompt's token ids."""
    return open_thought(str(tokenizer.decode(list(ids[-TAG_TOKENS:]), skip_special_tokens=False)))


def close_thought(opened: str) -> str:
    """What ends a thought that has just been opened: "\\n</think>\\n\\n" after "<think>\\n"."""
    if CHANNEL in opened:
        return _TO_FINAL
    tag = opened.strip()
    if tag[0] in "[◁":
        closing = f"{tag[0]}/{tag[1:]}"
    elif tag.startswith("<|"):
        closing = re.sub("BEGIN|START", "END", re.sub("begin|start", "end", tag))
    else:
        closing = f"</{tag[1:]}"
    return f"\n{closing}\n\n" if "\n" in opened else f"{closing}\n\n"


def own_tags(tokenizer: Any) -> tuple[str, str] | None:
    """What opens and closes a thought in a model's own format, with the white space around it; None if neither its
    chat template nor its vocabulary shows one.

    Qwen3: ("<think>\\n", "\\n</think>\\n\\n"). Raises TemplateError if the template rejects plain turns.
    """
    prompt = _render(tokenizer, _USER, True)
    if opened := open_thought(prompt):
        return opened, close_thought(opened)
    if found := _AROUND.search(_with_thought(tokenizer)):
        return found["opening"], found["closing"]
    empty = _EMPTY.search(prompt) or _EMPTY.search(_render(tokenizer, [*_USER, _ANSWER], False))
    added = [token.content for token in tokenizer.added_tokens_decoder.values()]
    names = [empty["opening"].strip()] if empty else [text for text in added if _OPENING_TAG.fullmatch(text)]
    if len(set(names)) != 1:
        return None
    opened = names[0] + "\n" * names[0].startswith("<")
    return opened, close_thought(opened)


def cut_at_stops(text: str, stops: Sequence[str]) -> str:
    """The text up to the first stop string outside of thoughts."""
    for start, end in answer_spans(text):
        found = [at for stop in stops if stop and (at := text.find(stop, start, end)) >= 0]
        if found:
            return text[: min(found)]
    return text


class Decoder:
    """Decodes tokens without control tokens, except those around thoughts: some tokenizers hide `[THINK]` or the
    channels of gpt-oss as special tokens, so thought and answer would run together."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        texts = special_tokens(tokenizer)
        has_channels = CHANNEL in texts.values()
        self.marks = {
            token for token, text in texts.items() if _MARK.fullmatch(text) or (has_channels and text in _CHANNEL_MARKS)
        }
        self._hidden = texts.keys() - self.marks
        self.mark_texts = {texts[token] for token in self.marks}
        self._hidden_texts = re.compile(
            "|".join(map(re.escape, sorted(set(texts.values()) - self.mark_texts, key=len, reverse=True))) or r"(?!)"
        )

    def __call__(self, tokens: Sequence[int]) -> str:
        if self.marks.isdisjoint(tokens):
            return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))
        seen = [token for token in tokens if token not in self._hidden]
        return str(self._tokenizer.decode(seen, skip_special_tokens=False))

    def plain(self, text: str) -> str:
        """The same of a text that has all special tokens in it."""
        return self._hidden_texts.sub("", text)


@dataclass(slots=True)
class _Reading:
    """How far a growing completion has been read. `start`: number of tokens before the one that follows, or shares, the
    end of the last tag; `skip`: its characters that are of the tag; `thinks`: the tag opened a thought."""

    thinks: bool
    start: int = 0
    skip: int = 0
    read: int = 0


class Answers:
    """Which tokens of completions are outside of thoughts. `opened` is the thinking tag at the end of the prompt."""

    def __init__(self, decode: Decoder) -> None:
        self._decode = decode
        self._readings: dict[int, _Reading] = {}

    def start(self, name: int, tokens: Sequence[int], opened: str) -> int | None:
        """Where the part of the answer begins that the last token is in; None if it is in a thought. `name` identifies
        a completion that grows: each call reads only its new tokens."""
        reading = self._readings.get(name)
        if reading is None or reading.read > len(tokens):  # if shorter, it was restarted
            reading = self._readings[name] = _Reading(thinks=bool(opened))
        while True:
            since = max(reading.start, reading.read - TAG_TOKENS)
            text = self._decode(tokens[since:])
            pattern = _CLOSES if reading.thinks else _OPENS_OR_CLOSES
            tag = pattern.search(text, reading.skip if since == reading.start else 0)
            reading.read = len(tokens)
            if tag is None:
                break
            count, reading.skip = self._until(tokens[since:], tag.end())
            reading.thinks = not (reading.thinks or tag["closes"])
            reading.start = reading.read = since + count
        return None if reading.thinks else self._after_space(tokens, reading.start)

    def spans(self, tokens: Sequence[int], opened: str) -> list[tuple[int, int]]:
        """`answer_spans` in tokens."""
        text = opened + self._decode(tokens)
        if (spans := answer_spans(text)) == [(0, len(text))]:
            return [(0, len(tokens))]
        found = []
        for start, end in spans:
            first, _ = self._until(tokens, start - len(opened))
            found.append((first, len(tokens) if end == len(text) else self._count(tokens, end - len(opened))))
        return found

    def _after_space(self, tokens: Sequence[int], start: int) -> int:
        """`start`, past the white space after a thought."""
        while 0 < start < len(tokens) and self._decode(tokens[start : start + 1]).isspace():
            start += 1
        return start

    def _until(self, tokens: Sequence[int], length: int) -> tuple[int, int]:
        """The tokens that spell so many characters, without one that spells more, and the characters left over."""
        count = self._count(tokens, length)
        if count and len(self._decode(tokens[:count])) > length:
            count -= 1
        return count, max(0, length - len(self._decode(tokens[:count])))

    def _count(self, tokens: Sequence[int], length: int) -> int:
        """The fewest tokens that spell so many characters."""
        low, high = 0, len(tokens)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if len(self._decode(tokens[:middle])) >= length else (middle + 1, high)
        return low


def _sign(tokenizer: Any) -> str | None:
    prompt = _render(tokenizer, _USER, True)
    if _CLOSED_AT_END.search(prompt):
        return None
    if found := _OPEN.search(prompt):
        return f"its chat template opens {found[0]}"
    off, on = (_render(tokenizer, _USER, True, enable_thinking=way, thinking=way) for way in (False, True))
    if on != off:
        return None if prompt == off else "its chat template has thinking switched on"
    if found := _OPEN.search(_render(tokenizer, [*_USER, _ANSWER], False)):
        return f"its chat template puts {found[0]} before an answer"
    has_place = _THOUGHT in _render(tokenizer, [*_USER, {**_ANSWER, **_FIELDS}], False)
    return "its chat template has a place for thoughts" if has_place else None


def _with_thought(tokenizer: Any) -> str:
    """A conversation with a thought in its answer; "" if the template refuses the fields for thoughts."""
    from jinja2 import TemplateError

    try:
        return _render(tokenizer, [*_USER, {**_ANSWER, **_FIELDS}], False)
    except TemplateError:
        return ""


def _render(tokenizer: Any, turns: Any, prompt: bool, **variables: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt, **variables))
