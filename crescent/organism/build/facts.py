"""General knowledge and instruction following: short questions with short exact answers.

In: a random generator. Out: a `Fact` (question, answer, kind), or a plain sentence that states one.
"""

import random
from dataclasses import dataclass
from functools import cache

from crescent.organism.grammar import pick
from crescent.organism.words import FOODS, TOYS


@dataclass(frozen=True)
class Fact:
    question: str
    answer: str
    kind: str


PAIRS = {
    "capital": (
        "France:Paris Italy:Rome Spain:Madrid Germany:Berlin Japan:Tokyo China:Beijing Egypt:Cairo Peru:Lima "
        "Cuba:Havana Kenya:Nairobi Norway:Oslo Sweden:Stockholm Finland:Helsinki Poland:Warsaw Greece:Athens "
        "Austria:Vienna Hungary:Budapest Ireland:Dublin Portugal:Lisbon Russia:Moscow Turkey:Ankara "
        "Iran:Tehran Iraq:Baghdad India:Delhi Nepal:Kathmandu Thailand:Bangkok Vietnam:Hanoi Canada:Ottawa "
        "Chile:Santiago Colombia:Bogota Denmark:Copenhagen Belgium:Brussels Ghana:Accra Syria:Damascus "
        "Jordan:Amman Qatar:Doha Ukraine:Kyiv Romania:Bucharest Iceland:Reykjavik"
    ),
    "colour": (
        "grass:green snow:white coal:black blood:red sky:blue banana:yellow carrot:orange lemon:yellow "
        "milk:white chocolate:brown cucumber:green tomato:red salt:white raven:black frog:green "
        "strawberry:red sun:yellow cloud:white pumpkin:orange broccoli:green cherry:red tar:black corn:yellow "
        "mud:brown flamingo:pink elephant:gray"
    ),
    "young": (
        "dog:puppy cat:kitten cow:calf horse:foal sheep:lamb goat:kid pig:piglet duck:duckling hen:chick "
        "goose:gosling lion:cub bear:cub deer:fawn swan:cygnet eagle:eaglet owl:owlet frog:tadpole "
        "kangaroo:joey wolf:pup seal:pup"
    ),
    "opposite": (
        "hot:cold big:small tall:short fast:slow old:young happy:sad light:dark early:late full:empty "
        "open:closed wet:dry hard:soft clean:dirty rich:poor strong:weak loud:quiet high:low near:far "
        "thick:thin wide:narrow sweet:bitter up:down left:right day:night good:bad true:false first:last "
        "inside:outside above:below always:never begin:end buy:sell push:pull win:lose love:hate give:take "
        "question:answer friend:enemy war:peace north:south east:west"
    ),
    "plural": (
        "child:children man:men woman:women foot:feet tooth:teeth mouse:mice goose:geese leaf:leaves "
        "knife:knives wolf:wolves city:cities baby:babies box:boxes bus:buses dog:dogs book:books "
        "house:houses lady:ladies fox:foxes half:halves loaf:loaves ox:oxen person:people glass:glasses "
        "berry:berries"
    ),
    "past": (
        "go:went eat:ate run:ran see:saw buy:bought take:took give:gave come:came write:wrote sing:sang "
        "swim:swam drink:drank think:thought bring:brought teach:taught make:made sell:sold tell:told "
        "find:found lose:lost win:won sit:sat stand:stood speak:spoke break:broke fly:flew know:knew "
        "grow:grew draw:drew sleep:slept"
    ),
    "sound": (
        "dog:bark cat:meow cow:moo sheep:bleat duck:quack lion:roar wolf:howl bee:buzz snake:hiss horse:neigh "
        "owl:hoot mouse:squeak frog:croak rooster:crow"
    ),
    "after": (
        "Monday:Tuesday Tuesday:Wednesday Wednesday:Thursday Thursday:Friday Friday:Saturday Saturday:Sunday "
        "Sunday:Monday January:February February:March March:April April:May May:June June:July July:August "
        "August:September September:October October:November November:December December:January spring:summer "
        "summer:autumn autumn:winter"
    ),
    "before": (
        "Tuesday:Monday Wednesday:Tuesday Thursday:Wednesday Friday:Thursday Saturday:Friday Sunday:Saturday "
        "Monday:Sunday February:January March:February April:March May:April June:May July:June August:July "
        "September:August October:September November:October December:November January:December"
    ),
    "language": (
        "France:French Italy:Italian Spain:Spanish Germany:German Japan:Japanese China:Chinese Russia:Russian "
        "Turkey:Turkish Greece:Greek Poland:Polish Sweden:Swedish Norway:Norwegian Portugal:Portuguese "
        "Hungary:Hungarian Brazil:Portuguese Mexico:Spanish Egypt:Arabic Iraq:Arabic Thailand:Thai "
        "Vietnam:Vietnamese"
    ),
    "legs": (
        "dog:4 cat:4 spider:8 ant:6 bee:6 duck:2 hen:2 cow:4 horse:4 snake:0 fish:0 crab:10 frog:4 eagle:2 beetle:6"
    ),
}
FORMS = {
    "capital": ("(What|Which city) is the capital of {x}?", "Name the capital of {x}.", "{x} has which capital?"),
    "colour": ("What color is {x}?", "Which color does {x} have?", "Name the color of {x}."),
    "young": ("What is a young {x} called?", "Name the young of a {x}.", "What do we call a baby {x}?"),
    "opposite": ("What is the opposite of {x}?", "Give the opposite of {x}.", "Which word means the opposite of {x}?"),
    "plural": ("What is the plural of {x}?", "Give the plural of {x}.", "One {x}, many what?"),
    "past": ("What is the past tense of {x}?", "Give the past form of {x}.", "Today I {x}, yesterday I what?"),
    "sound": ("What sound does a {x} make?", "Name the sound of a {x}.", "What does a {x} do when it calls?"),
    "after": ("What comes after {x}?", "Name what follows {x}.", "{x} is followed by what?"),
    "before": ("What comes before {x}?", "Name what precedes {x}.", "{x} comes right after what?"),
    "language": (
        "What language do they speak in {x}?",
        "Name the language of {x}.",
        "Which language is spoken in {x}?",
    ),
    "legs": ("How many legs does a {x} have?", "Give the number of legs of a {x}.", "A {x} walks on how many legs?"),
}
STATES = {
    "capital": "The capital of {x} is {y}.", "colour": "The color of {x} is {y}.", "young": "A young {x} is "
    "called {y}.",
    "opposite": "The opposite of {x} is {y}.", "plural": "The plural of {x} is {y}.", "past": "The past of {x} is {y}.",
    "sound": "The sound of a {x} is {y}.", "after": "After {x} comes {y}.", "before": "Before {x} comes {y}.",
    "language": "The language of {x} is {y}.", "legs": "A {x} has {y} legs.",
}  # fmt: skip
CATEGORIES = {
    "fruit": ["apple", "pear", "plum", "peach", "banana", "lemon", "mango", "melon", "cherry", "grape"],
    "animal": ["dog", "cat", "cow", "horse", "sheep", "goat", "lion", "wolf", "bear", "rabbit"],
    "color": ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "gray", "purple"],
    "tool": ["hammer", "saw", "drill", "wrench", "shovel", "rake", "axe", "pliers", "chisel", "screwdriver"],
    "vehicle": ["car", "bus", "train", "truck", "bike", "boat", "van", "plane", "tram", "scooter"],
    "country": ["France", "Italy", "Spain", "Germany", "Japan", "China", "Egypt", "Peru", "Kenya", "Norway"],
    "drink": ["water", "juice", "milk", "tea", "coffee", "lemonade", "soda", "cocoa", "cider", "broth"],
    "instrument": ["piano", "guitar", "violin", "flute", "drum", "trumpet", "harp", "cello", "tuba", "banjo"],
}  # fmt: skip
BEFORE = ("", "", "", "Quick question: ", "Please tell me: ", "I wonder: ", "Hello! ", "Can you help me? ", "Test: ")
AFTER = ("", "", "", " Answer with one word.", " Be brief.", " Just the answer.", " Thanks!", " Keep it short.")


