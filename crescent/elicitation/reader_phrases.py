"""Phrases addressed to the reader, one per line: greetings, offers, goodbyes, refusals, requests.

Out: patterns made of these phrases; see `phrases`.
"""

import re

from crescent.elicitation.phrases import MAKES, NOUN, literal, opening, within
from crescent.elicitation.vocabulary import FAREWELL, GREETING

GREETS = re.compile(rf"\W{{0,4}}(?:(?:{'|'.join(literal(GREETING))})(?!\w)\W*)+", re.IGNORECASE)
OFFERS = opening(
    [
        r"(?:i'd|i would|i'm|i am|i'll|i will) (?:be )?(?:happy|glad|love|here|ready)",
        rf"(?:i'd|i would|i'm|i am) (?:be )?(?:\w+ )?\w+ed to (?:{MAKES}|help|assist)",
        r"(?:ready|happy) to\b",
        r"thank(?:s| you) for (?:the|your|asking)\b",
    ]
)
_QUANTITY = r"(?! (?:how (?:many|much|long|far|old)|the (?:number|value|total)|what the))"
THINKS = opening([
    r"(?:(?:okay|ok|alright|hmm+|wait|well|so),? )*(?:the user|i (?:need|have|should|could|might|want|must"
    r"|will)(?: to)? (?:creat|com|think|mak|writ|modif|find|avoid)\w*)",
    r"(?:hmm+|wait,? (?:no|that|maybe|but|let)|maybe (?:i|something|a problem|we could)|let me think (?:about|of"
    r"|through))",
])  # fmt: skip
SAYS_GOODBYE = opening([
    r"(?:please |be sure to |make sure to |don't forget to |remember to |and )?(?:show|explain|justify|write down"
    r"|write out|describe)"
    r" (?:\w+ ){0,3}?(?:work|working|workings|steps?|reasoning|thinking|thought process|calculations)\b(?!.*\d)",
    r"(?:please )?(?:take a (?:moment|minute|second|guess|look)|(?:post|leave|drop|write|put"
    r"|comment) your (?:answers?|solutions?"
    r"|guess)|answers? (?:is |are )?(?:in|at) the (?:comments?|back|end|bottom))\b",
    r"solve (?:it|this|the (?:problem|puzzle|riddle))\b[^\d:]{0,20}$",
    r"remember to (?:convert|use|apply|read|simplify|draw|label|set up|consider|keep track|break|start)\b(?!.*\d)",
    r"(?:please |and )?(?:remember|don't forget|be sure|make sure) to (?:show|explain|check|double-check|justify)\b",
    *literal(FAREWELL),
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
REFUSES = within([
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
REQUESTS = within([
    r"(?:please|kindly|could you|can you|would you|will you)(?: please| kindly)? (?:provid|shar|send|specif"
    r"|rephras|repeat|explain what|confirm"
    r"|clarif|paste|resend"
    r"|upload|enter|post|type|tell me (?:more|which|what (?:kind|type|topic|you))|give (?:me )?the (?:full|whole"
    r"|complete|entire|original|exact (?:problem|question|text))|give me (?:more"
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
