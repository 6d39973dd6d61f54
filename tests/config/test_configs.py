"""Every YAML composes into a typed experiment; every mistake is named by its key."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from configured import ROOT, composed, experiment

from crescent.config import composing
from crescent.config.resolvers import PACKAGE
from crescent.config.typed import ConfigError
from crescent.experiment import Job
from crescent.sweeps.wandb_files import wandb_sweep

CHOICES = [f"{f.parent.name}={f.stem}" for f in sorted((ROOT / "conf").glob("*/*.yaml"))]
MANDATORY = {
    "model=hf": ["model.path=x"],
    "distill=hf": ["distill.student.path=x"],
    "source=questions": ["source.data=x"],
    "source=pairs": ["source.data=x"],
}
SWEEPS = sorted(f.stem for f in (ROOT / "sweeps").glob("*.yaml"))
OVERLAYS = [
    f"+{f.parent.relative_to(ROOT)}={f.stem}"
    for f in sorted([*(ROOT / "experiments").rglob("*.yaml"), *(ROOT / "sweeps").glob("*.yaml")])
]


@pytest.mark.parametrize("choice", [*CHOICES, *OVERLAYS])
def test_every_choice_and_every_overlay_composes(choice: str) -> None:
    made = experiment(choice, *MANDATORY.get(choice, ()))
    group, _, name = choice.lstrip("+").partition("=")
    if group.partition("/")[0] not in ("experiments", "sweeps", "tracking", "recipe", "student_recipe"):
        assert (group == "model" and name == "hf") or getattr(made, group).name == name


@pytest.mark.parametrize("model", sorted(f.stem for f in (ROOT / "conf" / "model").glob("*.yaml")))
def test_every_model_can_be_a_student(model: str) -> None:
    choice = f"distill={model}"
    made, teacher = experiment(choice, *MANDATORY.get(choice, ())), f"model={model}"
    assert made.distill.student == experiment(teacher, *MANDATORY.get(teacher, ())).model


@pytest.mark.parametrize("choice", sorted(f.stem for f in (ROOT / "conf" / "train" / "batching").glob("*.yaml")))
@pytest.mark.parametrize("train", sorted(f.stem for f in (ROOT / "conf" / "train").glob("*.yaml")))
def test_every_layout_composes_with_every_way_to_train(train: str, choice: str) -> None:
    made = experiment(f"train={train}", f"train/batching={choice}").train
    assert made.name == train and made.batching.name == choice


def parameters_of(sweep: str) -> dict[str, list[str]]:
    """The overrides of a multirun preset, each with its values."""
    node = yaml.safe_load((ROOT / "sweeps" / f"{sweep}.yaml").read_text())
    return {key: str(values).split(",") for key, values in node["hydra"]["sweeper"]["params"].items()}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_value_of_a_sweep_composes(sweep: str) -> None:
    parameters = parameters_of(sweep)
    for place in range(max(map(len, parameters.values()))):
        point = [f"{key}={values[place % len(values)]}" for key, values in parameters.items()]
        assert experiment(f"+sweeps={sweep}", *point).name == sweep


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_wandb_sweep_is_what_the_generator_writes_and_has_the_values_of_the_preset(sweep: str) -> None:
    text = (ROOT / "sweeps" / "wandb" / f"{sweep}.yaml").read_text()
    assert text == wandb_sweep(sweep)
    node = yaml.safe_load(text)
    assert node["command"] == ["crescent", f"+sweeps={sweep}", "${args_no_hyphens}"]
    assert {key: list(map(str, values["values"])) for key, values in node["parameters"].items()} == parameters_of(sweep)


def test_the_folders_hold_no_yaml_that_is_no_choice() -> None:
    assert {f.name for f in (ROOT / "conf").glob("*.yaml")} == {"config.yaml"}


MISTAKES = [
    ("vote.draws=0", "vote.draws is 0"),
    ("vote.draws=three", "vote.draws is 'three'; it must be a whole number"),
    ("vote.draws=1.5", "vote.draws is 1.5; it must be a whole number"),
    ("vote.tie=coin", "vote.tie is 'coin'; it may be"),
    ("dedup.min_cosine=1.5", "dedup.min_cosine is 1.5"),
    ("dedup.max_rewrites=0", "dedup.max_rewrites is 0"),
    ("+dedup.min_cosin=0.9", "dedup.min_cosin is not a setting. Did you mean min_cosine"),
    ("dedup._target_=crescent.dedup.Nothing", "dedup._target_ is 'crescent.dedup.Nothing'"),
    ("domain.bait=''", "domain.bait is empty"),
    ("domain.answer=colour", "domain.answer is 'colour'; it may be number"),
    ("domain.solve=go", "domain.solve does not contain {question}"),
    ("num_questions=0", "num_questions is 0"),
    ("seed=-1", "seed is -1"),
    ("iterations=0", "iterations is 0"),
    ("iterate.start=first", "iterate.start is 'first'; it may be base, last"),
    ("iterate.min_valid=70", "iterate.min_valid is 70"),
    ("source.num_pairs=0", "source.num_pairs is 0"),
    ("elicit.top_p=0", "elicit.top_p is 0"),
    ("answer.temperature=-1", "answer.temperature is -1"),
    ("elicit.top_k=-1", "elicit.top_k is -1; it must be 0 (all tokens) or more"),
    ("answer.min_p=1.1", "answer.min_p is 1.1; it must be from 0"),
    ("answer.repetition_penalty=0", "answer.repetition_penalty is 0"),
    ("eval.top_k=-1", "eval.top_k is -1"),
    ("engine.device=tpu", "engine.device is 'tpu'"),
    ("model.dtype=int3", "model.dtype is 'int3'"),
    ("train.learning_rate=0", "train.learning_rate is 0"),
    ("train.learning_rate=fast", "train.learning_rate is 'fast'; it must be a number, or auto"),
    ("embedder.batch_size=0", "embedder.batch_size is 0"),
    ("vote._target_=pathlib.Path", "vote._target_ is 'pathlib.Path'; it must be a dataclass"),
    ("train.method.rank=0", "train.method.rank is 0"),
    ("train.strategy=dpp", "train.strategy is 'dpp'; it may be ddp, fsdp"),
    ("train.kernels=fast", "train.kernels is 'fast'; it may be none, liger"),
    ("train.batching.pool_batches=0", "train.batching.pool_batches is 0"),
    ("eval.limit=0", "eval.limit is 0"),
    ("eval.shots=5", "eval.shots is 5; it must be a list"),
    ("tracking.mode=sometimes", "tracking.mode is 'sometimes'; it may be auto"),
    ("seed=99999999999999999999", "seed is 99999999999999999999; a seed is a whole number from 0 to 4294967295"),
    ("eval.seed=4294967296", "eval.seed is 4294967296; a seed is a whole number from 0 to 4294967295"),
    ("train.seed=-1", "train.seed is -1; it must be a whole number from 0 to 4294967295"),
    ("elicit.samples_per_round=1000000000000", "elicit.samples_per_round is 1000000000000; it may be up to 1,000,000"),
    ("vote.draws=1000000000000", "vote.draws is 1000000000000; it may be up to 10,000"),
    ("train.devices=1000000", "train.devices is 1000000; it must be up to 1024"),
    (
        "train.method.rank=1000000000000000000",
        "train.method.rank is 1000000000000000000; it must be a whole number from",
    ),
    ("train.method.alpha=inf", "train.method.alpha is inf; it must be a finite number"),
    ("store=", "store is empty; give it a value, or leave store= out"),
    ("store='  '", "store is empty; give it a value"),
    ("eval.data=", "eval.data is empty; give it a value or null, or leave eval.data= out"),
    ("eval.task_folders=['']", "eval.task_folders[0] is empty; give it a value or leave it out"),
    ("domain.solve_stop=['']", "domain.solve_stop[0] is empty; give it a value or leave it out"),
]


def leaves(node: dict[str, Any], *path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, *path, key)
        else:
            yield ".".join([*path, key]), value


def with_leaf(node: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**node, first: with_leaf(node[first], rest, value) if rest else value}


@pytest.mark.parametrize(("kind", "value"), [(str, ""), (int, 10**400), (float, float("nan"))])
def test_no_setting_takes_what_stands_for_no_text_or_number(kind: type, value: Any) -> None:
    node = composed("source=seed_gold", "vote=adaptive")
    unread = {"seed_data", "train.batching.name"}  # what other nodes refer to, and a label of the group
    for path in (path for path, there in leaves(node) if type(there) is kind and path not in unread):
        with pytest.raises(ConfigError) as error:
            Job.from_node(with_leaf(node, path, value))
        assert path.rpartition(".")[2] in str(error.value)


def test_an_environment_variable_set_to_nothing_is_as_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRESCENT_STORE", "")
    monkeypatch.setenv("CRESCENT_BENCHMARKS", "")
    made = experiment("eval=math")
    assert made.store == "outputs/store" and made.eval.data is None


@pytest.mark.parametrize(("override", "message"), MISTAKES)
def test_a_mistake_is_named_by_its_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        experiment(override)
    assert message in str(error.value) and len(str(error.value)) < 300


def test_iterations_need_a_student_that_asks() -> None:
    with pytest.raises(ConfigError, match="distill=self"):
        experiment("iterations=2", "distill=organism_small")


def test_iterations_need_an_engine_that_can_load_the_student() -> None:
    with pytest.raises(ConfigError, match=r"engine=server cannot load\. Choose engine=transformers or engine=vllm"):
        experiment("iterations=2", "engine=server")
    assert experiment("iterations=2", "engine=vllm").iterations == 2


def test_a_mandatory_value_that_is_missing_is_named() -> None:
    with pytest.raises(Exception, match=r"path"):
        experiment("model=hf")


def test_the_seed_reaches_every_draw_and_the_training() -> None:
    made = experiment("seed=7")
    stages = made.stages()
    assert {stages.elicit.sampling.seed, stages.answer.sampling.seed, made.train.seed, made.vote.seed} == {7}  # type: ignore[attr-defined]


def test_a_model_without_a_chat_template_is_refused_before_it_is_loaded() -> None:
    with pytest.raises(ConfigError, match="no chat template"):
        experiment("model=organism_base", "model.template=chat").check()
    experiment("+experiments=completion").check()


def test_a_server_is_not_asked_in_plain_text() -> None:
    with pytest.raises(ConfigError, match=r"model\.template=completion\. Choose engine=transformers"):
        experiment("+experiments=completion", "engine=server").check()


def test_a_model_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        experiment(f"model.path={tmp_path}/nothing").check()


def test_the_package_and_its_assets_are_found() -> None:
    assert (ROOT / "conf" / "config.yaml").exists() and (PACKAGE / "organism").is_dir()


LIGHT = """
import sys
from configured import experiment
experiment().check()
print([name for name in ("torch", "transformers", "lm_eval", "wandb") if name in sys.modules])
"""


def test_checking_a_run_loads_no_model_library() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("node", ["elicit", "answer", "eval"])
def test_sampling_that_the_engine_cannot_do_is_refused_with_its_key(node: str) -> None:
    message = rf"{node}\.repetition_penalty is 1\.2, which engine\.batching=continuous cannot apply: choose padded"
    with pytest.raises(ConfigError, match=message):
        experiment("engine.batching=continuous", f"{node}.repetition_penalty=1.2")
    assert experiment("engine.batching=padded", f"{node}.repetition_penalty=1.2")


def undocumented(settings: Any, node: Any, path: str) -> list[str]:
    """Fields that the composed configuration lacks, and that are not filled in by the run itself."""
    missing = []
    for one in fields(settings):
        value, name = getattr(settings, one.name), f"{path}{one.name}"
        if one.metadata.get("internal"):
            continue
        if one.name not in node:
            missing.append(name)
        elif is_dataclass(value) and isinstance(node[one.name], dict):
            missing += undocumented(value, node[one.name], f"{name}.")
    return missing


@pytest.mark.parametrize("choice", ["", *CHOICES])
def test_every_setting_is_in_the_printed_configuration(choice: str) -> None:
    overrides = [choice, *MANDATORY.get(choice, ())] if choice else []
    if not choice.startswith(("tracking=", "hydra/")):
        assert undocumented(experiment(*overrides), composed(*overrides), "") == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective=dpo", "vote=single", "vote.draws=3"], "vote=single makes one draw of each question"),
        (["objective=dpo", "vote.min_agreement=1"], "vote.min_agreement=1 keeps only votes without one"),
        (["objective=dpo", "select=agreement", "select.min=1", "select.max=1"], "select.min=1 keeps only votes"),
    ],
)
def test_what_needs_votes_that_disagree_is_refused_without_them(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        experiment(*overrides)


@pytest.mark.parametrize(
    ("override", "hint"), [("select=null", "name one of its choices"), ("select=all,diverse", "or choose one$")]
)
def test_a_group_without_exactly_one_choice_is_named_with_a_fix(override: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        composing.composed([override])


def test_a_file_with_several_responses_of_a_question_can_be_selected_by_their_agreement() -> None:
    assert experiment("source=pairs", "source.data=x.jsonl", "select=agreement").select.name == "agreement"
