"""Phrases that identify talk, one per line.

Out: patterns made of these phrases. `opening` phrases begin a sentence, `within` phrases occur anywhere in it; both
match whole words and ignore case. NOUN: what a problem is called; MAKES: what a writer does with one.
"""

import re
from collections.abc import Iterable

from crescent.elicitation.vocabulary import FAREWELL, GREETING

NOUN = (
    r"(?:problems?|questions?|puzzles?|riddles?|versions?|challenges?|scenarios?|exercises?|modifications?|rewrites?)"
)
SPEAKER = r"(?:i|we|you|let(?:'s| us| me)|i'd|i'll|i've|i'm|we'll|we've|you'll)"
MAKES = (
    r"(?:creat|modif|generat|rewrit|rewrot|reword|rephras|revis|adapt|alter|chang|mak|made|differentiat|com(?:e"
    r"|ing) up|came up"
    r"|provid|think|try|craft|design|writ|consider|propos|present|replac|us(?:e|ed|ing)\b|solv|pick|suggest|turn"
    r"|transform|swap"
    r"|do\b|offer|share|give|avoid|keep|kept|add(?:ed|ing)?\b)\w*"
)
PROBLEM_ADJECTIVES = (
    r"(?:(?:two|new|modified|revised|rewritten|updated|original|above|following|first|second|current|same|given"
    r"|unique|creative"
    r"|math|mathematical|word|high school|level|changed|rephrased|resulting|altered|different|adapted|final|last"
    r"|main|key|only"
    r"|major|primary|type of|kind of) )*"
)


def _opening(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"\W{0,4}(?:" + "|".join(phrases) + r")(?!\w)", re.IGNORECASE)


def _within(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(phrases) + r")", re.IGNORECASE)


def _literal(words: Iterable[str]) -> list[str]:
    return [re.escape(word) for word in sorted(words, key=len, reverse=True)]


GREETS = re.compile(rf"\W{{0,4}}(?:(?:{'|'.join(_literal(GREETING))})(?!\w)\W*)+", re.IGNORECASE)
OFFERS = _opening(
    [
        r"(?:i'd|i would|i'm|i am|i'll|i will) (?:be )?(?:happy|glad|love|here|ready)",
        rf"(?:i'd|i would|i'm|i am) (?:be )?(?:\w+ )?\w+ed to (?:{MAKES}|help|assist)",
        r"(?:ready|happy) to\b",
        r"thank(?:s| you) for (?:the|your|asking)\b",
    ]
)

_QUANTITY = r"(?! (?:how (?:many|much|long|far|old)|the (?:number|value|total)|what the))"
THINKS = _opening([
    r"(?:(?:okay|ok|alright|hmm+|wait|well|so),? )*(?:the user|i (?:need|have|should|could|might|want|must"
    r"|will)(?: to)? (?:creat|com|think|mak|writ|modif|find|avoid)\w*)",
    r"(?:hmm+|wait,? (?:no|that|maybe|but|let)|maybe (?:i|something|a problem|we could)|let me think (?:about|of"
    r"|through))",
])  # fmt: skip

SAYS_GOODBYE = _opening([
    r"(?:please |and )?(?:remember|don't forget|be sure|make sure) to (?:show|explain|check|double-check|justify)\b",
    *_literal(FAREWELL),
    rf"(?:and |so,? |please,? |just )?(?:let me know|tell me|show me|share)\b{_QUANTITY}.{{0,40}}\b(?:if|whether"
    rf"|when|answer|think"
    r"|solution|any|feedback|thoughts|want|like|need|work\w*|your)",
    r"(?:would|do) you (?:like|want|need|have any|prefer|think|know the answer|agree)",
    r"(?:shall|should|may|can|could) (?:i|we) (?:show|give|provide|help|explain|solve|tell|do|create|assist|offer"
    r"|walk|try|move)",
    r"(?:is|was|does|did|will|are) (?:this|that|it|these) (?:ok|okay|what|good|meet|help|work|different|better"
    r"|fine|sound|make"
    r" sense|correct|more)",
    r"is there (?:anything|something)(?: else| more)?",
    r"what do you (?:think|say)",
    r"if you(?:'d| would)? (?:have|need|want|get|like|are)\b.{0,60}\b(?:know|ask|tell me|free|questions?|help"
    r"|hint|solution|answer)",
    r"how (?:was|is|does|about) (?:that|this|it)\b(?! \w+ \w+ \w+)",
    r"(?:so,? |now,? )?(?:can|could|are|will) you (?:able to )?(?:help \w+ )?(?:solve|crack|figure|find|work"
    r"|guess|unravel|do"
    r"|answer|handle|tackle) (?:out )?(?:it|this|that|these|them|the (?:answer|solution|puzzle|problem|riddle|mystery"
    r"|challenge|question|correct answer))\b[^,:]{0,60}$",
    r"(?:now,? )?(?:your turn|over to you|it's your turn|the challenge is yours)",
    r"(?:now,? )?(?:try|see if you can)(?:(?: and| to)? (?:solv\w*|find|figure|it|this|another|your)\b[^\d]*|\W*)$",
])  # fmt: skip

