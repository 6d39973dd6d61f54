"""Converts Unicode and LaTeX to the plain notation that the parsers read. Other characters stay.

For example, "−2½ m²" becomes "-2 1/2 m²", "\\frac34" becomes "\\frac{3}{4}", "10{,}000\\text{ m}^{2}" becomes "10,000 {
m}^2".
"""

import re
import unicodedata

_DASHES = "‐‑‒–—―−﹣－➖"
_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LOOKALIKES = dict(
    zip("⁄∕／，．：％＝∗İ٫٬（）＄＃", "///,.:%=*I.,()$#", strict=True)
)  # İ is the only letter that grows in lower case
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_POWER = re.compile(r"(?<=\d)([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,9})")  # 3 × 10⁵, 7²; in "5 m²" the superscript is part of a unit
_GROUP_APOSTROPHE = re.compile(r"(?<=\d)’(?=\d{3}(?!\d))")
_OVERLINED = re.compile(r"(?:\d[\u0304\u0305])+")  # 0.3̅
_GROUP_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")  # 10 000, written with a narrow space

_LATEX = re.compile(
    r"(?P<join>\{,\}(?:\\!)?|(?<=[\d,])\\!\s?(?=\d)|\\!)"
    r"|\\[dtc]?frac\s?(?:\{(?P<braced>[^{}\\]{1,60})\}\s?(?P<digit>\d)|(?P<top>\d)\s?(?:(?P<bottom>\d)|(?P<open>\{)))"
    r"|\\(?P<frac>[dtc]frac|sfrac|nicefrac)(?![A-Za-z])"
    r"|(?<=[\d.])\\(?:overline|overbar|bar|dot)\s?\{?(?P<repeated>\d{1,20})\}?"
    r"|\^\{\s?(?P<power>[+-]?\d{1,9})\s?\}"
    r"|\^\{?(?P<over>\d{1,9})\}?\s?/\s?_\{?(?P<under>\d{1,9})\}?"
    r"|(?P<degrees>\^\{?\s?(?:\\circ|\\degree|\\(?:text|mathrm)\{[o°]\})\s?\}?|\\degree(?![A-Za-z]))"
    r"|\\(?P<wrap>text(?:bf|it|tt|rm|sf|sc|normal)?|math(?:rm|bf|it|sf|tt)|bf|rm|it|mbox|emph|underline|bm|boldsymbol"
    r"|operatorname|left|right|[bB]igg?[lr]?|displaystyle|textstyle|tiny|small|normalsize|[lL]arge|LARGE|[hH]uge|tag\{[^{}]{0,9}\}"
    r"|(?:text)?color(?:box)?\{[a-zA-Z!0-9]{1,20}\}|[hv]space\*?\{[^{}]{1,12}\}|h?phantom\{[^{}]{0,20}\}"
    r"|begin\{[a-z*]{1,12}\}|end\{[a-z*]{1,12}\})(?![A-Za-z])"
    r"|\\(?P<symbol>times|cdot|div|approx|sim|simeq|thickapprox|dots|ldots|quad|qquad|implies|Rightarrow|rightarrow|to|pi|pm|infty|le|leq|ge|geq|emptyset)(?![A-Za-z])"
    r"|\\(?P<escaped>[$%#&_{}])"
    r"|(?P<thin>(?<=\d)\\[,; ](?=\d{3}(?!\d)))"
    r"|(?P<gap>\\[,;: ()\[\]\n])"
)
_SYMBOLS = {"times": "×", "cdot": "×", "div": "÷", "approx": "≈", "dots": "...", "ldots": "...", "pi": "π", "pm": "±"}
_SYMBOLS |= {"quad": " ", "qquad": " ", "infty": "∞", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "emptyset": "∅"}
_SYMBOLS |= dict.fromkeys(["sim", "simeq", "thickapprox"], "≈")
_SYMBOLS |= dict.fromkeys(["implies", "Rightarrow", "rightarrow", "to"], "→")
_STARS = re.compile(r"(?<=[\d)])\s?\*\*\s?(?=\d)")  # 2**8
_TAGS = re.compile(
    r"</?(?:b|u|i|em|strong|br|p|span|div|sup|sub|mark|code|center|small|h\d)\b[^<>\n]{0,40}>", re.IGNORECASE
)
_STRUCK_OUT = re.compile(r"~~[^~\n]{1,200}~~")
# Replacements of groups that do not depend on the match.
_FIXED = {"degrees": "°", "wrap": " ", "thin": "", "gap": " ", "frac": "\\frac"}


class _Plain(dict[int, str | int]):
    """A translation table that computes each character once: decimal digits of any script, dashes, spaces, ½."""

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        self[code] = _plain_character(character) if code > 127 else code
        return self[code]


def _plain_character(character: str) -> str:
    if character in _DASHES:
        return "-"
    if character in _SPACES:
        return " "
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.decomposition(character).startswith("<fraction>"):
        top, _, bottom = unicodedata.normalize("NFKC", character).partition("⁄")
        return f" {top}/{bottom} " if bottom else character
    return _LOOKALIKES.get(character, character)


_TABLE = _Plain()


def plain(text: str) -> str:
    """Returns `text` with ASCII digits, minus signs, spaces and fractions, and with LaTeX number notation expanded."""
    if not text.isascii():
        text = _GROUP_SPACE.sub("", text)
        text = _GROUP_APOSTROPHE.sub("'", text)
        text = _OVERLINED.sub(lambda found: f"({found[0][::2]})", text)
        text = _POWER.sub(lambda found: "^" + found[1].translate(_SUPERSCRIPTS), text)
        text = text.translate(_TABLE)
    if "\\" in text or "{,}" in text or "^{" in text:
        text = _LATEX.sub(_written_out, text)
    if "**" in text:
        text = _STARS.sub("^", text)
    if "</" in text or "<br" in text:
        text = _TAGS.sub(" ", text)
    if "~~" in text:
        text = _STRUCK_OUT.sub("", text)
    return text


def _written_out(found: re.Match[str]) -> str:
    group = found.lastgroup or ""
    if group in _FIXED:
        return _FIXED[group]
    if group == "join":
        return "," if found[0].startswith("{,}") else ""
    if group == "digit":
        return f"\\frac{{{found['braced']}}}{{{found['digit']}}}"
    if group == "bottom":
        return f"\\frac{{{found['top']}}}{{{found['bottom']}}}"
    if group == "open":
        return f"\\frac{{{found['top']}}}{{"
    if group == "repeated":
        return f"({found['repeated']})"
    if group == "under":
        return f" {found['over']}/{found['under']}"
    if group == "power":
        return "^" + found["power"]
    return _SYMBOLS[found["symbol"]] if group == "symbol" else found["escaped"]
