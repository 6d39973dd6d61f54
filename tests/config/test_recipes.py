"""A model brings its recipe; what the user sets wins over it; a student brings what concerns training."""

from pathlib import Path

import pytest
from configured import ROOT, composed, experiment
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from crescent.config.resolvers import register_resolvers
from crescent.core.console import Console
from crescent.observers.narration import tell_recipes

OWN = ("organism", "organism_small", "organism_base", "hf")
MODELS = sorted(f.stem for f in (ROOT / "conf" / "model").glob("*.yaml"))
RECIPES = sorted(f for group in ("recipe", "student_recipe") for f in (ROOT / "conf" / group).glob("*.yaml"))


def choices(*overrides: str) -> tuple[str, str]:
    """The recipes for the teacher and for the student."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        made = compose("config", overrides=list(overrides), return_hydra_config=True).hydra.runtime.choices
    return made["recipe"], made["student_recipe"]


@pytest.mark.parametrize("model", MODELS)
def test_every_pretrained_model_has_its_recipes_and_our_own_models_none(model: str) -> None:
    found = choices(f"model={model}")
    assert found == ("none", "none") if model in OWN else "none" not in found
    assert all(model.startswith(recipe) for recipe in found if recipe != "none")


def test_the_recipe_wins_over_the_defaults_and_the_user_over_the_recipe() -> None:
    made = composed("model=llama3_8b_instruct", "answer.top_p=0.8")["answer"]
    assert (made["temperature"], made["top_p"], made["max_new_tokens"]) == (0.6, 0.8, 2048)
    plain, without = composed(), composed("model=llama3_8b_instruct", "recipe=none")
    assert all(without[node] == plain[node] for node in ("elicit", "answer", "train", "eval"))


def test_the_longest_name_that_fits_is_taken() -> None:
    assert choices("model=qwen2_5_0_5b_instruct") == ("qwen2_5_0_5b", "qwen2_5")
    assert choices("model=qwen3_thinking_8b") == ("qwen3_thinking", "qwen3_thinking_8b")
    assert composed("model=qwen2_5_0_5b_instruct")["answer"]["top_k"] == 20


def test_what_concerns_training_follows_the_student() -> None:
    alone, taught = (
        composed("model=llama3_8b_instruct"),
        composed("model=llama3_8b_instruct", "distill=smollm2_135m_gguf"),
    )
    assert (alone["train"]["gradient_checkpointing"], taught["train"]["gradient_checkpointing"]) == (True, False)
    assert taught["train"]["max_length"] == 1024 and taught["answer"] == alone["answer"]
    assert choices("distill=qwen3_thinking_4b") == ("none", "qwen3_thinking_4b")
    assert choices("model=llama3_8b_instruct", "distill=llama2_7b_chat", "recipe=none") == ("none", "none")


def test_an_experiment_wins_over_the_recipe_and_chooses_the_model() -> None:
    made = composed("+experiments=ordering_llama3_8b")
    assert made["train"]["micro_batch_tokens"] == 8192 and made["answer"]["temperature"] == 0.6
    for paper in ("paper_llama3_8b", "paper_llama2_7b"):
        answering, asking = (composed(f"+experiments={paper}")[node] for node in ("answer", "elicit"))
        assert answering == {
            "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0,
            "max_new_tokens": 2048,
        }  # fmt: skip
        assert asking.items() >= answering.items()


def test_a_model_of_one_s_own_takes_the_recipe_that_is_named() -> None:
    made = experiment("model=hf", "model.path=x", "recipe=qwen3", "student_recipe=qwen3_8b")
    assert made.answer.top_k == 20 and made.train.gradient_checkpointing


def test_thinking_models_are_not_scored_greedily() -> None:
    for model in (name for name in MODELS if "thinking" in name or "r1_distill" in name):
        made = experiment(f"model={model}")
        assert made.model.thinking_tokens >= 4096 and made.eval.temperature > 0
    assert experiment("model=qwen3_4b").model.chat_template_kwargs == {"enable_thinking": False}


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_value_of_a_recipe_names_its_source(file: Path) -> None:
    values = [line for line in file.read_text().splitlines() if line.startswith("  ") and ":" in line]
    assert [line for line in values if "  # " not in line] == []


def test_a_run_says_which_recipes_it_begins_from(capsys: pytest.CaptureFixture[str]) -> None:
    tell_recipes(Console(), "none", "none")
    assert capsys.readouterr().err == ""
    tell_recipes(Console(), "qwen3", "llama3")
    told = " ".join(capsys.readouterr().err.split())
    assert told == (
        "recipe: qwen3 for asking and answering, llama3 for training and scoring (recipe=none: Crescent's own defaults)"
    )
