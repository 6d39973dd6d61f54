"""What a sentence does in a problem: whether it asks, contains quantities, or says how the problem is meant.

In: one sentence. Out: yes or no. The patterns are grammatical and independent of any domain.
"""

import re

from crescent.elicitation.vocabulary import ASKS_ANYWHERE, BIDS, IMPERATIVES, OPEN_ENDS

_ASKS = re.compile(
    r"[?？؟]|^\W*true or false\b"
    r"|\b(?:how (?:many|much|long|far|old|often|tall|fast)|(?:wonder\w*|know|tell|find out) (?:what|how|who|which"
    r"|where))\b"
    r"|(?:^|[.!:;]\s+|, )(?:(?:at|in|on|by|to|for|of) )?(?:whose\b|what (?!an? )(?:[\w-]+ ){0,3}?(?:the|is|are"
    r"|was|were|do|does|did|will|would|can|could|should|must|has"
    r"|have|had|comes?|makes?|number|value|fraction|percent\w*|happens|happened)\b)"
    r"|(?:^|[.!:;]\s+)(?:(?:who|which)\b|(?:where|when|why)\b[^.!]*$)"
    rf"|(?:^|[.!:;,$]\s+|\b(?:please|then|must|should) )(?:{IMPERATIVES})\b"
    rf"|^\W*(?:{BIDS})\b.*\band (?:{IMPERATIVES})\b|\band (?:calculate|determine|compute|evaluate|simplify|estimate)\b"
    r"|\b(?:wie (?:viel|viele|lange|weit|alt|oft)|combien|cu[áa]nt[oa]s?|quant[oiae]s?|сколько|hoeveel|ile|kaç)\b",
    re.IGNORECASE,
)
# "Maria was tired, so _ went home." · "The capital of Peru is ____."
_BLANK = re.compile(r"(?<!\S)\(?_(?=[\s.,;:?!'’)]|$)|_{3,}|\.{4,}(?=\s\w)")
_MIN_STEM_WORDS = 3
# "Use the table to determine the mean.", but not "To solve this, we need to find x."
_AIMS = re.compile(
    rf"(?:\W*(?:{BIDS})\b.*|.*\b(?:you(?:r \w+)?|we|us|they|he|she|who|asked|wants?|needs?|wish\w*|goal|aim"
    rf"|task)\b.{{0,24}})"
    rf"\bto (?:{IMPERATIVES})\b",
    re.IGNORECASE,
)
_NARRATES = re.compile(r"\W*(?:i|i'm|i’m|we|to|first|let's|let’s|now|then|next|so)\b", re.IGNORECASE)
_ORDERS = re.compile(rf"\W*(?:please )?(?:{IMPERATIVES}|what|which|who|how|where|when|why)\b", re.IGNORECASE)
_NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|dozen"
    "|half|twice"
    "|third|quarter|double|triple"
)
_NUMBER = re.compile(rf"\d|\$\S|\\[a-z]+|[二三四五六七八九十百千]|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
_QUALIFIES = re.compile(
    r"\W*(?:note|remember|assum|suppose|recall|keep in mind|round|give|express|use|write|answer|ignore|consider"
    r"|take|leave|please"
    r"|be sure|make sure|you may|you can|you must|if|each|all|every)",
    re.IGNORECASE,
)
_MAY_EXPLAIN = re.compile(r"\W*(?:if|each|all|every)\b", re.IGNORECASE)
# "Can you find the number of dogs?": asks again what was asked before
_CHALLENGES = re.compile(r"\W*(?:now,? |so,? )?(?:can|could|will|would|do|are|think) you\b[^,]{0,120}\?", re.IGNORECASE)
_INTRODUCES = re.compile(
    r"(?:An? |In an? |At an? |(?!(?:He|She|It|They|We|You|I|If|The|This|That|These|Those|His|Her|Its|Their|How"
    r"|What|When|Which"
    r"|Who|Each|All|Both|Now|After|Before|Then|Also|Every|Later|Next|Assume|Suppose|Note|Find"
    r"|Given)\b)[A-Z][a-z]+ (?:and [A-Z][a-z]+ )?[a-z]+)"
)
_CONVERTS = re.compile(
    r"\d\S* [\w-]+(?: [\w-]+)? (?:in|to|per|for|equals?|=|is|are) (?:an?|one|each|every"
    r"|1)\b",
    re.IGNORECASE,
)


def asks(text: str) -> bool:
    """True if the sentence asks for something."""
    if _ASKS.search(text) is not None or any(part in text for part in ASKS_ANYWHERE) or _BLANK.search(text):
        return True
    return _AIMS.match(text) is not None and not _NARRATES.match(text)


def breaks_off(text: str) -> bool:
    """True if the sentence is to be completed: "The neighbour will most likely", "Light bends when it passes into"."""
    words = text.rstrip(" :…").removesuffix("...").casefold().split()
    return len(words) >= _MIN_STEM_WORDS and words[-1] in OPEN_ENDS


def asks_first(text: str) -> bool:
    """True for a question or a sentence that begins with an order: "Solve for x:", but not "Here is one for you to
    solve:"."""
    return "?" in text or _ORDERS.match(text) is not None


def has_number(text: str) -> bool:
    """True if the sentence contains a quantity or a formula."""
    return _NUMBER.search(text) is not None


def count_numbers(text: str) -> int:
    """Number of quantities in the sentence."""
    return len(_NUMBER.findall(text))


def qualifies(text: str) -> bool:
    """True if the sentence says how a problem is meant: "Note that ...", "Assume ...", "Round to ..."."""
    return _QUALIFIES.match(text) is not None


def requires(text: str) -> bool:
    """True if the sentence is a note to the solver: "Assume ...", "Round to ..."; not "Each person ..."."""
    return qualifies(text) and _MAY_EXPLAIN.match(text) is None


def challenges(text: str) -> bool:
    """True if the sentence asks whether the solver can do it: "Can you find the number of dogs?"."""
    return _CHALLENGES.fullmatch(text) is not None


def introduces(text: str) -> bool:
    """True if a story may begin with the sentence: "A farm has ...", "Nina picks ..."."""
    return _INTRODUCES.match(text) is not None


def converts(text: str) -> bool:
    """True if the sentence converts units ("There are 16 ounces in a pound.") or begins with a bracket."""
    return text.startswith("(") or _CONVERTS.search(text) is not None