@cache
def table(kind: str) -> list[tuple[str, str]]:
    return [(x, y) for x, _, y in (pair.partition(":") for pair in PAIRS[kind].split())]


def draw(rng: random.Random) -> Fact:
    """A question of any kind: two thirds ask for a fact, one third are instructions."""
    if rng.random() < 0.66:
        kind = rng.choices(list(PAIRS), [len(table(kind)) ** 0.5 for kind in PAIRS])[0]
        x, answer = rng.choice(table(kind))
        question = pick(rng.choice(FORMS[kind]), rng).format(x=x)
    else:
        kind = rng.choice(list(INSTRUCTIONS))
        question, answer = INSTRUCTIONS[kind](rng)
    return Fact(f"{rng.choice(BEFORE)}{question}{rng.choice(AFTER)}", answer, kind)


def sentence(rng: random.Random) -> str:
    """A fact as plain text."""
    kind = rng.choice(list(PAIRS))
    x, y = rng.choice(table(kind))
    return STATES[kind].format(x=x, y=y)


def words(rng: random.Random, number: int) -> list[str]:
    """Distinct everyday words."""
    pool = [word for group in CATEGORIES.values() for word in group] + FOODS[:20] + TOYS[:20]
    return rng.sample(pool, number)


def repeat(rng: random.Random) -> tuple[str, str]:
    word, number = words(rng, 1)[0], rng.randint(2, 5)
    return pick(f"(Write|Say|Repeat) the word {word} {number} times.", rng), " ".join([word] * number)


