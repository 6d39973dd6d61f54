"""Exports a run's pairs: a folder with a data file, a card, and what a training tool needs to read them.

In: a `FinishedRun`, a format. Out: a folder that `datasets.load_dataset` reads.
"""

from pathlib import Path
from typing import Any

from crescent.core.console import counted
from crescent.exporting import facts
from crescent.exporting.finished import FinishedRun
from crescent.exporting.formats import FORMATS
from crescent.exporting.writing import new_folder

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def export_data(run: FinishedRun, destination: Path, form: str, licence: str | None) -> int:
    """Writes the pairs as `form`, completely or not at all; returns the number of rows. Raises UserError if the run has
    no pairs, or no preferences."""
    chosen, pairs = FORMATS[form], run.pairs()
    with new_folder(destination) as work:
        name, count = chosen.write(run, pairs, work)
        (work / "README.md").write_text(_card(run, form, name, count, licence), encoding="utf-8")
    return count


def _card(run: FinishedRun, form: str, data_file: str, count: int, licence: str | None) -> str:
    from huggingface_hub import DatasetCardData

    chosen = FORMATS[form]
    domain, teacher = str(run.run.settings.get("domain.name")), run.teacher()
    title = f"{run.run.experiment}: {domain} pairs of {teacher.name}"
    source: dict[str, Any] = {"source_datasets": ["original"]} if facts.writes_questions(run) else {}
    front = DatasetCardData(
        license=licence,
        pretty_name=title,
        task_categories=["text-generation"],
        size_categories=[next((name for limit, name in SIZES if count < limit), "n>1M")],
        annotations_creators=["machine-generated"],
        tags=["crescent", "synthetic", domain, *(["preference"] if form == "preference" else [])],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": data_file}]}],
        **source,
    )
    language = "yaml" if chosen.usage.startswith("#") else "python"
    return "\n".join(
        [
            "---", front.to_yaml(), "---", "", f"# {title}", "", _about(run, count, form), "",
            f"```{language}", chosen.usage.format(folder="THIS_FOLDER"), "```", "",
            "## Fields", "", "| field | content |", "|---|---|",
            *(f"| `{name}` | {content} |" for name, content in chosen.fields.items()), "",
            "## How it was made", "", *facts.made_with(run), "",
            "## Counts", "", *facts.counts(run), "", *filter(None, [facts.labels(run)]), "",
            "## Contamination", "", facts.contamination(run), "",
            *facts.settings_block(run), "",
        ]
    )  # fmt: skip


def _about(run: FinishedRun, count: int, form: str) -> str:
    teacher = facts.named(run.teacher())
    what = counted(count, "preference" if form == "preference" else "question-and-answer pair")
    if facts.writes_questions(run):
        return (
            f"{what}. {teacher} wrote the questions without seed data, answered each several times, and the most "
            f"frequent answer won ({facts.PAPER}). No person and no other model has checked them: some "
            "answers are wrong."
        )
    if run.run.settings.get("source.name") == "pairs":
        return f"{what} from data that were given to a run of Crescent (`source=pairs`). The terms of those data apply."
    return (
        f"{what} that Crescent made with `source={run.run.settings.get('source.name')}` and {teacher} from data given "
        "to it. The terms of those data apply as well as the licence of this card."
    )
