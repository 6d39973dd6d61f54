"""Phrases about problems, one per line: making, announcing, changing, solving and describing them.

Out: patterns made of these phrases; see `phrases`.
"""

import re

from crescent.elicitation.phrases import MAKES, NOUN, PROBLEM_ADJECTIVES, SPEAKER, opening, within

_SORT = (
    r"(?:good|great|unique|special|creative|diverse|high school|level|math\w*|word|well-\w+"
    r"|interesting|challenging|story|logic)"
)
SPEAKS_OF_MAKING = within([
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
_DONE = (
    r"(?:changed|modified|replaced|made|altered|rewrote|rewritten|adapted|reworded|rephrased|kept|swapped|added"
    r"|adjusted|introduced|updated|turned|removed)"
)
SPEAKS_OF_THE_PROBLEM = opening([
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
    rf"(?:this|that) (?:is|was|one is|should be) (?:an?|quite an?) (?:\w+ )?(?:\w+ )?(?:one|{NOUN})\b",
    rf"by \w+ing\b[^.]{{0,120}}\b(?:the|this|your|our) (?:\w+ )?{NOUN}\b",
    r"it(?:'s| is) (?:a bit |a little |quite |very |rather |now )?(?:tricky|hard|challenging|easy|simple|fun"
    r"|a (?:fun|tricky|good|great|challenging|classic"
    r"|bit|simple|unique))\b(?! (?:not )?(?:to|for)\b)",
])  # fmt: skip
FIXED_LEADS = re.compile(
    r"\W*(?:(?:so|well|now|okay|ok|sure|and),? )?(?:"
    + "|".join([
        r"here (?:it is|you go|goes|we go|you are|they are|is one)",
        r"here(?:'s| is) (?:one|another|mine|a (?:fun|good|new) one|my (?:attempt|take|try))",
        r"i(?:'ve| have)? (?:came up with|come up with|thought of|made|created|wrote|written) (?:the following"
        r"|this|one)(?=\W*$)",
        r"how (?:about (?:this|the following|one|these)|does this (?:sound|look))",
        rf"(?:please )?(?:consider|try|imagine|take|read|look at|see) (?:this|the following|it"
        rf"|it like this)(?: one| instead| {PROBLEM_ADJECTIVES}{NOUN})?\W*$",
        r"(?:this|the following) is (?:one|it|mine)",
        r"(?:(?:math|word|logic|brain) ?)?(?:riddle|puzzle|quiz|challenge|problem|question|math|brainteaser) time",
        r"(?:it|this one|the (?:problem|puzzle|riddle)) goes (?:like this|as follows|something like)",
        r"here(?:'s| is) (?:an?|one|another) (?:\w+ )?(?:example|sample)",
        r"(?:maybe|perhaps|what about|let's \w+|let me \w+) (?:this|that|the following)(?: one)?(?=\W*$)",
        r"let(?: me|'s) (?:think|see|create|come up|try|give|make|start|begin)",
        r"voici|hier ist (?:eine?|mein)|ecco|aqu[íi] (?:tienes|está|hay|va)|вот",
    ])
    + r")(?!\w)[^\d:?]{0,80}[:.!?…-]*$",
    re.IGNORECASE,
)  # fmt: skip
# "Here's a two-step problem with three unknowns for your class!"
PRESENTS = re.compile(
    rf"\W*here(?:'s| is| are) (?:an?|your|another|one|some|the) (?:[\w-]+,? ){{0,8}}?{NOUN}\b[^?]*$", re.IGNORECASE
)
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
SPEAKS = within([
    rf"{SPEAKER}\b.{{0,80}}\b{MAKES}",
    rf"(?:to|by|instead of|without|for) (?:\w+ ){{0,2}}{MAKES}",
    r"(?:could|might|can|would) be\b",
    r"(?:here|below|following|this|instead|attempt)\b",
])  # fmt: skip
ASKS_IN_OTHER_WORDS = re.compile(r"\W*you (?:could|can|might) (?:ask|write|say|use|try)\W*$", re.IGNORECASE)
MODIFIES = within([
    r"(?:modif|revis|rewrit|rewrot|reword|rephras|adapt|chang)\w*",
    r"(?:alter(?:ed|native)?|differ(?:ent)?|instead|updated|transformed)\b",
    r"new (?:version|problem|question|puzzle)\b",
])  # fmt: skip
GOES_ON = within([r"(?:another|second|next|bonus|one more|additional|extra)\b"])
SOLVES = within(
    [
        r"(?:solv\w*|solutions?|answers?|explanation|steps?|step-by-step|hint|approach|how to|breakdown"
        r"|break (?:it|this) down)\b"
    ]
)
# Parts of a problem that are changed, and words for changes.
NAMES_TEXT = within([
    r"(?:wording|contexts?|stor(?:y|ies)|setting|difficulty|concepts?|skills?|numbers|names|details|structure|topic"
    r"|changes?|twist|text|similar|different|unique|creative|fun|this|it|modif\w*|chang\w*|rewr\w*|replac\w*)\b"
])  # fmt: skip
# A problem does not call itself a word problem: "In this high school math word problem, we have ..."
SPEAKS_OF_WORD_PROBLEMS = within(
    [
        r"(?:word|story) (?:problem|puzzle)\b",
        r"maths? (?:word )?(?:problem"
        r"|puzzle) (?:is|was|that|which|involv\w+|requires?|using|called)\b",
    ]
)
NAMES_PROBLEM = within([rf"{NOUN}\b(?! of (?:who|what|how|whether)\b)"])
