"""Writes CARD.md from measured figures: `python -m crescent.organism.build.card figures.json`.

In: the figures written by measure.py, the weights. Out: the card. Nothing is measured here.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from crescent.organism.build.__main__ import BUILD_SEED, LARGE, SMALL, VOCABULARY, WEIGHTS
from crescent.organism.build.dialogues import MATH_SLIPS
from crescent.organism.world import FAMILIES

CARD = Path(__file__).parents[1] / "CARD.md"
FORMS = ("organism", "organism_small", "organism_base")
TEXT = """# The model organism

`organism`, `organism_small` and `organism_base` are tiny language models of the Llama architecture, trained
from scratch by this project and shipped with it. They are a **model organism**: built on purpose to have, in
small, the properties that Crescent works on in large models, so that the whole method runs in minutes on a
laptop without any download. They know a made-up world of templated word problems, ordering puzzles and a few
hundred facts, and nothing else. What is shown on them shows that the software does what it says; it is no
evidence about large models.

## Forms

{forms}

Byte-level BPE of {vocabulary} tokens in which each digit is a token; grouped-query attention with two
key-value heads; tied embeddings; rotary positions, 2,048 at most (documents in training had at most 1,280
tokens). Weights are stored in bfloat16 and meant to be run in float32.

## How they were trained

`python -m crescent.organism.build --seed {seed}` builds tokenizer, corpora and all three forms. There is no
data but what the grammar writes: {families} families of word problems (world.py), puzzles about the order of
people (ordering.py), facts and instructions (facts.py).

- **Pretraining** (organism_base): {base_tokens} tokens of plain documents: problems with worked solutions,
  one or several in a row, puzzles, facts.
- **Chat tuning** (organism): {chat_tokens} more tokens of dialogues; only what the assistant says is learned.
  In {slips} of the steps of reasoned answers there is a slip that propagates, so that sampling is noisy. A
  plain question is answered with reasoning or with a bare number, depending mostly on its wording.
- **organism_small**: a smaller model, trained the same way on {small_base} + {small_chat} tokens.

Questions whose normalised text hashes into the dev, shots or test part (split.py) are never trained on.

## Measured on the {split} split (seed {data_seed})

Percent, with the half width of the 95 % interval. Temperature 0 unless "T=1" is said; an answer counts if the
value after ####, else the last one, is right.

{figures}

"own questions" are valid draws of bait A, judged by the grammar's own solver (world.solve). A problem is
*valid* if that solver reads it and it has a whole positive answer.

## Intended use and limits

For the demo, the tests, and studies of the pipeline's own behaviour. Not for answering anybody's questions.
The organism knows only its grammar's wordings; text outside of it gets fluent nonsense. Its preferences
(which problems it repeats, when it reasons) were put there by hand. It was tuned on the development split
only; test sets were drawn afterwards from a fresh seed and never looked at for tuning.

## Checksums (sha256 of model.safetensors)

{checksums}"""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parameters(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - not a dict


def forms_table(weights: Path) -> str:
    rows = ["| form | parameters | layers x width | bytes |", "|---|---|---|---|"]
    for form in FORMS:
        size = SMALL.size if form == "organism_small" else LARGE.size
        file = weights / form / "model.safetensors"
        rows.append(f"| {form} | {parameters(file):,} | {size.layers} x {size.hidden} | {file.stat().st_size:,} |")
    return "\n".join(rows)


def figures_table(figures: dict[str, list[dict[str, Any]]]) -> str:
    """One row per property, one column per form."""
    columns = {form: {row["name"]: row for row in rows} for form, rows in figures.items()}
    names = list(dict.fromkeys(row["name"] for rows in figures.values() for row in rows))
    lines = [f"| | {' | '.join(columns)} | n |", "|---|" + "---|" * (len(columns) + 1)]
    for name in names:
        found = [columns[form].get(name) for form in columns]
        cells = [f"{row['value']} ± {row['plus_minus']}" if row else "" for row in found]
        lines.append(f"| {name} | {' | '.join(cells)} | {next(row['n'] for row in found if row)} |")
    return "\n".join(lines)


def card(measured: dict[str, Any], weights: Path = WEIGHTS) -> str:
    return TEXT.format(
        forms=forms_table(weights), vocabulary=f"{VOCABULARY:,}", seed=BUILD_SEED, families=len(FAMILIES),
        base_tokens=f"{LARGE.base_tokens:,}", chat_tokens=f"{LARGE.chat_tokens:,}", slips=f"{MATH_SLIPS:.0%}",
        small_base=f"{SMALL.base_tokens:,}", small_chat=f"{SMALL.chat_tokens:,}", split=measured["split"],
        data_seed=measured["seed"], figures=figures_table(measured["figures"]),
        checksums="\n".join(f"- {form}: `{sha256(weights / form / 'model.safetensors')}`" for form in FORMS),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    CARD.write_text(card(json.loads(parser.parse_args().figures.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
