"""What a sentence does in a problem: whether it asks, states facts, or works something out.

In: one sentence, or a few. Out: yes or no. Knows no domain; the patterns are of grammar and of arithmetic.
"""

import re

from crescent.elicitation.vocabulary import ASKS_ANYWHERE, IMPERATIVES

_ASKS = re.compile(
    r"[?？؟]"
    r"|\b(?:how (?:many|much|long|far|old|often|tall|fast)|(?:wonder\w*|know|tell|find out) (?:what|how|who|which"
    r"|where))\b"
    r"|(?:^|[.!:;]\s+|, )(?:(?:at|in|on|by|to|for|of) )?(?:what(?! an? )|whose)\b"
    r"|(?:^|[.!:;]\s+)(?:(?:who|which)\b|(?:where|when|why)\b[^.!]*$)"
    rf"|(?:^|[.!:;,$]\s+|\b(?:please|and|then|must|should) )(?:{IMPERATIVES})\b"
    r"|\b(?:wie (?:viel|viele|lange|weit|alt|oft)|combien|cu[áa]nt[oa]s?|quant[oiae]s?|сколько|hoeveel|ile|kaç)\b",
    re.IGNORECASE,
)
# "Use the table to determine the mean.", but not "To solve this, we need to find x."
_AIMS = re.compile(rf"\bto (?:{IMPERATIVES})\b", re.IGNORECASE)
_NARRATES = re.compile(r"\W*(?:i|i'm|i’m|we|to|first|let's|let’s|now|then|next|so)\b", re.IGNORECASE)
_ORDERS = re.compile(rf"\W*(?:please )?(?:{IMPERATIVES}|what|which|who|how|where|when|why)\b", re.IGNORECASE)
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|dozen"
    "|half|twice"
    "|third|quarter|double|triple"
)
_NUMBER = re.compile(rf"\d|\$\S|\\[a-z]+|[二三四五六七八九十百千]|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
# "6 * 7 = 42" · "(30 + 8) / 2 = 19" · "$4 × 3 = $12": an equation between numbers alone, with its value
_WORKED = re.compile(
    r"(?<![\w.])[($€£]*\.?\d[\d.,%$€£)]*(?:[ \w/]{2,24})?\s*(?:[-+*/×÷·−]|\\times|\\div|\\cdot"
    r"|(?<=\s)x(?=\s))\s*[($€£]*"
    r"\.?\d[\d.,%$€£)]*[^=?\n]{0,60}=\s*[($€£<]*-?\.?\d[\d.,]*(?![\w(^])",
    re.IGNORECASE,
)
# "To solve this, ..." · "First, ..." · "Let x be ..." · "Multiplying by 7, we get" · "Therefore, ..."
_STEP = re.compile(
    r"(?:to (?:solve|find|determine|calculate|answer|figure|get|compute|work)\b|first(?:ly)?(?:,| (?:find"
    r"|calculate|determine|we)\b)|next,|then,|finally,|in conclusion"
    r"|let(?:'|’)?s (?:solve|think|start|begin|break|first|denote|call|find|calculate|assume|use|see|work|define|say)"
    r"|let (?:us\b|\$?[a-z]\$? (?:be|denote|represent|=)|the (?:number|cost|price|unknown)\b)"
    r"|we (?:can|need|know|have|start|first|must|use|get|want|will|are given|find|then|should|could|calculate"
    r"|multiply)\b"
    r"|(?:using|multiply|divide|subtract|multiplying|dividing|adding|subtracting|substituting|solving|applying|simplifying"
    r"|combining|setting)\b"
    r"|by (?:using|multiplying|dividing|adding|subtracting|substituting|solving|applying|the pythagorean)\b"
    r"|(?:since|because|as) [^,]{1,120}, (?:we|the|it|there|he|she|they)\b|(?:therefore|thus|hence|so|consequently)\b,?"
    r"|(?:start|begin) (?:by|with)\b|now,? (?:we|let)|in order to (?:solve|find)|this (?:means|gives|is because"
    r"|can be solved)"
    r"|(?:the )?(?:total|final|correct) (?:\w+ ){0,6}(?:is|=|are)\b|according to the|here(?:'|’)?s how"
    r"|here is how|step \d"
    r"|it (?:can be solved|follows)|you (?:can|could|would) (?:solve|find|use|calculate|start)"
    r"|from the (?:question|problem)"
    r"|(?:解|因为|所以|首先|设|根据|dazu|zuerst|zunächst|d'abord|primero|para resolver|per risolvere"
    r"|pour résoudre)\b[,：:，]?)",
    re.IGNORECASE,
)
_DERIVES = re.compile(r", (?:and )?(?:so )?we (?:have|get|find|obtain|can (?:write|say|find|set))\b", re.IGNORECASE)
_WE_WORK = re.compile(r"\W*(?:we \w+|to \w+ (?:this|that|it|so)\b[^,]{0,60},)", re.IGNORECASE)
_TELLS = re.compile(r"(?:next|then|finally|using|simplify|multiply|add|combine)\b", re.IGNORECASE)
_QUALIFIES = re.compile(
    r"\W*(?:note|remember|assum|suppose|recall|keep in mind|round|give|express|use|write|answer|ignore|consider"
    r"|take|leave|please"
    r"|be sure|make sure|you may|you can|you must|if|each|all|every)",
    re.IGNORECASE,
)
# "1. Multiply 6 by 7": a step of a list behind the question
_INSTRUCTS = re.compile(
    r"(?:multiply|divide|add|subtract|find|calculate|determine|compute|set up|write|use|take|substitute|solve"
    r"|simplify|first"
    r"|identify|convert|let|start|begin|then|next|finally|now|understand|read|apply|combine|figure|check|isolate"
    r"|the (?:result"
    r"|answer|total))\b",
    re.IGNORECASE,
)
_ANSWERS = re.compile(
    r"\W*(?:so|therefore|thus|hence|and)?,?\s*(?:the |your )?(?:(?:final|correct|right|exact"
    r"|required) )?(?:answer|result|solution)"
    r"(?: (?:to|of|for) [^:=?]{1,60}?)?\s*(?:is|are|=|:|would be|equals)\s*:?\s*"
    r"(?:(?:about|approximately|therefore|option|the final answer is)\s*)?(?P<value>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NO_VALUE = re.compile(
    r"\b(?:integer|number|whole|fraction|form|given|expressed|unique|rounded|between|less|more)\b", re.IGNORECASE
)
# "42" · "= 42" · "#### 47" · "\boxed{47}" · "42 apples" · "$15"
_BARE = re.compile(
    r"[=≈#>\s]*[($€£¥\\\[]*(?:-?\d[\d.,/:%]*|\\?boxed\s*\{.*)(?:\s*[^\s:?]{1,15}){0,2}[.!)\]$]*", re.DOTALL
)


def asks(text: str) -> bool:
    """Whether the sentence asks for something."""
    if _ASKS.search(text) is not None or any(part in text for part in ASKS_ANYWHERE):
        return True
    return _AIMS.search(text) is not None and not _NARRATES.match(text)


def asks_first(text: str) -> bool:
    """Whether it is a question, or begins with what to do: "Solve for x:", but not "Here is one for you to solve:"."""
    return "?" in text or _ORDERS.match(text) is not None


def has_number(text: str) -> bool:
    """Whether it names a quantity or holds a formula."""
    return _NUMBER.search(text) is not None


def works_as_we(text: str) -> bool:
    """Whether the writer goes to work: "We begin by ...", "To do this, multiply ..."."""
    return "?" not in text and _WE_WORK.match(text) is not None


def works_out(text: str) -> bool:
    """Whether the sentence is a step of a solution: "Then 33 + 14 = 47.", but not "Then find the mean."."""
    if asks(text) and ("?" in text or _TELLS.match(text)):
        return False
    return _STEP.match(text) is not None or _DERIVES.search(text) is not None or _WORKED.search(text) is not None


def qualifies(text: str) -> bool:
    """Whether the sentence says how a problem is meant: "Note that ...", "Assume ...", "Round to ..."."""
    return _QUALIFIES.match(text) is not None


def instructs(text: str) -> bool:
    """Whether an item of a list tells what to do: a step, if the question was asked before."""
    return _INSTRUCTS.match(text) is not None


def answers(text: str) -> bool:
    """Whether the sentence says what the answer is: "The answer is 19.", but not "The answer is a whole number."."""
    found = _ANSWERS.match(text)
    if found is None or not found["value"].strip():
        return False
    value = found["value"]
    return not _NO_VALUE.search(value) and (len(value.split()) <= 4 or re.match(r"\W*\d", value) is not None)


def is_bare_value(text: str) -> bool:
    """Whether a line is a value and nothing more."""
    return _BARE.fullmatch(text[:200]) is not None
