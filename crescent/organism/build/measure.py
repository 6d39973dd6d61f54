"""Measures the organism's properties with 95 % intervals: `python -m crescent.organism.build.measure`.

In: the weights, a split (dev during development, test once the organism is final), a seed. Out: figures, as JSON.
"""

import argparse
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crescent.engines import Prompt, Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.organism import ordering, world
from crescent.organism.build import prompts, tasks
from crescent.organism.build.__main__ import WEIGHTS
from crescent.organism.build.split import Split
from crescent.organism.build.tasks import Item

DRAWS = 9
SHOTS = 5
MAX_NEW_TOKENS = 256


@dataclass(frozen=True)
class Figure:
    """A percentage with the half width of its 95 % interval."""

    name: str
    value: float
    plus_minus: float
    n: int


def share(name: str, hits: Sequence[float]) -> Figure:
    """Mean of values in 0..1; the interval is clustered where a value is itself a mean of several draws."""
    mean = sum(hits) / len(hits)
    variance = sum((hit - mean) ** 2 for hit in hits) / max(1, len(hits) - 1)
    return Figure(name, round(100 * mean, 1), round(196 * math.sqrt(variance / len(hits)), 1), len(hits))


def final(text: str, domain: str) -> str | None:
    """The answer after ####, else the last number (math), the last capitalised word (ordering), or the whole text
    (general)."""
    if domain == "general":
        return text.strip().lower().rstrip(".")
    value = r"-?\d[\d,]*(?:\.\d+)?" if domain == "math" else r"[A-Z][a-z]+"
    marked = re.findall(rf"####\s*({value})", text)
    found = marked or re.findall(value, text)
    return found[-1].replace(",", "") if found else None


def judged(replies: Sequence[str], items: Sequence[Item], domain: str) -> list[float]:
    """1 for each reply whose final answer is correct, else 0."""
    answers = [str(item["answer"]).lower() if domain == "general" else item["answer"] for item in items]
    return [float(final(reply, domain) == answer) for reply, answer in zip(replies, answers, strict=True)]


def clean(text: str) -> str:
    """A bait's reply without the text around the problem."""
    text = re.sub(
        r"^(?:Sure! )?(?:Here is a (?:unique )?)?(?:problem|puzzle):\s*", "", text.strip(), flags=re.IGNORECASE
    )
    return text.removesuffix("Good luck!").strip().strip('"').strip()


class Subject:
    """One form of the organism, prompted in the ways that are measured."""

    def __init__(self, folder: Path, seed: int) -> None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.engine = TransformersEngine(model, self.tokenizer, folder.name)
        self.seed = seed

    def ask(self, asked: Sequence[str | Prompt], temperature: float = 0.0) -> list[str]:
        sampling = Sampling(temperature=temperature, max_new_tokens=MAX_NEW_TOKENS, seed=self.seed)
        return [completion.text for completion in self.engine.generate(list(asked), sampling)]

    def right(self, items: Sequence[Item], domain: str, form: str = "{question}") -> list[float]:
        replies = self.ask([form.format(question=item["question"]) for item in items])
        return judged(replies, items, domain)

    def right_with_shots(self, items: Sequence[Item], shots: Sequence[Item], domain: str) -> list[float]:
        """5-shot accuracy: worked examples as turns before the question, different ones for each question."""
        rng = random.Random(self.seed)
        asked = []
        for item in items:
            turns: list[dict[str, str]] = []
            for shot in rng.sample(list(shots), SHOTS):
                turns += [{"role": "user", "content": str(shot["question"])}]
                turns += [{"role": "assistant", "content": str(shot["solution"])}]
            turns.append({"role": "user", "content": str(item["question"])})
            text = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            asked.append(Prompt(str(text), rendered=True))
        return judged(self.ask(asked), items, domain)

    def draws(self, questions: Sequence[str], form: str, domain: str) -> list[list[str | None]]:
        """Final answers of nine draws at temperature 1 with the solve prompt."""
        asked = [Prompt(form.format(question=q), draw=d) for q in questions for d in range(DRAWS)]
        answers = [final(reply, domain) for reply in self.ask(asked, temperature=1.0)]
        return [answers[i : i + DRAWS] for i in range(0, len(answers), DRAWS)]