_CANNOT = (
    r"(?:i (?:cannot|can't|can not|could not|couldn't|do not|don't|won't|will not|may not)|i(?:'m| am) (?:unable"
    r"|not able|not"
    r" capable|incapable|not allowed))"
)
_SERVES = (
    r"(?:creat|generat|help|assist|provid|satisf|fulfil|compl[yi]|produc|engag|respond|modif|rewrit|process"
    r"|accommodat|offer"
    r"|support|discuss|do (?:that|this|so)\b|answer (?:that|this|your)|giv(?:e|ing) you|com(?:e|ing) up with"
    r"|(?:mak|writ)(?:e|ing) (?:an?|any|up|new|such|this|that|problems|questions)\b)"
)
REFUSES = _within([
    r"(?:lo siento|je suis désolé\w*|désolé\w*|es tut mir leid|tut mir leid|desculpe|sinto muito|mi dispiace"
    r"|извините|к сожалению"
    r"|leider|unfortunately|lamento)[,:]?[^.?!\d]{0,40}\b(?:no puedo|no podemos|ne peux pas"
    r"|kann (?:ich )?(?:dir |ihnen |das )?\w* ?nicht"
    r"|nicht möglich|não posso|non posso|не могу)\b",
    rf"{_CANNOT}(?: (?:to|of|be able|able|feel comfortable|think i can|know how|actually|really|currently))*"
    rf" (?:to |of )?(?:with |in )?{_SERVES}",
    r"as an? (?:ai|artificial intelligence|(?:large )?language model)(?: (?:language )?(?:model|assistant|system"
    r"|chatbot))?,?"
    r" (?:i|my|it|there)\b",
    r"i(?:'m| am) (?:just |only |simply )?an? (?:ai|language model|artificial|large language)\b(?! engineer)",
    r"i (?:must|have to|need to|will have to) (?:decline|refuse)\b",
    r"i (?:refuse|decline)\b",
    r"i (?:do not|don't) (?:have|possess) (?:the )?(?:ability|capability|capacity|enough information|access)\b",
    r"it (?:is|would be) (?:not |in)?(?:appropriate|possible|ethical) (?:for me )?to (?:creat|provid|generat|help"
    r"|answer|modify)",
    r"(?:抱歉|对不起)[，,]?\s*(?:但|我)\S{0,6}(?:无法|不能)",
    r"作为(?:一个)?(?:AI|人工智能)",
])  # fmt: skip

