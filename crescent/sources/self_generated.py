"""`source=crescent`: the method itself. The model asks, similar questions are sent back, it answers, the majority wins.

In: a `Bench`. Out: Questions, then QAPairs. No seed data.
"""

from dataclasses import dataclass

from crescent.core.store import Artifact, internal
from crescent.observers.narration import tell_diversified
from crescent.sources.context import Bench, answer_and_vote


@dataclass(frozen=True, slots=True)
class OwnQuestions:
    """Steps 1 to 3. `num_pairs`: the first so many are trained on, for comparisons at equal numbers; None: all."""

    name: str = "crescent"
    num_pairs: int | None = None
    elicits: bool = internal(default=True)

    @property
    def steps(self) -> tuple[str, ...]:
        """All of the method's own."""
        return ("elicit", "diversify", "answer", "vote")

    def check(self, kind: str) -> None:
        """There is no seed data."""

    def ask(self, bench: Bench) -> Artifact:
        """Elicits and diversifies, round by round."""
        steps, console = bench.steps, bench.console
        console.heading("1-2 Elicit and diversify: the model asks, questions too similar to a kept one are sent back")
        with bench.stage("diversify") as report:
            questions, elicited = steps.diversify.run(
                steps.elicit, bench.store, bench.teacher, bench.embed, bench.embedder_key, console, bench.earlier
            )
            report.fill(questions, tokens=questions.info["rewrite_tokens"], new_tokens=elicited.rewrite_tokens)
            with bench.stage("elicit", elicited.seconds) as asked:
                asked.key, asked.records, asked.reused_records = elicited.counts
                asked.tokens, asked.new_tokens = elicited.tokens, elicited.new_tokens
            report.seconds -= elicited.seconds  # rounds are elicited while diversification asks for them
        tell_diversified(console, questions)
        return questions

    def label(self, bench: Bench, questions: Artifact, checked: Artifact) -> Artifact:
        """Answers and votes."""
        return answer_and_vote(bench, checked)
