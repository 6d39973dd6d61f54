"""Separates a reasoning model's thoughts, which are not part of its response, from the answer.

"<think>Maybe 13?</think>It is 12."          "It is 12."
"Maybe 13?</think>It is 12."                 "It is 12."   the opening tag was in the prompt
"It is 12. <think>Or 13"                     ""            never closed: the model has not answered yet
"<|begin_of_thought|>13<|end_of_thought|>12" "12"
"<|channel|>analysis<|message|>13<|end|><|start|>assistant<|channel|>final<|message|>12" "12"
"""

import re
from dataclasses import dataclass

# <think> · </thinking> · <seed:think> · <|begin_of_thought|> · <|START_THINKING|> · [THINK] · ◁think▷
_NAME = r"(?:think|thinking|thoughts?|reasoning|scratchpad)"
OPENING = rf"<(?:\w+:)?{_NAME}\s*>|<\|begin_of_{_NAME}\|>|<\|start_{_NAME}\|>|\[think\]|◁think▷"
CLOSING = rf"</(?:\w+:)?{_NAME}\s*>|<\|end_of_{_NAME}\|>|<\|end_{_NAME}\|>|\[/think\]|◁/think▷"
"""Tags around thoughts; match them case-insensitively."""
_TAG = re.compile(rf"(?P<closing>{CLOSING})|{OPENING}", re.IGNORECASE)
_MARK = re.compile(rf"{OPENING}|{CLOSING}|<\|channel\|>\s*\w+[^<]*<\|message\|>", re.IGNORECASE)
# gpt-oss: every message names its channel, and only "final" is for the reader.
CHANNEL = "<|channel|>"
_CHANNEL = re.compile(r"(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*(?P<name>\w+)[^<]*<\|message\|>")
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start)\|>")
_FINAL = "final"
UNCLOSED = "unclosed thought"


@dataclass(frozen=True, slots=True)
class Parts:
    """`thought` is everything written in thoughts, `answer` the rest. `is_open`: the text ends inside a thought, so
    there is no answer."""

    thought: str
    answer: str
    is_open: bool = False


def split_thoughts(text: str) -> Parts:
    """Splits a text into thoughts and answer, in linear time."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return Parts("", text)
    said, thoughts = _final_channel(text) if CHANNEL in text else (text, [])
    if said is None:
        return Parts("".join(thoughts), "", is_open=True)
    kept: list[str] = []
    start, thinking = 0, False
    for tag in _TAG.finditer(said):
        if tag["closing"] is None:
            if not thinking:
                kept.append(said[start : tag.start()])
                start = tag.end()
            thinking = True  # a tag mentioned inside a thought does not open a second one
        else:
            if not thinking:
                thoughts += kept  # everything before was thought
                kept.clear()
            thoughts.append(said[start : tag.start()])
            start, thinking = tag.end(), False
    if thinking:
        return Parts("".join([*thoughts, *kept, said[start:]]), "", is_open=True)
    return Parts("".join(thoughts), "".join([*kept, said[start:]]))


def first_tag(text: str) -> tuple[str, str]:
    """The text before the first tag around a thought, and the tag; (text, "") without one."""
    found = _MARK.search(text)
    return (text, "") if found is None else (text[: found.start()], found[0])


def without_thoughts(text: str) -> str:
    """`text` without the model's thoughts; "" if it ends inside one."""
    return split_thoughts(text).answer


def ending(text: str, finish_reason: str) -> str:
    """How a completion ended, for the counts: one that ends in an unclosed thought has said nothing, whatever ended
    it."""
    return UNCLOSED if split_thoughts(text).is_open else finish_reason


def answer_spans(text: str) -> list[tuple[int, int]]:
    """The parts of a text that are outside of thoughts, as (start, end). White space around a thought belongs to it."""
    spans: list[tuple[int, int]] = []
    if CHANNEL in text:
        for mark in _CHANNEL.finditer(text):
            if mark["name"] == _FINAL:
                ended = _MESSAGE_END.search(text, mark.end())
                spans.append((mark.end(), ended.start() if ended else len(text)))
        return spans
    start, thinking = 0, False
    for tag in _TAG.finditer(text):
        if tag["closing"] is None:
            if not thinking and text[start : tag.start()].strip():
                spans.append((start, tag.start()))
            thinking = True
        else:
            if not thinking:
                spans.clear()  # the opening tag was in the prompt
            start, thinking = _skip_space(text, tag.end()), False
    return spans if thinking else [*spans, (start, len(text))]


def _final_channel(text: str) -> tuple[str | None, list[str]]:
    """The text for the reader (None: nothing yet), and the messages of other channels."""
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        return None, [text]
    said: list[str] = []
    thoughts = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        message = _MESSAGE_END.split(text[mark.end() : following.start() if following else len(text)], maxsplit=1)[0]
        (said if mark["name"] == _FINAL else thoughts).append(message)
    return "".join(said) if said else None, thoughts


def _skip_space(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())