REQUESTS = _within([
    r"(?:please|kindly|could you|can you|would you|will you)(?: please| kindly)? (?:provid|shar|send|specif"
    r"|rephras|repeat|explain what|confirm"
    r"|clarif|paste|resend"
    r"|upload|enter|post|type|tell me (?:more|which|what (?:kind|type|topic|you))|give me (?:more"
    r"|(?:a bit|a little|some) more|the (?:problem"
    r"|question|topic))|state the (?:problem|question))",
    r"(?:what|which|how)\b[^.?!]{0,80}\b(?:would|do|should|could) you (?:like|want|prefer)\b",
    r"(?:what|which|how)(?: else| more)? (?:can|may|should|could|shall|do) i (?:do|help|assist|change|create"
    r"|modify|make|write|use|know|else)\b",
    r"(?:what|how) (?:should|can|could|shall|do|would) (?:i|we|you) (?:\w+ ){0,2}(?:modif|chang|creat|mak|rewrit"
    r"|differentiat)",
    r"what (?:else )?(?:may|can|should|shall) i\b",
    r"how (?:could|can|might|should|would) [^.?!\d]{1,40}\bbe (?:modif|chang|rewrit|made|differentiat|alter|adapt)\w*",
    r"(?:which|what)\b[^.?!]{0,60}\bshould (?:it|they|the (?:problem|question|puzzle)) (?:be|cover|involve"
    r"|include|have|use|focus|contain)\b",
    r"(?:^|[.!,] )(?:just |simply |now |then )?(?:paste|share|send|provide|upload|type|enter|post"
    r"|specify) (?:me )?(?:the|your|both|it|them|two|any)\b",
    rf"what (?:topic|subject|level|type|kind|area|grade|theme|difficulty)s?\b[^?]{{0,60}}\b(?:{NOUN}|prefer|cover"
    rf"|focus|in mind)\b",
    r"i (?:would |will |'ll )?(?:need|require|want) (?:the|more|some|to (?:see|know|have)|additional|a bit|further)\b",
    r"i (?:do not|don't|cannot|can't) see (?:any|the|a)\b",
    r"whenever you are\b",
    rf"which of (?:the|these|those) (?:\w+ )?{NOUN}\b.{{0,40}}\b(?:i|you|we)\b",
    r"should (?:it|the problem|the question) (?:be about|cover|involve|include|have)\b",
    r"do you have (?:a|any|the) (?:specific|particular|certain|preferred|question|preference)",
    r"what do (?:i need|you (?:need|want|suggest|recommend|mean|prefer|have in mind))\b",
    r"i(?:'m| am) ready\b",
    r"how (?:may|can) i (?:help|assist)\b",
    rf"(?:{NOUN}|text|message|prompt|input) (?:is|are|seems?|appears?|was|were)(?: to be)? (?:missing|incomplete"
    rf"|empty|not (?:included|provided|clear))",
    r"you (?:have not|haven't|did not|didn't) (?:provid|includ|giv|shar|specif|attach)",
])  # fmt: skip

_SORT = (
    r"(?:good|great|unique|special|creative|diverse|high school|level|math\w*|word|well-\w+"
    r"|interesting|challenging|story|logic)"
)
SPEAKS_OF_MAKING = _within([
    rf"(?:creat|writ|mak|generat|design|craft|invent|com(?:e|ing) up with|formulat|develop|modif"
    rf"|rewrit)\w* (?:with )?(?:[\w-]+,? ){{0,6}}?{NOUN}\b",
    rf"(?:(?:a|an|the best|every|most|many|some|all) )?(?:{_SORT} )+{NOUN} (?:is|are|helps?|encourages?|allows?"
    rf"|improves?|requires?|should|must|needs?"
    rf"|can|involves?|ha(?:s|ve) to|may|will"
    r"|often|typically|usually)\b",
    rf"what makes\b.{{0,40}}\b(?:{NOUN}|one)\b",
    r"this (?:prompt|request|task)\b",
    rf"(?:a|an|every|any) (?:{_SORT} )+{NOUN} (?:has|have|contains?|includes?|tells?|presents?|uses?|asks?)\b",
    rf"{NOUN} (?:that )?(?:you|we|i)(?:'re|'ve| are| have|'m| am)? (?:writ|creat|mak|design|ask|want)\w*",
])  # fmt: skip

# "Write a word problem about a family that ...": repeats the model's instructions
SUGGESTS_A_PROBLEM = re.compile(rf"\W*(?:how|what) about (?:an?|some) (?:[\w-]+,? ){{0,6}}?{NOUN}\b", re.IGNORECASE)
ORDERS_A_PROBLEM = re.compile(
    r"\W*(?:please |now,? |first,? |let's |your task is to |the task is to |you (?:need|have|are asked) "
    r"to )?(?:creat|writ|design|generat|mak|craft|invent"
    r"|compos|com|develop|formulat|devis|construct|think)(?:e|ing)?\b(?: me| up(?: with)?| of)?"
    rf" (?:an?|one|two|three|some|another|your own|the (?:following|second|first"
    rf"|new))\b(?: (?!of\b)[\w-]+,?){{0,6}}? {NOUN}\b",
    re.IGNORECASE,
)
SPEAKS_TO_YOU_ABROAD = re.compile(
    r"\b(?:ayud\w*|ajud\w*|aid(?:er|e)|helfen|tema|nivel|tipo|problemas?|thème|niveau|problème|thema|aufgabe|задач\w|помочь)\b"
    r".{0,80}\b(?:\w+[rt]e|te|usted|quieres?|gustaría|vous|veux|sie|du|dir|ihnen|möchte\w*|você|quer|gostaria|вам|вы|ты)\b"
    r"|\b(?:te|usted|quieres?|gustaría|vous|veux|sie|du|dir|ihnen|möchte\w*|você|quer|gostaria|вам|вы|ты)\b"
    r".{0,80}\b(?:ayud\w*|ajud\w*|aid(?:er|e)|helfen|tema|nivel|tipo|problemas?|thème|niveau|problème|thema|aufgabe|задач\w|помочь)\b"
    r"|(?:algo|anything|etwas|quelque chose).{0,30}(?:ayudarte|ayudarle|helfen|aider)|[您你].{0,12}(?:类型|题|主题|帮"
    r"|想)"
    r"|帮[您你]",
    re.IGNORECASE,
)

