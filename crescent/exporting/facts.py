"""What the cards of data and models say about a run: its models, settings, counts, contamination, licence.

In: a `FinishedRun`. Out: Markdown lines and values for front matter. Settings that are paths of this machine are
shortened to their last part: a card is published.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from crescent.core.stages import stage_info
from crescent.engines.model_files import folder_if_here, gguf_path
from crescent.engines.weights import Weights
from crescent.exporting.finished import FinishedRun

PAPER = "[The Self-Improvement Paradox](https://arxiv.org/abs/2502.13441)"
OF_THE_MACHINE = {"tracking", "check", "store", "runtime", "hydra"}
"""Nodes of the configuration that cannot change a result."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def hub_id(weights: Weights) -> str | None:
    """The model's id on the hub; None if it was read from this machine."""
    return None if weights.is_local or not _HUB_ID.fullmatch(weights.path) else weights.path


def named(weights: Weights) -> str:
    """The model for readers: a link to the hub, or its name."""
    found = hub_id(weights)
    return f"[{found}](https://huggingface.co/{found})" if found else f"`{weights.name}`"


def licence_of(weights: Weights) -> str | None:
    """The licence that a model's own files state: the card in its folder, or a GGUF file's metadata."""
    if weights.is_gguf:
        return _licence_in_gguf(gguf_path(weights)) if weights.is_local else None
    folder = folder_if_here(weights)
    if folder is None:
        return None
    if folder.resolve().is_relative_to(Path(__file__).parents[1]):
        return "apache-2.0"  # the organism comes with Crescent
    card = folder / "README.md"
    front = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8"), re.DOTALL) if card.exists() else None
    try:
        found = yaml.safe_load(front[1]).get("license") if front else None
    except (yaml.YAMLError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _licence_in_gguf(file: Path) -> str | None:
    """`general.license`, a string: key, type 8, 8 bytes of length, the value."""
    with open(file, "rb") as handle:
        head = handle.read(1 << 20)
    found = re.search(rb"general\.license\x08\x00\x00\x00(.{8})", head, re.DOTALL)
    if found is None:
        return None
    length = int.from_bytes(found[1], "little")
    return head[found.end() : found.end() + length].decode("utf-8", "replace")


def made_with(run: FinishedRun) -> list[str]:
    """Table: the choices and versions that made the run."""
    settings, teacher, base = run.run.settings, run.teacher(), run.base()
    revision = f", revision {teacher.revision}" if teacher.revision else ""
    rows = [("teacher", f"{named(teacher)}{revision}")]
    if base != teacher:
        rows.append(("student", named(base)))
    own = ("elicit", "dedup") if writes_questions(run) else ()
    for group in ("domain", "source", *own, "verify", *(("vote",) if run.was_voted else ()), "train"):
        if name := settings.get(f"{group}.name"):
            draws = settings.get("vote.draws") if group == "vote" else None
            rows.append((group, f"`{name}`" + (f", {draws} draws" if draws else "")))
    rows += [("seed", str(run.run.seed)), ("iterations", str(run.run.asked_iterations))]
    rows.append(("commit of Crescent", run.run.git or "unknown (installed from a wheel)"))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in run.run.versions.items())))
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def writes_questions(run: FinishedRun) -> bool:
    """True if the teacher wrote the questions itself, without data."""
    return run.run.settings.get("source.name", "crescent") == "crescent"


def counts(run: FinishedRun) -> list[str]:
    """Table: what each stage made, in the run's order."""
    lines = ["| stage | iteration | records | counts |", "|---|---|---|---|"]
    for report in run.run.stages:
        if report["stage"] == "evaluate":
            continue
        info, whole = stage_info(report["stage"]), dict(_counters(report["info"]))
        told = ", ".join(f"{name} {value}" for name, value in whole.items())
        lines.append(f"| {info.label} | {report['iteration']} | {report['records']} {info.unit} | {told} |")
    return lines


def _counters(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in info.items():
        if "/" not in name and (type(value) is int or name == "mean_agreement"):
            yield name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
        elif isinstance(value, Mapping) and value and name in ("without_pair", "pairs_by_kind"):
            yield name.replace("_", " "), "(" + ", ".join(f"{key}: {count}" for key, count in value.items()) + ")"


def contamination(run: FinishedRun) -> str:
    """What the check against the benchmarks found."""
    reports = [report for report in run.run.stages if report["stage"] == "decontaminate"]
    if not reports:
        return (
            "The questions were not compared with any benchmark (`contamination=off`, or no benchmark was scored). "
            "Check them before you train on them and report a score."
        )
    items = max(report["info"].get("items", 0) for report in reports)
    hits = sum(report["info"].get("hits", 0) for report in reports)
    dropped = sum(report["info"].get("dropped", 0) for report in reports)
    tasks = ", ".join(f"`{task}`" for task in run.run.settings.get("eval.tasks") or ())
    rule = run.run.settings
    return (
        f"The questions were compared with {items:,} items of {tasks}: {hits} of them resemble an item (cosine of "
        f"embeddings at least {rule.get('contamination.min_cosine')}, or {rule.get('contamination.run_words')} equal "
        f"words in a row); {dropped} were dropped. Other benchmarks were not checked."
    )


def labels(run: FinishedRun) -> str | None:
    """How many labels are right, where an oracle knows."""
    if not run.run.labels:
        return None
    last = run.run.labels[-1]
    return (
        f"Of {last['pairs']} answers whose true value is known, {100 * last['labels_right']:.1f} % are right. Nothing "
        "was trained or selected on that."
    )


def settings_block(run: FinishedRun) -> list[str]:
    """The whole configuration, folded."""
    kept = {name: _public(value) for name, value in run.config.items() if name not in OF_THE_MACHINE}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=110).rstrip()
    return ["<details><summary>All settings</summary>", "", "```yaml", text, "```", "", "</details>"]


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _public(one) for key, one in value.items() if key != "urls"}  # of servers, for generation
    if isinstance(value, list):
        return [_public(one) for one in value]
    is_path = isinstance(value, str) and value.startswith(("/", "~", ".")) and "\n" not in value and "/" in value
    return Path(value).name if is_path else value
