"""What a reasoning model writes for itself is no part of its response.

"<think>Maybe 13?</think>It is 12."          "It is 12."
"Maybe 13?</think>It is 12."                 "It is 12."   the opening tag was in the prompt
"It is 12. <think>Or 13"                     "It is 12. "  never closed: nothing after it counts
"<|begin_of_thought|>13<|end_of_thought|>12" "12"
"""

import re

# <think> · </thinking> · <seed:think> · <|begin_of_thought|> · <|START_THINKING|> · [THINK] · ◁think▷
_NAME = r"(?:think|thinking|thoughts?|reasoning|scratchpad)"
OPENING = rf"<(?:\w+:)?{_NAME}\s*>|<\|begin_of_{_NAME}\|>|<\|start_{_NAME}\|>|\[think\]|◁think▷"
CLOSING = rf"</(?:\w+:)?{_NAME}\s*>|<\|end_of_{_NAME}\|>|<\|end_{_NAME}\|>|\[/think\]|◁/think▷"
"""Tags around thoughts, to be matched whatever their case."""
_TAG = re.compile(rf"(?P<closing>{CLOSING})|{OPENING}", re.IGNORECASE)
_FINAL_CHANNEL = "<|channel|>final<|message|>"
_ANALYSIS_CHANNEL = "<|channel|>analysis"


def without_thoughts(text: str) -> str:
    """`text` without the model's thoughts, closed or not. Linear in its length."""
    if "<" not in text and "[" not in text and "◁" not in text:
        return text
    if _ANALYSIS_CHANNEL in text:
        before, _, after = text.partition(_ANALYSIS_CHANNEL)
        text = after.partition(_FINAL_CHANNEL)[2] or before
    kept: list[str] = []
    start, thinking = 0, False
    for tag in _TAG.finditer(text):
        if tag["closing"] is None:
            if not thinking:
                kept.append(text[start : tag.start()])
            thinking = True  # a tag that is named inside a thought opens no second one
        else:
            if not thinking:
                kept.clear()  # all that came before was thought
            start, thinking = tag.end(), False
    if not thinking:
        kept.append(text[start:])
    return "".join(kept)