_DONE = (
    r"(?:changed|modified|replaced|made|altered|rewrote|rewritten|adapted|reworded|rephrased|kept|swapped|added"
    r"|adjusted|introduced|updated|turned|removed)"
)
SPEAKS_OF_THE_PROBLEM = _opening([
    r"(?:note that |now,? |here,? |in |by |with |for |overall,? |as you can see,? |of course,? |also,? "
    r"|additionally,? |furthermore,? )?"
    rf"(?:this|these|the|both|my|your|our|each|such|that|it's|it is|its|a) {PROBLEM_ADJECTIVES}(?:{NOUN}"
    rf"|modified|wording|context|story"
    r"|setting|changes|rewording|rephrasing|twist)\b(?! (?:paper|book|bank|sheet|set|time|mark|number|solv))",
    r"(?:the|a) (?:main|key|only|major|primary|biggest|one) (?:difference|change)",
    rf"the differences? between (?:the|these|both) (?:two|{NOUN}|original)",
    rf"(?:i|we)(?:'ve| have|'ll| will|'d| would|'m| am)?(?: (?:also|just|simply|only|then|slightly|have"
    rf"|tried to))* {_DONE}",
    rf"{_DONE} (?:to|from|by|so|for|in|the|version|problem)",
    rf"(?:the )?(?:numbers|names|{NOUN}|context|wording|setting|items|objects|scenario|story"
    rf"|characters)(?: and (?:the )?\w+)?"
    r" (?:were|was|has been|have been|is|are) (?:now )?(?:changed|different|modified|replaced|new|altered|adjusted)",
    r"(?:it|this|which) (?:requires?|involves?|tests?|uses) (?:the|an?|some|basic|only|simple|knowledge"
    r"|understanding|skills?)",
    rf"by (?:chang|modif|mak|alter|replac|add|us|introduc|shift|adjust)ing\b.{{0,120}}\b(?:{NOUN}|different|unique)",
    r"(?:the )?(?:students?|solvers?|readers?|learners?|pupils)(?: (?:will|would|must|should|can))? (?:need|use"
    r"|apply|have to|be able|learn|practice"
    r"|understand|think|solve)",
    r"(?:this|that|these|which|it) (?:\w+ )?(?:mak(?:es?|ing)|made|ensures?|gives?|requires?|adds?|involves?"
    r"|tests?|changes?|encourages?|allows?|helps?"
    rf"|challenges?|tweaks?|modification)\b.{{0,80}}\b(?:{NOUN}|students?|solver|unique|different|interesting"
    rf"|challenging|skills?|thinking"
    r"|understanding|concepts?|knowledge)",
    r"it(?:'s| is) (?:a bit |a little |quite |very |rather |now )?(?:tricky|hard|challenging|easy|simple|fun"
    r"|a (?:fun|tricky|good|great|challenging|classic"
    r"|bit|simple|unique))\b(?! (?:not )?(?:to|for)\b)",
])  # fmt: skip

