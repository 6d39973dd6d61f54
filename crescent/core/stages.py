"""The stages in the order of the method, with what people and other tools call them.

In: the name of a stage (`Stage.NAME`). Out: its `StageInfo`. A stage that is not listed gets one made of its name, so
that a new stage is reported, planned and forecast without being entered here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageInfo:
    """`label` titles the stage where it has no title of its own, `unit` counts its records, `shared` is what several
    runs have in common where they share it (singular, plural; empty: not mentioned), `yields` is the name of its
    artifact in summary.json."""

    name: str
    label: str
    unit: str
    shared: tuple[str, str] | None = None
    yields: str | None = None


STAGES = (
    StageInfo("seeds", "Seeds", "questions", None, "questions"),
    StageInfo("elicit", "Elicit", "raw questions", ("stream of questions", "streams of questions")),
    StageInfo("diversify", "Diversify", "questions", ("pool", "pools"), "questions"),
    StageInfo("rewrite", "Rewrite", "questions", ("set of rewritten questions", "sets of rewritten questions"),
              "questions"),
    StageInfo("verify", "Verify", "questions", ("set of verdicts", "sets of verdicts")),
    StageInfo("decontaminate", "Decontaminate", "questions"),
    StageInfo("answer", "Answer", "draws", ("ledger of draws", "ledgers of draws")),
    StageInfo("vote", "Vote", "pairs", None, "pairs"),
    StageInfo("gather", "Gather", "pairs", None, "pairs"),
    StageInfo("finetune", "Finetune", "steps", ("training", "trainings"), "adapter"),
    StageInfo("evaluate", "Evaluate", "items"),
)  # fmt: skip


def stage_info(name: str) -> StageInfo:
    """What is known of a stage. One that is not listed counts records and is mentioned where runs share it."""
    listed = {info.name: info for info in STAGES}
    return listed.get(name) or StageInfo(name, name.capitalize(), "records", (f"{name} artifact", f"{name} artifacts"))


def in_order(names: list[str]) -> list[str]:
    """Names of stages without repetition: listed ones in the order of the method, others behind the stage they
    follow."""
    ranks = {info.name: rank for rank, info in enumerate(STAGES)}
    found, last = dict[str, float](), -1.0
    for name in names:
        last = found.setdefault(name, ranks.get(name, last + 0.01))
    return sorted(found, key=lambda name: found[name])