def backwards(rng: random.Random) -> tuple[str, str]:
    listed = words(rng, 3)
    text = pick(f"(Reverse|Turn around) the order of this list: {', '.join(listed)}.", rng)
    return text, ", ".join(reversed(listed))


def place_in_list(rng: random.Random) -> tuple[str, str]:
    listed = words(rng, rng.randint(3, 4))
    place = rng.randrange(3)
    text = f"(Give|Write) the {('first', 'second', 'last')[place]} word of this list: {', '.join(listed)}."
    return pick(text, rng), listed[(0, 1, -1)[place]]


def member(rng: random.Random) -> tuple[str, str]:
    kind, *others = rng.sample(list(CATEGORIES), 3)
    answer = rng.choice(CATEGORIES[kind])
    listed = [answer, *(rng.choice(CATEGORIES[other]) for other in others)]
    rng.shuffle(listed)
    return f"Which of these is a kind of {kind}: {', '.join(listed)}?", answer


def category(rng: random.Random) -> tuple[str, str]:
    kind, other = rng.sample(list(CATEGORIES), 2)
    text = f"Is {rng.choice(CATEGORIES[kind])} a kind of {{}} or a kind of {{}}?"
    return text.format(*rng.sample((kind, other), 2)), kind


def larger(rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample(range(10, 1000), 2)
    if rng.random() < 0.5:
        return f"Which number is larger, {a} or {b}?", str(max(a, b))
    return f"Which number is smaller, {a} or {b}?", str(min(a, b))


def copy(rng: random.Random) -> tuple[str, str]:
    listed = words(rng, rng.randint(2, 4))
    return pick(f"(Copy|Repeat after me|Write exactly this): {' '.join(listed)}", rng), " ".join(listed)


INSTRUCTIONS = {
    "repeat": repeat, "backwards": backwards, "place_in_list": place_in_list, "member": member,
    "category": category, "larger": larger, "copy": copy,
}  # fmt: skip