def majority(answers: Sequence[str | None]) -> str | None:
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def accuracies(subject: Subject, split: Split, seed: int, n: int) -> Iterator[Figure]:
    """Accuracy on each task: plain, with the solve prompt, and 5-shot."""
    for name in tasks.NAMES:
        rows, shots = tasks.items(name, split, seed, n), tasks.items(name, "shots", seed, 200)
        domain = {"organism_general": "general", "organism_ordering": "ordering"}.get(name, "math")
        yield share(f"{name}, plain", subject.right(rows, domain))
        yield share(f"{name}, {SHOTS}-shot", subject.right_with_shots(rows, shots, domain))
        if domain != "general":
            form = prompts.MATH_SOLVE if domain == "math" else prompts.ORDERING_SOLVE
            yield share(f"{name}, solve prompt", subject.right(rows, domain, form))
        if name in ("organism_gsm", "organism_ordering"):
            form = prompts.MATH_SOLVE if domain == "math" else prompts.ORDERING_SOLVE
            rows = rows[: n // 3]
            yield from voting(name, subject.draws([str(r["question"]) for r in rows], form, domain),
                              [str(r["answer"]) for r in rows])  # fmt: skip


def voting(name: str, drawn: Sequence[Sequence[str | None]], answers: Sequence[str]) -> Iterator[Figure]:
    """One draw at temperature 1 (mean over all draws) and the majority of 3 and of 9, on the same questions."""
    pairs = list(zip(drawn, answers, strict=True))
    yield share(f"{name}, one draw at T=1", [sum(a == right for a in nine) / DRAWS for nine, right in pairs])
    for k in (3, DRAWS):
        yield share(f"{name}, majority of {k}", [float(majority(nine[:k]) == right) for nine, right in pairs])


def bait(subject: Subject, n: int) -> Iterator[Figure]:
    """Validity and diversity of the math bait's problems, and accuracy of the organism on its own problems."""
    for label, prompt in zip("AB", prompts.MATH_BAITS, strict=True):
        written = [clean(t) for t in subject.ask([Prompt(prompt, draw=d) for d in range(n)], temperature=1.0)]
        solved = [world.solve(text) for text in written]
        families = Counter(found[0] for found in solved if found)
        top = families.most_common(1)[0][0]
        yield share(f"bait {label}, valid", [float(found is not None) for found in solved])
        yield share(f"bait {label}, most common family ({top})", [float(bool(s and s[0] == top)) for s in solved])
        yield share(
            f"bait {label}, distinct among the valid ones",
            distinct([t for t, s in zip(written, solved, strict=True) if s]),
        )
        if label == "A":
            good = [(t, s[1]) for t, s in zip(written, solved, strict=True) if s][: n // 3]
            asked = [prompts.MATH_SOLVE.format(question=text) for text, _ in good]
            replies = [final(reply, "math") for reply in subject.ask(asked)]
            yield share("own questions, solve prompt", [float(r == a) for r, (_, a) in zip(replies, good, strict=True)])
            drawn = subject.draws([text for text, _ in good], prompts.MATH_SOLVE, "math")
            yield from voting("own questions", drawn, [answer for _, answer in good])
            yield from modified(subject, [(t, s[0]) for t, s in zip(written, solved, strict=True) if s])
    written = [clean(t) for t in subject.ask([Prompt(prompts.ORDERING_BAIT, draw=d) for d in range(n // 2)], 1.0)]
    solved = [ordering.solve(text) for text in written]
    yield share("ordering bait, valid", [float(found is not None) for found in solved])
    top = Counter(found[0] for found in solved if found).most_common(1)[0][0]
    yield share(f"ordering bait, most common scale ({top})", [float(bool(s and s[0] == top)) for s in solved])


def distinct(texts: Sequence[str]) -> list[float]:
    """1 for each text not seen before, else 0."""
    seen: set[str] = set()
    return [float(text not in seen and not seen.add(text)) for text in texts]


def modified(subject: Subject, written: Sequence[tuple[str, str]]) -> Iterator[Figure]:
    """Given two problems of one family, how often does the organism write a valid problem of another?"""
    by_family: dict[str, list[str]] = {}
    for text, family in written:
        by_family.setdefault(family, []).append(text)
    pairs = [(f, a, b) for f, all_ in by_family.items() for a, b in pairwise(all_)][:400]
    asked = [Prompt(prompts.MODIFY.format(question=a, neighbour=b)) for _, a, b in pairs]
    for temperature in (0.0, 1.0):
        replies = [clean(text) for text in subject.ask(asked, temperature)]
        found = [(world.solve(text), family) for text, (family, _, _) in zip(replies, pairs, strict=True)]
        name = f"modify at T={temperature:.0f}"
        yield share(f"{name}, valid and of another family", [float(bool(s and s[0] != f)) for s, f in found])
        yield share(f"{name}, of another family, of the valid ones", [float(s[0] != f) for s, f in found if s])


def measure(weights: Path, split: Split, seed: int, n: int) -> dict[str, list[Figure]]:
    """Figures by form; prints each as soon as it is measured."""
    figures: dict[str, list[Figure]] = {}
    for form in ("organism", "organism_small"):
        if not (weights / form).exists():
            continue
        subject = Subject(weights / form, seed)
        figures[form] = []
        for source in (accuracies(subject, split, seed, n), bait(subject, n)):
            for figure in source:
                figures[form].append(figure)
                print(
                    f"{form:15} {figure.name:55} {figure.value:5.1f} ± {figure.plus_minus:.1f}  (n={figure.n})",
                    flush=True,
                )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, default=1_000, help="items per task; draws per bait")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    args = parser.parse_args()
    figures = measure(args.weights, args.split, args.seed, args.n)
    if args.out:
        named = {form: [asdict(figure) for figure in rows] for form, rows in figures.items()}
        args.out.write_text(json.dumps({"split": args.split, "seed": args.seed, "figures": named}, indent=1) + "\n")


if __name__ == "__main__":
    main()
