"""Finds the turn with the question in a response that contains chat markup as text.

In: a response. Out: the text of its first turn without markup, and whether anything came after it.
"""

import re

# "<|eot_id|>" · "</s>" · "[/INST]" · "<end_of_turn>" · "<|start_header_id|>assistant<|end_header_id|>"
_MARK = re.compile(
    r"<\|(?:start_header_id|im_start)\|>\s*(?:assistant|user|system|model)?\s*(?:<\|end_header_id\|>)?|<\|[^"
    r"|<>\n]{1,40}\|>|</?s>"
    r"|<(?:start|end)_of_turn>\s*(?:model|user)?|<(?:bos|eos|pad)>|\[/?INST\]|<</?SYS>>|<｜[^｜<>\n]{1,40}｜>",
    re.IGNORECASE,
)
# A line that begins another turn: "Human: thanks" · "### Instruction:"
_SPEAKER = re.compile(
    r"^[ \t]*(?:#{1,4}\s*)?(?:\*\*)?(?:human|user|assistant|ai|instruction|response)(?:\*\*)?\s*:",
    re.IGNORECASE | re.MULTILINE,
)


def first_turn(text: str) -> tuple[str, bool]:
    """Returns the first turn with text, and whether something ended it."""
    at = 0
    text = text.strip()
    while opening := (_MARK.match(text, at) or _SPEAKER.match(text, at)):
        at = opening.end()
        while at < len(text) and text[at].isspace():
            at += 1
    ends = [found.start() for found in (_MARK.search(text, at), _SPEAKER.search(text, at)) if found]
    return (text[at : min(ends)].strip(), True) if ends else (text[at:], False)
