"""Terminal output of a run: a heading for each step, its counts, and a real example from it.

In: the events of a run, with artifacts. Out: printed lines. Computes nothing that is stored.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crescent.contamination.stage import read_hits
from crescent.core.console import Console, counted
from crescent.core.context import StageOutput
from crescent.core.events import Events, StageReport, counts_of
from crescent.core.number_format import AUTO, slow_because
from crescent.core.records import BALLOTS, Ballot, Decision, QAPair, Question
from crescent.core.stages import stage_info
from crescent.core.store import Artifact
from crescent.dedup.stage import DECISIONS
from crescent.engines.device import unusable_gpu
from crescent.engines.weights import Weights, why_it_thinks
from crescent.training.room import why_short
from crescent.training.settings import TrainSettings
from crescent.voting.calibration import Labels

log = logging.getLogger(__name__)


def tell_formats(console: Console, configured: Sequence[Weights], device: Callable[[], str]) -> None:
    """Prints the format that dtype=auto chose for each model; warns if an explicitly chosen format is slow here."""
    for weights in dict.fromkeys(one for one in configured if one.dtype != "float32"):
        where = device()  # queries torch, which a run that reuses everything does not load
        dtype = weights.on(where).dtype
        if weights.dtype == AUTO:
            console.say(f"{weights.name}: dtype=auto is {dtype} on this machine's {where}")
        elif reason := slow_because(dtype, where):
            log.warning("%s: dtype=%s is slow here (%s); dtype=auto uses float32", weights.name, dtype, reason)


def tell_unusable_gpu() -> None:
    """Warns if the machine has a GPU that torch cannot use: the run would silently take the CPU."""
    if (reason := unusable_gpu()) is not None:
        log.warning("this machine has a GPU that cannot be used: %s. This run uses the CPU.", reason)


def tell_thinking(console: Console, models: Sequence[Weights]) -> None:
    """Reports which models think before they answer, and what happens to their thoughts."""
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
                "%s: thinking_tokens=0 makes its thoughts share the answers' token limits; a response cut off inside a "
                "thought has no answer. Set it (4096 or more), or switch thinking off (if its template has the switch: "
                "chat_template_kwargs={enable_thinking: false})",
                weights.name,
            )


def tell_short_length(settings: TrainSettings, student: Weights) -> None:
    """Warns of a `train.max_length` that leaves out all but the shortest pairs: otherwise it shows after generation."""
    if (reason := why_short(settings, student)) is not None:
        log.warning("%s", reason)


def tell_recipes(console: Console, teacher: str, student: str) -> None:
    """Which recipes (conf/recipe, conf/student_recipe) the settings of this run begin from, where there are any."""
    used = {"for asking and answering": teacher, "for training and scoring": student}
    named = [f"{name} {what}" for what, name in used.items() if name != "none"]
    if named:
        console.say(f"recipe: {', '.join(named)} (recipe=none: Crescent's own defaults)")


class Narrator(Events):
    """Prints each event: a heading for each step, its counts, and a real example from it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._heading = ""

    def iteration_started(self, iteration: int, iterations: int) -> None:
        """Prints the iteration's number, if there are several."""
        self._heading = ""
        if iterations > 1:
            self._console.heading(f"iteration {iteration} of {iterations}")

    def stage_started(self, stage: str, title: str, inputs: Sequence[StageOutput], iteration: int) -> None:
        """Prints the heading; only once for stages that share it."""
        if title and title != self._heading:
            self._console.heading(title)
            self._heading = title

    def stage_finished(self, report: StageReport, made: StageOutput, inputs: Sequence[StageOutput]) -> None:
        """Prints the stage's result: in its own words, or as counts."""
        if not isinstance(made, Artifact):
            return
        told = TOLD.get(report.stage)
        if told is None:
            self._console.say(f"{stage_info(report.stage).label.lower()}: {counts_of(report)}")
        else:
            told(self._console, made)

    def labels_measured(self, labels: Labels, iteration: int) -> None:
        """If true answers are known: accuracy of single draws and of the labels, and accuracy by agreement."""
        right = f", winning answer correct {labels.labels_right:.1%}" if labels.pairs else ", no winning answer"
        known = counted(labels.known, "question")
        self._console.say(f"votes on {known} with a known true answer: first draw correct {labels.one_draw:.1%}{right}")
        if not labels.bins:
            return
        curve = ", ".join(f"{one.agreement:.0%}: {one.right:.0%} of {one.questions}" for one in labels.bins)
        self._console.say(f"labels correct, by agreement of the draws: {curve}")


def _seeds(console: Console, seeds: Artifact) -> None:
    console.say(f"{counted(seeds.records, 'seed')}{_reused(seeds)}")


def _given(console: Console, questions: Artifact) -> None:
    info = questions.info
    before = f", {info['asked_before']} of them asked before" if info["asked_before"] else ""
    console.say(f"{counted(questions.records, 'question')} of {info['of']}{before}{_reused(questions)}")


