"""What a sentence does in a solution: whether it is a step, a calculation, an answer, or only a value.

In: one sentence. Out: yes or no. The patterns are grammatical and arithmetical, independent of any domain.
"""

import re

from crescent.elicitation.asking import asks, has_number

# "6 * 7 = 42" · "(30 + 8) / 2 = 19" · "$4 × 3 = $12": an equation of numbers only, with its value
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
    r"|(?:since|because|as(?! (?:to|a|an|part)\b)) [^,]{1,120}, (?:we|the|it|there|he|she|they)\b|(?:therefore"
    r"|thus|hence|so|consequently)\b,?"
    r"|(?:start|begin) (?:by|with)\b|\(?think (?:about|of|in terms)\b|now,? (?:we|let)|in order to (?:solve"
    r"|find)|this (?:means|gives|is because"
    r"|can be solved)"
    r"|(?:the )?(?:total|final|correct) (?:\w+ ){0,6}(?:is|=|are)\b|according to the|here(?:'|’)?s how"
    r"|here is how|step \d"
    r"|it (?:can be solved|follows)|you (?:can|could|would) (?:solve|find|use|calculate|start)"
    r"|from the (?:question|problem)"
    r"|(?:解|因为|所以|首先|设|根据|dazu|zuerst|zunächst|d'abord|primero|para resolver|per risolvere"
    r"|pour résoudre)\b[,：:，]?)",
    re.IGNORECASE,
)
_CODE = re.compile(r"\s*(?:(?:print|return|import|from|def|for|let|const|var|int)\b|[A-Za-z_]\w*\s*=\s*[^=\s])")
_RECAPS = re.compile(
    r"(?:given|known|knowns|unknowns?|(?:to )?find|required|data|(?:what )?we (?:already )?know|here(?:'"
    r"|’)?s what we know"
    r"|(?:key|given|known|important) (?:information|facts|values|data|variables|details)"
    r"|variables?)(?: (?:information|values|data|facts))?\s?:",
    re.IGNORECASE,
)
_DERIVES = re.compile(r", (?:and )?(?:so )?we (?:have|get|find|obtain|can (?:write|say|find|set))\b", re.IGNORECASE)
_WE_WORK = re.compile(r"\W*(?:we \w+|to \w+ (?:this|that|it|so)\b[^,]{0,60},)", re.IGNORECASE)
_TELLS = re.compile(r"(?:next|then|finally|using|simplify|multiply|add|combine)\b", re.IGNORECASE)
# "1. Multiply 6 by 7": a step in a list after the question
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
_ONE_VALUE = re.compile(r"[=≈#>\s(\[]*[$€£¥]?\s*-?\d[\d.,/]*\s*(?:%|[^\W\d]{1,15}(?:/[^\W\d]{1,6})?)?[.!)\]$]*")
_VALUE = re.compile(r"[$€£¥]?\s*-?\d[\d.,/]*%?(?:\s+[^\W\d]+){0,3}")
_STATES = re.compile(
    r"=|\b(?:is|are|was|were|has|have|had|equals?|costs?|takes?|needs?|gets?|will|can|makes?"
    r"|earns?|pays?|receives?|travels?)\b",
    re.I,
)
# "It's 13." · "They need 4 hours."
_PRONOUN = re.compile(
    r"\W*(?:it|that|this|they|he|she|there)(?:'s|’s|'re|’re| (?:is|are|was|were|will be|would "
    r"be|has|have|needs?|takes?))\W+",
    re.I,
)
_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|then|total|altogether|exactly|about"
    r"|approximately)\b",
    re.IGNORECASE,
)


def is_code(text: str) -> bool:
    """True for a line of a program: "t = 240 / 15", "print(t)"."""
    return _CODE.match(text) is not None


def recaps(text: str) -> bool:
    """True for "Given:" and "Find:", with which a solution sorts what the problem said."""
    return _RECAPS.match(text) is not None


def works_as_we(text: str) -> bool:
    """True if the writer starts solving: "We begin by ...", "To do this, multiply ..."."""
    return "?" not in text and _WE_WORK.match(text) is not None


def works_out(text: str) -> bool:
    """True if the sentence is a step of a solution: "Then 33 + 14 = 47.", but not "Then find the mean."."""
    if asks(text) and ("?" in text or _TELLS.match(text)):
        return False
    return _STEP.match(text) is not None or _DERIVES.search(text) is not None or _WORKED.search(text) is not None


def calculates(text: str) -> bool:
    """True if the sentence calculates with numbers: "33 + 14 = 47"."""
    return _WORKED.search(text) is not None or ("=" in text and has_number(text))


def instructs(text: str) -> bool:
    """True if a list item says what to do: it is a solution step if the question was asked before."""
    return _INSTRUCTS.match(text) is not None


def without_values(text: str) -> str:
    """The sentence without its quantities, their units and words of conclusion."""
    return _CONCLUDES.sub(" ", _VALUE.sub(" ", text))


def is_pronoun_with_value(text: str) -> bool:
    """True if the sentence says only "It is 13."."""
    return _PRONOUN.match(text) is not None and is_one_value(_PRONOUN.sub("", text, count=1))


def states(text: str) -> bool:
    """True if the sentence has a verb of stating: "The price is $28."."""
    return _STATES.search(text) is not None


def is_one_value(text: str) -> bool:
    """True if the sentence is a single number with its unit: "72", "$15", "4 hours"."""
    return _ONE_VALUE.fullmatch(text[:60]) is not None


def answers(text: str) -> bool:
    """True if the sentence states the answer: "The answer is 19.", but not "The answer is a whole number."."""
    found = _ANSWERS.match(text)
    if found is None or not found["value"].strip():
        return False
    value = found["value"]
    return not _NO_VALUE.search(value) and (len(value.split()) <= 4 or re.match(r"\W*\d", value) is not None)


def is_bare_value(text: str) -> bool:
    """True if a line is a value and nothing else."""
    return _BARE.fullmatch(text[:200]) is not None