FIXED_LEADS = re.compile(
    r"\W*(?:(?:so|well|now|okay|ok|sure|and),? )?(?:"
    + "|".join([
        r"here (?:it is|you go|goes|we go|you are|they are|is one)",
        r"here(?:'s| is) (?:one|another|mine|a (?:fun|good|new) one|my (?:attempt|take|try))",
        r"how (?:about (?:this|the following|one|these)|does this (?:sound|look))",
        rf"(?:please )?(?:consider|try|imagine|take|read|look at|see) (?:this|the following|it"
        rf"|it like this)(?: one| instead| {PROBLEM_ADJECTIVES}{NOUN})?\W*$",
        r"(?:this|the following) is (?:one|it|mine)",
        r"(?:it|this one|the (?:problem|puzzle|riddle)) goes (?:like this|as follows|something like)",
        r"here(?:'s| is) (?:an?|one|another) (?:\w+ )?(?:example|sample)",
        r"(?:maybe|perhaps|what about|let's \w+|let me \w+) (?:this|that|the following)(?: one)?(?=\W*$)",
        r"let(?: me|'s) (?:think|see|create|come up|try|give|make|start|begin)",
        r"voici|hier ist (?:eine?|mein)|ecco|aqu[íi] (?:tienes|está|hay|va)|вот",
    ])
    + r")(?!\w)[^\d:?]{0,80}[:.!?…-]*$",
    re.IGNORECASE,
)  # fmt: skip
BEGINS_AS_SPEAKER = re.compile(
    r"\W*(?:(?:so|well|now|first|then|okay|to \w+[^,]{0,60}|instead of [^,]{0,40}),? )?"
    rf"(?:{SPEAKER}\b|here(?:'s)?\b|below\b|this is\b|the following\b|welcome\b|these\b|as requested\b)",
    re.IGNORECASE,
)
# "A student wrote the following claim:", "Mia asks this riddle:": someone in the problem's world speaks
NARRATES = re.compile(
    rf"(?!\W*(?:{SPEAKER}|here|below|this|these|that|the following|one|another|my|our|your|to|now|so|sure)\b)"
    rf"(?:(?!\b{NOUN}\b)[^:]){{1,120}}?\b(?:wrote|writes?|asks?|asked|says?|said|poses?|posed|tells?|told|gives?"
    r"|gave|uses?|used|receives?|received|is (?:shown|presented|given|asked)|are (?:shown|presented|given|asked)"
    r"|claims?)\b",
    re.IGNORECASE,
)
# "This question refers to the following information.": facts follow
POINTS_TO_FACTS = re.compile(
    rf"\W*(?:the |this |these |both |all )?(?:\w+ )?{NOUN} (?:\w+ )?(?:refers?|relates?|is based|are based"
    rf"|concerns?|pertains?|appl(?:y|ies))\b"
    r".{0,40}\b(?:following|below|passage)\b",
    re.IGNORECASE,
)
SPEAKS = _within([
    rf"{SPEAKER}\b.{{0,80}}\b{MAKES}",
    rf"(?:to|by|instead of|without|for) (?:\w+ ){{0,2}}{MAKES}",
    r"(?:could|might|can|would) be\b",
    r"(?:here|below|following|this|instead|attempt)\b",
])  # fmt: skip
ASKS_IN_OTHER_WORDS = re.compile(r"\W*you (?:could|can|might) (?:ask|write|say|use|try)\W*$", re.IGNORECASE)
MODIFIES = _within([
    r"(?:modif|revis|rewrit|rewrot|reword|rephras|adapt|chang)\w*",
    r"(?:alter(?:ed|native)?|differ(?:ent)?|instead|updated|transformed)\b",
    r"new (?:version|problem|question|puzzle)\b",
])  # fmt: skip
GOES_ON = _within([r"(?:another|second|next|bonus|one more|additional|extra)\b"])
SOLVES = _within(
    [
        r"(?:solv\w*|solutions?|answers?|explanation|steps?|step-by-step|hint|approach|how to|breakdown"
        r"|break (?:it|this) down)\b"
    ]
)
# Parts of a problem that are changed, and words for changes.
NAMES_TEXT = _within([
    r"(?:wording|contexts?|stor(?:y|ies)|setting|difficulty|concepts?|skills?|numbers|names|details|structure|topic"
    r"|changes?|twist|text|similar|different|unique|creative|fun|this|it|modif\w*|chang\w*|rewr\w*|replac\w*)\b"
])  # fmt: skip
# A problem does not call itself a word problem: "In this high school math word problem, we have ..."
SPEAKS_OF_WORD_PROBLEMS = _within(
    [
        r"(?:word|story) (?:problem|puzzle)\b",
        r"maths? (?:word )?(?:problem"
        r"|puzzle) (?:is|was|that|which|involv\w+|requires?|using|called)\b",
    ]
)
NAMES_PROBLEM = _within([rf"{NOUN}\b(?! of (?:who|what|how|whether)\b)"])
