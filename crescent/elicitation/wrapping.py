"""Removes what a text is wrapped in: quotes, emphasis, tags, a fence, JSON.

In: a text. Out: the text without one pair that encloses all of it; unchanged if there is none.
"""

import json
import re

_FENCE = re.compile(r"(?P<mark>```|~~~)[A-Za-z]{0,12}\n")
_TAG = re.compile(r"<([a-z][a-z0-9_-]{0,20})(?: [^<>\n]{0,80})?>", re.IGNORECASE)
_PARAGRAPH = re.compile(r"</p>\s*<p>", re.IGNORECASE)
_PROBLEM_TAG = re.compile(
    r"<(?P<name>(?:(?:modified|new|revised|rewritten|math|word)[ _-]?)*(?:problem|question|puzzle"
    r"|riddle))>(?P<inside>.+?)</(?P=name)>",
    re.IGNORECASE | re.DOTALL,
)
_BRACKET_TAG = re.compile(
    r"\[(?P<name>problem|question|puzzle|riddle)\](?P<inside>.+?)\[/(?P=name)\]", re.IGNORECASE | re.DOTALL
)
_ENVIRONMENT = re.compile(
    r"\\begin\{(?P<name>problem|question|exercise|enumerate|quote|center)\*?\}(?:\s*\\item)?(?P<inside>.+?)\\end\{(?P=name)\*?\}",
    re.IGNORECASE | re.DOTALL,
)
_PAIRS = (
    ('"""', '"""'), ('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"), ("`", "`"), ("***", "***"), ("**", "**"),
    ("__", "__"),     ("*", "*"), ("_", "_"), ("«", "»"), ("„", "“"), ("「", "」"), ("(", ")"), ("[", "]"), ("{", "}"),
)  # fmt: skip
_KEYS = ("problem", "question", "puzzle", "riddle", "text", "content", "prompt")
_LATEX_LABEL = re.compile(
    r"\\(?:textbf|textit|emph|underline|(?:sub)*section\*?|paragraph\*?)\{([^{}\n]{1,80})\}(?=:|(?<=[:.]\})|\s*\n)"
)
# "(5 points) Tom has ...", "[Easy] Tom has ..."
_STAMP = re.compile(
    r"[(\[](?:\d{1,3} ?(?:points?|marks?|pts|p)|(?:level|grade|difficulty|year|class)\W{0,2}\w{1,12}|easy|medium"
    r"|hard|difficult"
    r"|challenging|advanced|beginner|intermediate)[)\]]:?\s*",
    re.IGNORECASE,
)
_ITEM = re.compile(r"(?:[-*•+]|\(?\d{1,2}[.)])\s+")


def unwrapped(text: str) -> str:
    """`text` without the outermost pair around it."""
    text = text.strip()
    for reader in (_fence, _problem_tag, _tag, _paragraphs, _json, _latex_label, _quoted_lines, _item, _stamp, _pair):
        inside = reader(text)
        if inside is not None and any(map(str.isalnum, inside)):
            return inside.strip()
    return text


def _fence(text: str) -> str | None:
    """Removes a fence around the whole text, or one half of a fence whose other half is missing."""
    fence = _FENCE.match(text)
    for mark in ("```", "~~~"):
        if text.count(mark) == 1:
            return (
                text[fence.end() :]
                if fence and fence["mark"] == mark
                else text.removesuffix(mark)
                if text.endswith("\n" + mark)
                else None
            )
        if fence and fence["mark"] == mark and text.endswith(mark) and text.count(mark) == 2:
            return text[fence.end() : -3]
    return None


def _problem_tag(text: str) -> str | None:
    """What stands in tags named for a problem, the last of several: "<question>...</question><answer>...</answer>"."""
    for pattern in (_PROBLEM_TAG, _BRACKET_TAG, _ENVIRONMENT):
        found = list(pattern.finditer(text))
        if found and "\\item" not in found[-1]["inside"]:
            return found[-1]["inside"]
    return None


def _tag(text: str) -> str | None:
    tag = _TAG.match(text)
    if tag is None:
        return None
    closing = f"</{tag[1]}>".casefold()
    if text[-len(closing) :].casefold() != closing:
        return None
    inside = text[tag.end() : -len(closing)]
    return None if closing in inside.casefold() else inside


def _paragraphs(text: str) -> str | None:
    """The paragraphs of "<p>Tom has ...</p><p>Good luck!</p>"."""
    if not (text[:3].casefold() == "<p>" and text[-4:].casefold() == "</p>"):
        return None
    return _PARAGRAPH.sub("\n\n", text[3:-4])


def _json(text: str) -> str | None:
    """The problem in `{"problem": "..."}`."""
    if not (text.startswith("{") and text.endswith("}") and len(text) < 20_000):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = [fields[key] for key in fields if key.casefold() in _KEYS and isinstance(fields[key], str)]
    return found[0] if found else None


def _latex_label(text: str) -> str | None:
    """Turns a LaTeX label or heading into bold text: "\\textbf{Problem:} Tom has ...", "\\section*{Problem}"."""
    label = _LATEX_LABEL.match(text)
    return f"**{label[1]}**{text[label.end() :]}" if label else None


def _quoted_lines(text: str) -> str | None:
    """Removes a block quotation: every line begins with ">"."""
    lines = text.split("\n")
    if not all(line.lstrip().startswith(">") for line in lines if line.strip()):
        return None
    return "\n".join(line.lstrip()[1:].removeprefix(" ") if line.strip() else line for line in lines)


def _item(text: str) -> str | None:
    """The only item of a list: "- Tom has ...", "1. Tom has ..."."""
    marker = _ITEM.match(text)
    others = [line for line in text.split("\n")[1:] if _ITEM.match(line.lstrip())]
    return text[marker.end() :] if marker and not others else None


def _stamp(text: str) -> str | None:
    stamp = _STAMP.match(text)
    return text[stamp.end() :] if stamp else None


def _pair(text: str) -> str | None:
    for left, right in _PAIRS:
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            inside = text[len(left) : len(text) - len(right)]
            if left not in inside and right not in inside:
                return inside
    return None


def without_half_a_pair(text: str) -> str:
    """`text` without an opening quotation mark whose partner was dropped with the text after the question."""
    marks = text.count('"') + text.count("“") + text.count("”")
    return text[1:].lstrip() if marks == 1 and text[:1] in ('"', "“") else text
