"""CONTRIBUTING.md: each "How do I add ...?" is followed here, with its files, its settings and its command."""

import json
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from docs_blocks import commands, page, run, write_blocks
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from crescent.config.resolvers import PACKAGE, assets, register_resolvers
from crescent.config.typed import ConfigError, build_target
from crescent.core.store import canonical
from crescent.dedup import Candidate, Dedup, Tools
from crescent.evaluation.harness import check
from crescent.experiment import Experiment

CONTRIBUTING = page("CONTRIBUTING.md")
FILES = (
    "my_dedup.py", "mine/dedup/same_opening.yaml", "mine/model/my_llama.yaml", "mine/distill/my_llama.yaml",
    "mine/tasks/doubling.yaml", "mine/tasks/doubling.jsonl", "mine/eval/doubling.yaml",
)  # fmt: skip


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page, as the working folder and on the path."""
    write_blocks(CONTRIBUTING, tmp_path, *FILES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_dedup", raising=False)
    return tmp_path


def unused(_texts: object) -> NoReturn:
    raise AssertionError("the strategy compares words only")


def experiment(mine: Path, *overrides: str) -> Experiment:
    """What `crescent --config-dir mine OVERRIDES` composes."""
    register_resolvers()
    with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
        config = compose("config", [f"hydra.searchpath=[file://{mine}/mine]", *overrides])
    node = OmegaConf.to_container(config, resolve=True)
    assert isinstance(node, dict)
    node.pop("tracking")
    return Experiment.from_node({str(key): value for key, value in node.items()})


def test_a_dedup_strategy_drops_what_begins_like_an_earlier_question(mine: Path) -> None:
    strategy: Dedup = experiment(mine, "dedup=same_opening", "dedup.words=2").dedup
    judge = strategy.open(Tools(embed=unused, rewrite=unused))
    texts = ["Tom has 3 apples.", "tom HAS 5 pears.", "Ann has 3 apples."]
    judged = judge.judge([Candidate(text, text, 0, place) for place, text in enumerate(texts)])
    assert [one.question is not None for one in judged] == [True, False, True]
    assert judged[1].decision.nearest_id == judged[0].kept.id and judged[1].decision.reason == "same opening"
    reopened = strategy.open(Tools(embed=unused, rewrite=unused))
    reopened.remember([judged[0].kept])
    assert reopened.judge([Candidate(texts[1], texts[1], 1)])[0].question is None
    assert canonical(strategy)["class"] == "my_dedup.SameOpening"
    with pytest.raises(ConfigError, match=r"dedup\.words is 0; it must be at least 1"):
        build_target({"_target_": "my_dedup.SameOpening", "words": 0}, "dedup")


def test_a_model_is_a_teacher_and_a_student_by_its_name(mine: Path) -> None:
    teaching, taught = experiment(mine, "model=my_llama"), experiment(mine, "distill=my_llama")
    assert teaching.model == taught.distill.student
    assert (teaching.model.name, teaching.model.path) == ("my_llama", "models/my_llama")


def test_a_task_is_found_with_its_items_by_the_name_of_its_suite(mine: Path) -> None:
    settings = experiment(mine, "eval=doubling").eval
    check(settings)
    assert settings.tasks == ("doubling",) and settings.name == "doubling"
    (mine / "mine" / "tasks" / "doubling.jsonl").unlink()
    with pytest.raises(ValueError, match=r"doubling\.jsonl"):
        check(settings)


@pytest.mark.slow
def test_everything_works_in_one_run(mine: Path) -> None:
    write_blocks(page("docs/architecture.md"), mine, "mine/vote/unanimous.yaml")
    architecture = page("docs/architecture.md")
    rule = next(one for one in architecture.split("```python\n") if "class Unanimous" in one.split("```")[0])
    (mine / "my_rules.py").write_text(rule.split("```")[0], encoding="utf-8")
    shutil.copytree(PACKAGE / "organism" / "weights" / "organism", mine / "models" / "my_llama")
    [command] = commands(CONTRIBUTING)
    run(command, mine)
    summary = json.loads((mine / "outputs" / "latest" / "summary.json").read_text(encoding="utf-8"))
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    assert 0 < stages["vote"]["records"] <= stages["diversify"]["records"] <= 40
    assert {score["task"] for score in summary["scores"]} == {"doubling"}
