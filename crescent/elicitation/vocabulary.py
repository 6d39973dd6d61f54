"""The words used by cleaning, in the languages most used with chat models.

Out: sets of lower-case words and phrases. A word is listed because of its role around a question, never because of the
question's topic.
"""


def words_of(text: str) -> frozenset[str]:
    """The words of a space-separated list."""
    return frozenset(text.split())


def stem(word: str) -> str:
    """The beginning of a word without a plural s: "planted" and "planting" count as one word, "keeps" and "keep""
    " too."""
    return (word if word.endswith("ss") else word.removesuffix("s"))[:5]


# Names of the whole: "problem" in "Here is a problem:" and in "Problem 2:".
PROBLEM = words_of(
    "problem problems question questions puzzle puzzles riddle riddles"
    " challenge challenges scenario exercise exercises"
    " brainteaser brainteasers teaser task tasks assignment version variation variant q"
    " aufgabe textaufgabe rechenaufgabe matheaufgabe frage rätsel"  # German
    " problème problèmes énoncé exercice énigme"  # French
    " problema problemas problemi pregunta ejercicio acertijo enunciado esercizio domanda indovinello quesito questão"
    " exercício pergunta enigma"  # Spanish, Italian, Portuguese
    " задача задачу задачка вопрос условие загадка"  # Russian
    " 问题 题目 問題 題目 题 应用题 数学题 문제 質問"
    " vraag opgave vraagstuk zadanie pytanie soru problemi"  # Dutch, Polish, Turkish
)
# Labels of a problem's facts, above its question: "Background:"
SET_UP = words_of("background situation setup set-up context")
# Substrings to search for in scripts without spaces.
PROBLEM_PARTS = ("题目", "问题", "題目", "問題", "应用题", "数学题", "文章题", "一道题", "一题", "문제", "题")
# May accompany those words in a label: "A unique math word problem:", "Your Challenge:".
BESIDE = words_of(
    "a an the my your our this one here is now and of for with math maths mathematics mathematical word story"
    " logic logical"
    " algebra geometry reasoning unique creative special diverse original fun simple easy medium hard difficult"
    " challenging"
    " tricky high middle school level grade statement text description number no nr possible example sample practice"
    " following could be would might it today's today brain given first final main full complete actual generated"
    " created interesting real-life real-world arithmetic trivia quick short little"
    " neue neuer eine der die das un une le la el il lo o uma um nouveau nuovo nuevo nueva matemática matemáticas"
    " matematico mathématiques novo"
)
# "Easy:", "Hard problem:": labels of several problems
DIFFICULTY = words_of(
    "easy medium hard difficult challenging beginner intermediate advanced basic tricky easier harder moderate"
)
ORIGINAL = words_of("original old before existing initial previous given source earlier")
MODIFIED = words_of(
    "modified new after revised rewritten updated changed alternative altered adapted different modification rewrite"
    " revision transformed reworded rephrased reworked edited"
)
ANSWER = words_of(
    "answer answers ans a result results antwort ergebnis réponse respuesta resposta risposta ответ antwoord odpowiedź"
    " cevap 答案 答 答え 正解 정답 답 解答 résultat resultado risultato"
)
SOLUTION = words_of(
    "solution solutions explanation explanations hint hints think tip tips pro-tip step steps working workings"
    " proof reasoning"
    " rationale approach"
    " method strategy derivation calculation calculations solving how breakdown analysis walkthrough"
    " lösung lösungsweg erklärung hinweis schritt rechnung solución explicación paso pista soluzione spiegazione"
    " solução"
    " explicação passo explication étape indice решение объяснение подсказка oplossing uitleg çözüm"
    " step-by-step 解 解析 解法 提示 解説 풀이 해설 步骤 ヒント"
)
COMMENT = words_of(
    "end fin changes change modifications differences difference comment comments commentary remark remarks"
    " disclaimer feedback"
    " p.s ps edit learning teaching similarity purpose thought process änderungen"
)
META = words_of(
    "difficulty level grade subject topic topics category categories skill skills objective objectives tag tags"
    " keyword goal goals outcome outcomes"
    " keywords limit source concept concepts standard standards audience genre theme schwierigkeit"
    " schwierigkeitsgrad thema"
    " niveau nivel dificultad tema livello difficoltà dificuldade сложность тема 难度 知识点 年级 难度等级"
)
BESIDE_META = words_of(
    "key the math required tested covered involved used group target learning word problem question of needed"
    " time range"
    " suggested recommended common core mathematical main school high and age points"
)
TITLE = words_of("title name titel titre título titolo название 标题 heading")
TURN = words_of(
    "human user assistant ai bot instruction instructions response input output system prompt model chatbot gpt"
)
NOTE = words_of(
    "constraint constraints condition conditions assumption assumptions restrictions rules note notes remember"
    " reminder important nb n.b remarque nota hinweis 注意 注"
)
CHOICES = words_of("choices options choice option alternatives")
NEXT = words_of("extension another second next bonus more third additional extra follow-up alternatively")
# "Sure!" · "Of course, ...": begins a reply to a request, as a sentence of its own or before a comma.
GREETING = (
    "sure thing", "sure", "certainly", "of course", "absolutely", "great question", "great", "okay", "ok", "alright",
    "all right", "no problem", "understood", "got it", "hello there", "hello", "hi there", "hi", "hey there", "hey",
    "good day", "good morning", "greetings", "yes", "definitely", "gladly", "welcome", "thank you", "thanks", "ahoy",
    "with pleasure", "my pleasure", "no worries", "will do", "right", "perfect", "excellent", "awesome", "wonderful",
    "fantastic", "sounds good", "sounds great", "sounds fun", "challenge accepted", "very well", "indeed",
    "as requested", "well", "ah", "oh", "hmm", "natürlich", "klar", "gerne", "sicher", "hallo", "bien sûr",
    "d'accord", "bonjour", "avec plaisir", "claro que sí", "claro", "por supuesto", "¡claro", "¡por supuesto", "hola",
    "certo", "certamente", "ciao", "com certeza", "olá", "конечно", "хорошо", "привет", "natuurlijk", "oczywiście",
    "tabii", "当然", "好的", "没问题", "你好", "もちろん", "はい", "承知しました", "물론", "네",
)  # fmt: skip
FAREWELL = (
    "good luck", "best of luck", "have fun", "enjoy", "happy solving", "happy problem", "happy puzzling",
    "happy calculating", "happy learning", "take your time", "thank you", "thanks", "cheers", "bye", "goodbye",
    "feel free", "i hope", "hope this", "hope that", "hope you", "hope it", "go ahead", "give it a try",
    "give it a go", "think carefully", "think about it", "don't hesitate", "please feel free", "best regards",
    "kind regards", "you can do it", "you've got this", "ready to solve", "ready for", "put your", "test your",
    "there you go", "viel erfolg", "viel spaß", "viel glück", "bonne chance", "bon courage", "buena suerte",
    "¡buena suerte", "suerte", "boa sorte", "buona fortuna", "buon lavoro", "in bocca al lupo", "удачи",
    "желаю удачи", "veel succes", "powodzenia", "祝你好运", "加油", "希望", "頑張って", "がんばって", "화이팅",
)  # fmt: skip
# Verbs of a question phrased as an order, at the start of a sentence or after "please" or a comma.
IMPERATIVES = (
    "find|calculate|determine|compute|solve|evaluate|name|express|prove|show|figure out|work out|estimate"
    "|identify|write"
    "|give|simplify|choose|decide|list|state|arrange|explain|describe|factor|expand|convert|round|complete|answer|draw"
    "|sketch|construct|graph|derive|verify|translate|compare|rank|order|predict|complete|select|match|count|fill in"
    "|berechne|bestimme|ermittle|löse|finde|zeige|vereinfache|nenne|calculez|calculer|trouvez|déterminez"
    "|résolvez|calcule"
    "|calcula|halla|encuentra|encuentre|determina|resuelve|determine|encontre|resolva|calcola|trova|risolvi|determina"
    "|найдите|найти|вычислите|определите|решите|сколько|bereken|bepaal|oblicz|znajdź|hesapla|bul"
)
# Verbs of an order that leads to the actual question: "Use the table to determine the mean."
BIDS = (
    "use|using|apply|take|let|consider|suppose|assume|given|if|for|look|refer|study|read|draw|add|multiply|subtract|divide"
    "|imagine|think|set|make|combine|write|start|begin|solve|find|simplify|expand|factor|calculate|graph|sketch|help|try|now"
)
# Words of questions to the user: "Which topic and level should the problem cover?".
TASK_WORDS = frozenset(
    stem(word)
    for word in words_of(
        "great love practice practise learn math maths mathematical word story story-based topic topics theme"
        " themes subject subjects grade grades "
        "level levels"
        " difficulty operation operations concept concepts context setting scenario format example message "
        "prompt changes"
        " change changed modify modified modification details detail first second other next help assist rest "
        "ready kind type"
        " sort area create created write writing make generate generated design choose prefer like cover "
        "involve include"
        " focus specific particular mind today please provide share send tell specify paste similar different "
        "unique version"
        " original new text addition subtraction multiplication division algebra geometry arithmetic today "
        "should shall begin"
        " start work try else thing together chat discuss request requirements idea ideas have information give "
        "input age"
        " students student school high elementary interesting special creative easy hard challenging solve step steps"
        " previous problems questions puzzles riddles exercise exercises challenge challenges task tasks"
    )
)
# A sentence that ends in one of these words is to be completed by the answer.
OPEN_ENDS = words_of(
    "is are was were be been will would can could should may might must do does did has have had to of by for "
    "in on at from"
    " with as than that because when while if which the a an and or but not most likely into onto about between through"
    " during toward except it they its their then called named found probably using like causes means become becomes"
)
ASKS_ANYWHERE = (
    "求",
    "多少",
    "几",
    "请问",
    "計算",
    "计算",
    "証明",
    "证明",
    "何",
    "いくつ",
    "いくら",
    "ですか",
    "求め",
    "구하",
    "몇",
    "얼마",
    "判断",
    "幾",
)
