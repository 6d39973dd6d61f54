"""What a reasoning model writes before its response, taken off.

In: a response. Out: the response without thoughts. Knows tags alone: thoughts without tags stay.
"""

import re

# "<think>Let me see.</think>The answer is 4." · "<|begin_of_thought|> ... <|end_of_thought|>"
_TAG = re.compile(
    r"<(?P<close>/)?(?:think|thinking|thought|thoughts|reasoning)>|<\|(?P<mark>begin|end)_of_thought\|>", re.IGNORECASE
)


def without_thoughts(text: str) -> str:
    """`text` without what stands between thought tags, or before a closing tag that was never opened (the template had
    opened it). Behind a tag that is never closed nothing remains: the model was cut off while it thought."""
    parts: list[str] = []
    at, open_ = 0, False
    for tag in _TAG.finditer(text):
        closes = tag["close"] is not None or tag["mark"] == "end"
        if closes and not open_:
            parts.clear()
        elif not closes and not open_:
            parts.append(text[at : tag.start()])
        open_ = not closes
        at = tag.end()
    if not at:
        return text
    return "".join(parts if open_ else [*parts, text[at:]]).strip()
