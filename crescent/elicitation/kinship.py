"""Whether a sentence belongs to a problem's world.

In: a sentence, and the words of the problem. Out: whether the sentence is foreign: it contains no number, shares no
word with the problem, and addresses somebody or speaks of problems as such. This distinguishes talk whose wording is
not listed in `reader_phrases` ("Looking forward to your answer!") from a condition ("The two novels must stand side by
side.").
"""

import re

from crescent.elicitation.asking import qualifies
from crescent.elicitation.phrases import NOUN
from crescent.elicitation.talk import counts
from crescent.elicitation.words import content_words

_WORD = re.compile(r"[^\W\d_]{3,}")
_FORMULA = re.compile(r"[⊃≡∨∧¬~=<>\\^|{}\[\]]")
# "Any ideas?" · "Want to try another?": no question word or verb in front
_ASIDE = re.compile(
    r"(?!\W*(?:how|what|who|whom|whose|which|when|where|why|is|are|was|were|do|does|did|will|can)\b)[^?]+\?\W*$", re.I
)
SHORT = 6  # words
_SPEAKS_TO = re.compile(
    rf"\b(?:i|i'm|i'd|i've|i'll|me|my|mine|you|you're|you've|you'll|your|yours|we|we'll|we've|us|our|let's|{NOUN}"
    rf"|students?|solvers?"
    r"|(?:challenging|doable|tricky|solvable|engaging|thought-provoking|straightforward|suitable|appropriate|interesting|creativity|creative|thinking|mathematics|mathematical|skills?)"
    r"|answers?|solutions?|hints?|topics?|difficulty|contexts?|wording|setting|du|dir|dich|ihr|ihnen|vous|tu|toi"
    r"|te|usted|ustedes|você|vocês|voi"
    r"|вы|вам|ты|тебе)\b|[!:;]-?[)D]|!\W*$|[😀-🙏🎉🤔👍🌟✨]",
    re.IGNORECASE,
)


def is_foreign(text: str, problem: frozenset[str]) -> bool:
    """True if a sentence without numbers has nothing to do with the problem that contains these words."""
    text = text.replace("’", "'")
    speaks = _SPEAKS_TO.search(text) or (len(text.split()) <= SHORT and _ASIDE.match(text))
    if counts(text) or qualifies(text) or _FORMULA.search(text) or not (speaks and _WORD.search(text)):
        return False
    return not (content_words([re.sub(rf"\b{NOUN}\b", "", text, flags=re.IGNORECASE)]) & problem)
