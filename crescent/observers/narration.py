"""What a run says about itself while it works: a heading for each step, a real example from it.

In: artifacts. Out: printed lines. It computes nothing that is stored.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crescent.contamination.stage import read_hits
from crescent.core.console import Console
from crescent.core.number_format import AUTO, slow_because
from crescent.core.records import Decision, Question, decode_lines
from crescent.core.store import Artifact
from crescent.dedup.stage import DECISIONS
from crescent.engines.weights import Weights, why_it_thinks
from crescent.prompting.baselines import Baseline, Plain
from crescent.voting.answer_stage import Draws
from crescent.voting.calibration import Labels
from crescent.voting.stage import read_ballots

log = logging.getLogger(__name__)


def tell_formats(console: Console, configured: Sequence[Weights], device: Callable[[], str]) -> None:
    """The number format of each model where it was left to us, and a warning where a slow one was asked for by name."""
    for weights in dict.fromkeys(one for one in configured if one.dtype != "float32"):
        where = device()  # asked of torch, which a run that reuses everything does not load
        dtype = weights.on(where).dtype
        if weights.dtype == AUTO:
            console.say(f"{weights.name}: dtype=auto is {dtype} on this machine's {where}")
        elif reason := slow_because(dtype, where):
            log.warning("%s: dtype=%s is slow here (%s); dtype=auto takes float32", weights.name, dtype, reason)


def tell_thinking(console: Console, models: Sequence[Weights]) -> None:
    """Which models think before they answer, and what is done with that."""
    for weights in dict.fromkeys(models):
        why = why_it_thinks(weights)
        if why is None:
            continue
        console.say(
            f"{weights.name} thinks before it answers ({why}): thoughts are dropped from questions, votes and scores, "
            "and kept in the ledgers"
        )
        if not weights.thinking_tokens:
            log.warning(
                "%s: thinking_tokens=0 leaves its thoughts only the limits of its answers; what ends in one has no "
                "answer. Set it (4096 or more), or switch thinking off (where its template has the switch: "
                "chat_template_kwargs={enable_thinking: false})",
                weights.name,
            )


def tell_diversified(console: Console, questions: Artifact) -> None:
    """Counts, one question, and one rejection with its rewrite."""
    info = questions.info
    verdicts = f"{info['rewritten']} kept after a rewrite, {info['dropped']} dropped, {info['invalid']} invalid"
    console.say(
        f"{info['candidates']} raw questions in {info['rounds']} rounds: {info['accepted']} kept as asked, "
        f"{verdicts}{_unfinished(info, 'unfinished')}{_reused(questions)}"
    )
    reasons = ", ".join(f"{reason} {found['count']}" for reason, found in info["thrown_away"].items())
    if reasons:
        console.say(f"not kept: {reasons}")
    console.say(
        f"diversity, as asked and as kept: mean cosine to the nearest other {info['before/nearest_mean']:.2f} and "
        f"{info['after/nearest_mean']:.2f}; effective number of different questions (Vendi) "
        f"{info['before/vendi']:.1f} and {info['after/vendi']:.1f}; largest cluster "
        f"{info['before/largest_cluster']:.0%} and {info['after/largest_cluster']:.0%}"
    )
    kept = questions.read(Question)
    console.example("a question the model asked", kept[0].text)
    with open(questions.path / DECISIONS, encoding="utf-8") as lines:
        decisions = list(decode_lines(Decision, lines))
    texts = {question.id: question.text for question in kept}
    for decision in decisions:
        if decision.verdict == "rewritten" and decision.nearest_id is not None:
            after = (
                f"kept instead, after {decision.rewrites} rewrite(s), cosine {decision.cosine:.2f} to its neighbour:"
            )
            body = f"rejected, too similar to a kept one:\n{decision.text}\n\n{after}\n{texts[decision.question_id]}"
            console.example("a rejection and its rewrite", body)
            return


def tell_contamination(console: Console, checked: Artifact) -> None:
    """How many questions resemble benchmark items, and the closest such pair."""
    if "hits" not in checked.info:
        return
    info, hits = checked.info, read_hits(checked)
    console.say(
        f"contamination: {info['hits']} questions resemble one of {info['items']:,} benchmark items, "
        f"{info['dropped']} of them dropped{_reused(checked)}"
    )
    if hits:
        worst = max(hits, key=lambda hit: hit.cosine)
        where = f"item {worst.item} of {worst.task}, cosine {worst.cosine:.2f}, {worst.reason}:"
        console.example("the closest to a benchmark", f"{worst.question}\n\n{where}\n{worst.item_text}")


def tell_voted(console: Console, pairs: Artifact, questions: Sequence[Question], draws: Draws) -> None:
    """Counts, and one vote that was not unanimous."""
    info = pairs.info
    lost = ", ".join(f"{count} {reason}" for reason, count in info["without_pair"].items()) or "none lost"
    console.say(
        f"{info['pairs']} training pairs from {info['questions']} questions ({lost}); "
        f"{info['mean_draws']:.1f} draws each, mean agreement {info['mean_agreement']:.0%}"
        f"{_unfinished(info, 'draws_unfinished')}{_reused(pairs)}"
    )
    ballots = read_ballots(pairs)
    shown = next((index for index, one in enumerate(ballots) if one.answer and one.votes < one.draws), None)
    if shown is None:
        return
    ballot = ballots[shown]
    votes = ", ".join(f"{answer or 'no answer'}: {count}" for answer, count in Counter(ballot.answers).most_common())
    chosen = draws.solutions[shown][ballot.chosen or 0].text.strip()
    console.example("a vote", f"{questions[shown].text}\n\nvotes of {ballot.draws} draws: {votes}\n\nkept:\n{chosen}")


def tell_selected(console: Console, pairs: Artifact) -> None:
    """Counts of pairs that were selected without a vote."""
    info = pairs.info
    lost = ", ".join(f"{count} {reason}" for reason, count in info["without_pair"].items()) or "none lost"
    kinds = ", ".join(f"{kind} {count}" for kind, count in info["pairs_by_kind"].items())
    console.say(
        f"{info['pairs']} training pairs ({kinds}) from {info['questions']} questions ({lost})"
        f"{_unfinished(info, 'draws_unfinished')}{_reused(pairs)}"
    )


def tell_labels(console: Console, labels: Labels) -> None:
    """Where the truth is known: how right one draw is, how right the labels are, and whether agreement tells."""
    console.say(
        f"of {labels.known} questions whose true answer is known: first draw right {labels.one_draw:.1%}, "
        f"training label right {labels.labels_right:.1%}"
    )
    curve = ", ".join(f"{one.agreement:.0%}: {one.right:.0%} of {one.questions}" for one in labels.bins)
    console.say(f"agreement of the draws, and how many of those labels are right: {curve}")


def tell_trained(console: Console, adapter: Artifact) -> None:
    """What training came to."""
    info = adapter.info
    console.say(
        f"{info['steps']} steps on {info['pairs'] - info['dropped']} pairs, {info['target_tokens']:,} target tokens, "
        f"final loss {info['final_loss']:.3f} nats/token{_reused(adapter)}"
    )


def tell_scoring(console: Console, role: str, name: str, prompting: Plain | Baseline, left_out: Sequence[str]) -> None:
    """Who is scored, how it is asked, and what is not asked in that way."""
    how = "" if isinstance(prompting, Plain) else f", prompting={prompting.name}"
    without = f" (without {', '.join(left_out)}: no answer to prompt for)" if left_out else ""
    console.say(f"{role}: {name}{how}{without}")


def _unfinished(info: Mapping[str, Any], key: str) -> str:
    """Completions that did not end by themselves, by their finish reason; artifacts of earlier versions count none."""
    counts = ", ".join(f"{count} {reason}" for reason, count in info.get(key, {}).items())
    return f"; did not end by themselves: {counts}" if counts else ""


def _reused(artifact: Artifact) -> str:
    return " (from the store)" if artifact.reused else ""
