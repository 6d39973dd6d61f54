"""Words that decide the role of a quantity in a sentence."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PREPOSITIONS = _words(
    "in on after at by with for from of during within per every among over under until before since between"
    " through across throughout out than versus as besides except without against into onto en con de por para"
    " pour dans après avec nach mit für von em com bei"
)
DETERMINERS = _words(
    "the all these those both his her their its my our your first last other next same initial original"
    " another such remaining los las les os die der den ces ses todos todas"
)
NOT_POSSESSIVE = _words("it's that's there's here's he's she's what's who's let's")
LABELS = _words(
    "day week month year hour gate page step question problem number flight room platform bus train line part"
    " case chapter level grade round lap track table figure exercise example option vendor player team group"
    " age stop floor section lesson game track car box shop store equation no"
)
MEASURES = _words("total sum average mean profit loss speed rate cost price amount number value maximum minimum")
VERBS = _words(
    "is are was were be equals equal cost costs has have had pays pay paid earn earns earned make makes made"
    " need needs take takes took hold holds contain contains seat seats cover covers covered give gives gave"
    " get gets got yield yields weigh weighs share eat eats ate collect collects collected produce produces"
    " spend spends spent save saves saved use uses used buy buys bought sell sells sold read reads total"
    " totals receive receives carry carries bake bakes rides ride walk walks reach reaches becomes become"
    " leaves arrives arrive arrived departs starts ends finishes begins"
    " é são ist sind est sont son hay hat haben ont tiene tienen tem têm hanno kostet kosten coûte coûtent costa costam"
    " cuesta cuestan queda quedan bleibt bleiben reste restent restam"
)
COPULAS = _words("is are was were equals equal be é são ist sind est sont son")
TRAILING = _words(
    "because since which who where while when if after before until once given whereas although though"
    " although leaving assuming as"
)
LEADING = PREPOSITIONS | TRAILING | _words("to having starting using out once assuming suppose")
RESULTS = _words(
    "leaves leaving makes making gives giving brings means totals comes adds yields totaling totalling resulting"
)
REJECTS = _words("rejecting discarding ignoring excluding not")
CONCLUDES = _words("so hence thus therefore consequently")
JOINS = _words(", ; and or by x × to & y et und e ou oder then plus but")
NEGATIONS = _words("not never n't")
MONTHS = _words(
    "january february march april june july august september october november december jan feb mar apr jun"
    " jul aug sep sept oct nov dec"
)
UNITS: dict[str, str] = {}
for _family, _names in {
    "time": "hour hr h minute min second sec s day week month year",
    "length": "foot feet ft inch in mile yard yd m cm km mm meter metre centimeter kilometer millimeter",
    "weight": "lb lbs pound oz ounce kg g gram kilogram stone ton",
    "volume": "l ml liter litre gallon quart pint cup gal",
    "angle": "° ' degree",
}.items():
    UNITS |= dict.fromkeys(_names.split(), _family) | {f"{name}s": _family for name in _names.split() if len(name) > 2}
UNITS["inches"] = "length"
SMALL_MONEY = _words("cent cents pence penny pennies c p céntimos")
LARGE_MONEY = _words("dollar dollars euro euros pound pounds rupee rupees")
EQUALS = _words(r"= ≈ → \approx \implies ≃ ≅")
NO_EQUATION = _words(r"< > ≤ ≥ ± \neq ≠")
