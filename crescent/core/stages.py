"""The stages in the order of the method, with their names for people and other tools.

`stage_info` maps a stage's name (`Stage.NAME`) to its `StageInfo`. An unlisted stage gets one made from its name, so a
new stage is reported, planned and forecast without an entry here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageInfo:
    """`label` is the stage's default title, `unit` the unit of its records, `shared` what several runs have in common
    when they share it (singular, plural; None: not mentioned), `yields` its artifact's name in summary.json.
    """

    name: str
    label: str
    unit: str
    shared: tuple[str, str] | None = None
    yields: str | None = None


STAGES = (
    StageInfo("seeds", "Seeds", "questions", None, "questions"),
    StageInfo("given", "Given questions", "questions", None, "questions"),
    StageInfo("elicit", "Elicit", "raw questions", ("stream of questions", "streams of questions")),
    StageInfo("diversify", "Diversify", "questions", ("pool", "pools"), "questions"),
    StageInfo("rewrite", "Rewrite", "questions", ("set of rewritten questions", "sets of rewritten questions"),
              "questions"),
    StageInfo("verify", "Verify", "questions", ("set of verdicts", "sets of verdicts")),
    StageInfo("decontaminate", "Decontaminate", "questions"),
    StageInfo("answer", "Answer", "draws", ("ledger of draws", "ledgers of draws")),
    StageInfo("vote", "Vote", "pairs", None, "pairs"),
    StageInfo("contrast", "Contrast", "pairs", None, "pairs"),
    StageInfo("select", "Select", "pairs", ("selection of pairs", "selections of pairs"), "pairs"),
    StageInfo("gather", "Gather", "pairs", None, "pairs"),
    StageInfo("finetune", "Finetune", "steps", ("training", "trainings"), "adapter"),
    StageInfo("evaluate", "Evaluate", "items"),
)  # fmt: skip


def stage_info(name: str) -> StageInfo:
    """The entry of a stage. An unlisted stage counts records and is mentioned when runs share it."""
    listed = {info.name: info for info in STAGES}
    return listed.get(name) or StageInfo(name, name.capitalize(), "records", (f"{name} artifact", f"{name} artifacts"))


def in_order(names: list[str]) -> list[str]:
    """Stage names without duplicates: listed stages in the order of the method, others after the stage they follow."""
    ranks = {info.name: rank for rank, info in enumerate(STAGES)}
    found, last = dict[str, float](), -1.0
    for name in names:
        last = found.setdefault(name, ranks.get(name, last + 0.01))
    return sorted(found, key=lambda name: found[name])
