"""The card of an exported student: base, method, data, and scores with intervals as a `model-index`.

In: a `FinishedRun`. Out: Markdown with YAML front matter that `huggingface_hub.ModelCard` reads.
"""

from typing import Any

from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.exporting import facts
from crescent.exporting.finished import FinishedRun
from crescent.reporting.analyse.results import Options, compare
from crescent.reporting.analyse.rows import Cell, Column, Row


def model_card(run: FinishedRun, licence: str | None, is_adapter: bool, gguf: str | None) -> str:
    """The card's text."""
    from huggingface_hub import ModelCardData

    base, name = run.base(), f"{run.base().name}-crescent"
    found, rows = facts.hub_id(base), scored(run)
    front = ModelCardData(
        license=licence,
        base_model=found,
        library_name="peft" if is_adapter else "gguf" if gguf else "transformers",
        pipeline_tag="text-generation",
        tags=["crescent", "self-improvement", str(run.run.settings.get("domain.name"))],
        model_name=name,
        eval_results=[_result(run, column, cell) for column, cell in rows] or None,
    )
    kind = "the adapter" if is_adapter else f"GGUF, {gguf}" if gguf else "the adapter merged into its base"
    return "\n".join(
        [
            "---", front.to_yaml(), "---", "", f"# {name}", "", _about(run, kind), "",
            "## Scores", "", *_score_lines(run, rows), "",
            "## How it was made", "", *facts.made_with(run), "",
            "## Data", "", *facts.counts(run), "", *filter(None, [facts.labels(run)]), "", facts.contamination(run), "",
            *facts.settings_block(run), "",
        ]
    )  # fmt: skip


def scored(run: FinishedRun) -> list[tuple[Column, Cell]]:
    """The student's scores on whole tasks, with intervals; empty if nothing was scored."""
    row = _row(run, "student")
    return list(row.cells.items()) if row else []


def _row(run: FinishedRun, role: str) -> Row | None:
    if not run.run.scores:
        return None
    try:
        rows = compare([run.run], Options(), Console(quiet=True)).rows
    except UserError:  # nothing to compare with, or no primary score
        return None
    return next((row for row in rows if row.role == role and row.prompting == "none" and row.cells), None)


def _result(run: FinishedRun, column: Column, cell: Cell) -> Any:
    from huggingface_hub import EvalResult

    score = cell.score
    primary = next(
        one for one in run.run.scores
        if one.primary and (one.model, one.task, one.shots) == ("student", column.task, column.shots)
    )  # fmt: skip
    return EvalResult(
        task_type="text-generation",
        dataset_type=column.task,
        dataset_name=f"{column.task}, {column.shots}-shot",
        metric_type=primary.metric,
        metric_name=f"{primary.metric} ({primary.filter})",
        metric_value=round(score.value, 4),
        dataset_config=f"{column.shots}-shot",  # part of a result's identity, as the name is not
        dataset_args={"num_few_shot": column.shots, "items": score.questions},
        metric_args={
            "confidence_interval_95": [round(score.low, 4), round(score.high, 4)],
            "stderr": round(score.stderr, 4),
        },
        source_name=f"lm-evaluation-harness {run.run.versions.get('lm-eval', '')}".strip(),
        source_url="https://github.com/EleutherAI/lm-evaluation-harness",
    )


def _score_lines(run: FinishedRun, rows: list[tuple[Column, Cell]]) -> list[str]:
    if not rows:
        return ["The run scored nothing (`eval=none`, or it did not get that far)."]
    base = _row(run, "base")
    lines = ["| task | shots | items | before, % | after, % | difference |", "|---|---|---|---|---|---|"]
    for column, cell in rows:
        before = base.cells.get(column) if base else None
        change = cell.difference
        told = f"{100 * change.value:+.1f} ({100 * change.low:+.1f} to {100 * change.high:+.1f})" if change else ""
        values = (column.task, column.shots, cell.score.questions, _percent(before), _percent(cell), told)
        lines.append(f"| {' | '.join(map(str, values))} |")
    return [*lines, "", "In brackets 95 % intervals; differences are paired question by question."]


def _percent(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{100 * cell.score.value:.1f} ({100 * cell.score.low:.1f} to {100 * cell.score.high:.1f})"


def _about(run: FinishedRun, kind: str) -> str:
    base, teacher = run.base(), run.teacher()
    who = "itself" if base == teacher else facts.named(teacher)
    how = (
        f"on pairs that {who} wrote: questions without seed data, each answered several times, the most frequent "
        f"answer kept ({facts.PAPER})"
        if facts.writes_questions(run)
        else f"on pairs of `source={run.run.settings.get('source.name')}`"
    )
    return f"{facts.named(base)}, fine-tuned with Crescent {how}. This is {kind}."
