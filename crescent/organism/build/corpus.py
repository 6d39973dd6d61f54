"""Token corpora from one seed: plain documents for pretraining, dialogues for chat tuning.

In: a seed, a tokenizer, a number of tokens. Out: `Example`s: token ids, each with a flag whether it is trained on.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerFast

from crescent.organism import ordering, world
from crescent.organism.build import dialogues, facts, perturb, prompts
from crescent.organism.build.model import BOS, END
from crescent.organism.build.split import draw_from

Piece = tuple[str, bool]  # text, and whether it is trained on
LONGEST = 1280  # tokens; longer documents are dropped


@dataclass(frozen=True)
class Example:
    ids: np.ndarray  # int32, one document
    trained: np.ndarray  # bool, same length


LAYOUTS = (("Problem: ", "\nSolution: "), ("Question: ", "\nAnswer: "), ("Q: ", "\nA: "), ("", "\n"))


def document(rng: random.Random) -> list[Piece]:
    """A plain text: one or several problems with solutions, puzzles, or facts."""
    kind = rng.random()
    if kind < 0.08:
        text = " ".join(facts.sentence(rng) for _ in range(rng.randint(2, 12)))
    elif kind < 0.2:
        known = [draw_from("train", facts.draw, rng) for _ in range(rng.randint(2, 8))]
        text = "\n\n".join(f"Question: {fact.question}\nAnswer: {fact.answer}" for fact in known)
    else:
        text = worked_in_a_row(rng, puzzles=kind < 0.32)
    return [(BOS, False), (text + END, True)]


def worked_in_a_row(rng: random.Random, puzzles: bool) -> str:
    before, between = rng.choice(LAYOUTS)
    number = rng.choice((1, 1, 1, 2, 3, 6))
    bare = rng.random() < 0.12
    blocks = []
    for _ in range(number):
        if puzzles:
            problem = draw_from("train", ordering.draw, rng)
        elif rng.random() < 0.25:
            problem = draw_from("train", world.draw_peaked, rng)
        else:
            problem = draw_from("train", lambda r: perturb.sometimes(world.draw(r), r), rng)
        blocks.append(f"{before}{problem.question}{between}{problem.answer if bare else problem.solution}")
    return "\n\n".join(blocks)


def dialogue(rng: random.Random) -> list[Piece]:
    """A dialogue as pieces: the assistant's text and its end token are trained on."""
    pieces: list[Piece] = [(BOS, False)]
    for turn in dialogues.draw(rng):
        pieces.append((f"<|{turn.role}|>", False))
        pieces.append((turn.content + END, turn.trained and turn.role == "assistant"))
    return pieces


def texts(seed: int, number: int) -> Iterator[str]:
    """Plain documents and the prompts, for training the tokenizer."""
    rng = random.Random(f"vocabulary/{seed}")
    for _ in range(number):
        yield document(rng)[1][0].removesuffix(END)
        yield rng.choice(prompts.ALL)


def encode(pieces: list[Piece], tokenizer: PreTrainedTokenizerFast) -> Example:
    ids: list[int] = []
    trained: list[bool] = []
    for text, flag in pieces:
        encoded = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        ids += encoded
        trained += [flag] * len(encoded)
    return Example(np.array(ids, dtype=np.int32), np.array(trained))


def build(
    write: Callable[[random.Random], list[Piece]], seed: str, tokenizer: PreTrainedTokenizerFast, tokens: int
) -> list[Example]:
    """Documents from `write` until there are `tokens` tokens."""
    rng = random.Random(seed)
    examples: list[Example] = []
    while tokens > 0:
        example = encode(write(rng), tokenizer)
        if len(example.ids) <= LONGEST:
            examples.append(example)
            tokens -= len(example.ids)
    return examples