def _diversified(console: Console, questions: Artifact) -> None:
    """Prints counts, one question, and one rejection with its rewrite."""
    info = questions.info
    verdicts = f"{info['rewritten']} kept after a rewrite, {info['dropped']} dropped, {info['invalid']} invalid"
    drawn = f"{counted(info['candidates'], 'raw question')} in {counted(info['rounds'], 'round')}"
    console.say(
        f"{drawn}: {info['accepted']} kept as asked, {verdicts}{_unfinished(info, 'unfinished')}{_reused(questions)}"
    )
    reasons = ", ".join(f"{reason} ({found['count']})" for reason, found in info["thrown_away"].items())
    if reasons:
        console.say(f"not kept: {reasons}")
    console.say(
        f"diversity before and after: mean cosine to the nearest other {info['before/nearest_mean']:.2f} and "
        f"{info['after/nearest_mean']:.2f}; effective number of different questions (Vendi) "
        f"{info['before/vendi']:.1f} and {info['after/vendi']:.1f}; largest cluster "
        f"{info['before/largest_cluster']:.0%} and {info['after/largest_cluster']:.0%}"
    )
    console.example("a question the model asked", next(questions.stream(Question)).text)
    for decision in questions.stream(Decision, DECISIONS):
        if decision.verdict == "rewritten" and decision.nearest_id is not None:
            text = next(one.text for one in questions.stream(Question) if one.id == decision.question_id)
            rewrites = counted(decision.rewrites, "rewrite")
            after = f"kept instead, after {rewrites}, cosine {decision.cosine:.2f} to its neighbour:"
            body = f"rejected, too similar to a kept one:\n{decision.text}\n\n{after}\n{text}"
            console.example("a rejection and its rewrite", body)
            return


def _decontaminated(console: Console, checked: Artifact) -> None:
    """Prints how many questions resemble benchmark items, and the closest such pair."""
    info, hits = checked.info, read_hits(checked)
    console.say(
        f"contamination: {counted(info['hits'], 'question resembles', 'questions resemble')} one of {info['items']:,} "
        f"benchmark items, "
        f"{info['dropped']} of them dropped{_reused(checked)}"
    )
    if hits:
        worst = max(hits, key=lambda hit: hit.cosine)
        where = f"item {worst.item} of {worst.task}, cosine {worst.cosine:.2f}, {worst.reason}:"
        console.example("the question closest to a benchmark item", f"{worst.question}\n\n{where}\n{worst.item_text}")


def _voted(console: Console, pairs: Artifact) -> None:
    """Prints counts, and for a vote one that was not unanimous."""
    info = pairs.info
    lost = ", ".join(f"{count} {reason}" for reason, count in info["without_pair"].items()) or "none lost"
    ended = f"{_unfinished(info, 'draws_unfinished')}{_reused(pairs)}"
    pairs_made = counted(info["pairs"], "training pair")
    if "pairs_by_kind" in info:  # selected by gold answer, without a vote
        kinds = ", ".join(f"{kind} {count}" for kind, count in info["pairs_by_kind"].items())
        console.say(f"{pairs_made} ({kinds}) from {counted(info['questions'], 'question')} ({lost}){ended}")
        return
    console.say(
        f"{pairs_made} from {counted(info['questions'], 'question')} ({lost}); "
        f"{info['mean_draws']:.1f} draws each, mean agreement {info['mean_agreement']:.0%}{ended}"
    )
    for ballot in pairs.stream(Ballot, BALLOTS):
        if ballot.chosen is not None and ballot.votes < ballot.draws:
            pair = next(one for one in pairs.stream(QAPair) if one.question_id == ballot.question_id)
            votes = Counter(ballot.answers).most_common()
            counts = ", ".join(f"{answer or 'no answer'}: {count}" for answer, count in votes)
            body = f"{pair.question}\n\nvotes of {counted(ballot.draws, 'draw')}: {counts}\n\nkept:\n{pair.response}"
            console.example("a vote", body)
            return


def _contrasted(console: Console, pairs: Artifact) -> None:
    """Prints how many pairs have a losing response."""
    info = pairs.info
    console.say(
        f"{info['with_a_loser']:,} of {counted(info['pairs'], 'pair')} with a response that lost the vote, by "
        f"{info['mean_margin']:.0%} of the draws on average{_reused(pairs)}"
    )


def _selected(console: Console, pairs: Artifact) -> None:
    """Prints counts, why the others were left out, and the figures of the rule."""
    info = pairs.info
    reasons = ", ".join(f"{reason} ({found['count']:,})" for reason, found in info["thrown_away"].items())
    covered = f", which cover all questions to a mean cosine of {info['coverage']:.2f}" if "coverage" in info else ""
    first = f" (the first {info['pairs']:,}: {info['coverage_of_first']:.2f})" if covered else ""
    console.say(
        f"selected {info['pairs']:,} of {counted(info['of'], 'pair')}{covered}{first}; mean agreement "
        f"{info['mean_agreement']:.0%}{_reused(pairs)}"
    )
    if reasons:
        console.say(f"not selected: {reasons}")


def _trained(console: Console, adapter: Artifact) -> None:
    """Prints the result of training."""
    info = adapter.info
    unit, held_out = "" if "contrasted" in info else " nats/token", info.get("held_out", 0)
    console.say(
        f"{counted(info['steps'], 'step')} on {counted(info['pairs'] - info['dropped'] - held_out, 'pair')}"
        f"{f' ({held_out:,} held out)' if held_out else ''}, {counted(info['target_tokens'], 'target token')}, "
        f"final loss {info['final_loss']:.3f}{unit}{_reused(adapter)}"
    )


def _silent(console: Console, made: Artifact) -> None:
    """A no-op: the stage itself has printed its result."""


TOLD: Mapping[str, Callable[[Console, Artifact], None]] = {
    "seeds": _seeds,
    "given": _given,
    "diversify": _diversified,
    "rewrite": _silent,
    "decontaminate": _decontaminated,
    "vote": _voted,
    "contrast": _contrasted,
    "select": _selected,
    "gather": _silent,
    "finetune": _trained,
}


def _unfinished(info: Mapping[str, Any], key: str) -> str:
    """Completions that did not finish, by finish reason; artifacts of earlier versions have no such counts."""
    counts = ", ".join(f"{count} {reason}" for reason, count in info.get(key, {}).items())
    return f"; unfinished: {counts}" if counts else ""


def _reused(artifact: Artifact) -> str:
    return " (from the store)" if artifact.reused else ""
