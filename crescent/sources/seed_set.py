"""A seed set at work: the steps that the seeded baselines share.

In: a `Bench`, a JSONL file. Out: the seeds as Questions, new questions out of them, pairs selected from draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crescent.core.console import counted
from crescent.core.records import Question, Solution
from crescent.core.store import Artifact
from crescent.observers.narration import tell_selected
from crescent.sources.context import Bench
from crescent.sources.filter_by_gold_stage import Distinct, Keep, Select
from crescent.sources.rewrite_stage import Rewrite, Way
from crescent.sources.seeds_stage import Seeds, read_golds, read_seeds


@dataclass(frozen=True, slots=True)
class SeedSet:
    """A file, how many of its questions, drawn by the seed (None: all), and how many pairs are wanted."""

    path: str
    max_seeds: int | None
    num_pairs: int
    seed: int = 0

    def check_counts(self) -> None:
        """Raises ValueError for numbers that cannot be."""
        if self.num_pairs < 1:
            raise ValueError(f"source.num_pairs is {self.num_pairs}; it must be at least 1")
        if self.max_seeds is not None and self.max_seeds < 1:
            raise ValueError(f"source.max_seeds is {self.max_seeds}; it must be at least 1, or null for all")

    def check(self, kind: str) -> None:
        """Raises ValueError that names the line which cannot be read."""
        read_seeds(Path(self.path).expanduser(), kind)

    def ask(self, bench: Bench) -> Artifact:
        """The seeds as questions."""
        path = Path(self.path).expanduser()
        bench.console.heading(f"1 Seeds: questions with known answers ({path.name})")
        with bench.stage("seeds") as report:
            seeds = Seeds(bench.steps.domain.answer, self.max_seeds, self.seed).run(path, bench.store)
            report.fill(seeds)
        bench.console.say(counted(seeds.records, "seed"))
        return seeds

    def rewrite(self, bench: Bench, ways: tuple[Way, ...], with_seeds: bool) -> Artifact:
        """The seeds (`with_seeds`), then new questions out of them."""
        seeds, domain = self.ask(bench), bench.steps.domain
        bench.console.heading("2 Rewrite: the teacher makes new questions out of the seeds")
        stage = Rewrite(ways, bench.steps.answer.sampling, domain.min_chars, domain.max_chars, with_seeds)
        with bench.stage("rewrite") as report:
            questions, written = stage.run(seeds, bench.store, bench.teacher, bench.console)
            report.fill(questions, tokens=questions.info["tokens"], new_tokens=written.new_tokens)
        return questions

    def select(
        self,
        bench: Bench,
        questions: Artifact,
        checked: Artifact,
        keep: Keep,
        draws: int,
        distinct: Distinct = "text",
        shares: Mapping[str, float] | None = None,
    ) -> Artifact:
        """Pairs out of `draws` draws of each of the `checked` ones of `questions`."""
        steps, store = bench.steps, bench.store
        texts, ledger = checked.read(Question), "none"
        solutions: list[list[Solution]] = [[] for _ in texts]
        bench.console.heading(f"3 Select pairs ({keep}): {counted(draws, 'draw')} of each question")
        if draws:
            with bench.stage("answer") as report:
                made = steps.answer.run(
                    texts, lambda so_far: draws - len(so_far), draws, store, bench.teacher, bench.console
                )
                report.key, report.records, report.reused_records = made.key, made.count, made.reused
                report.tokens, report.new_tokens = made.tokens, made.generated_tokens
                solutions, ledger = made.solutions, f"{made.key}/{draws}"
        golds = {gold.question_id: gold for gold in read_golds(questions)}
        with bench.stage("vote") as report:
            select = Select(keep, steps.domain.answer, self.num_pairs, distinct, shares)
            pairs = select.run(checked, texts, golds, solutions, ledger, store)
            report.fill(pairs)
        tell_selected(bench.console, pairs)
        return pairs
