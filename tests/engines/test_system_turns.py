"""A system prompt that would not reach a model is refused before the run."""

import shutil
from pathlib import Path

import pytest
from command_line import crescent, refused
from conftest import CHATML
from real_tokenizers import ENDS, copy_tokenizer, needs_files

from crescent.engines.system_turns import check_system_prompt
from crescent.engines.weights import Weights

REFUSES = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
IGNORES = "{% if messages[0]['role'] == 'system' %}{% set messages = messages[1:] %}{% endif %}" + CHATML


def model(tiny: Path, folder: Path, template: str) -> Path:
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize(
    ("template", "why"),
    [(REFUSES, r"refuses system turns \(System role not supported\)"), (IGNORES, "drops system turns")],
)
def test_a_template_without_system_turns_is_named(template: str, why: str, tiny_llama: Path, tmp_path: Path) -> None:
    weights = Weights("gemma", str(model(tiny_llama, tmp_path / "model", template)))
    with pytest.raises(ValueError, match=rf"eval\.system_prompt: model 'gemma' has a chat template that {why}"):
        check_system_prompt(weights, "Be brief.")


def test_a_model_asked_in_plain_text_has_no_system_turns(tiny_llama: Path) -> None:
    with pytest.raises(ValueError, match=r"prompted in plain text \(model\.template=completion\)"):
        check_system_prompt(Weights("m", str(tiny_llama), template="completion"), "Be brief.")


def test_templates_with_system_turns_and_models_elsewhere_are_let_pass(tiny_llama: Path) -> None:
    check_system_prompt(Weights("m", str(tiny_llama)), "  Be brief.\n")
    check_system_prompt(Weights("m", "nobody/nothing"), "Be brief.")


@needs_files
@pytest.mark.parametrize("name", [name for name in ENDS if name != "gemma3"])  # the slowest to load
def test_the_real_templates_have_a_place_for_a_system_prompt(name: str, tmp_path: Path) -> None:
    check_system_prompt(Weights(name, str(copy_tokenizer(name, tmp_path))), "Be brief.")


def test_a_run_is_refused_before_it_begins(tiny_llama: Path, tmp_path: Path) -> None:
    folder = model(tiny_llama, tmp_path / "model", REFUSES)
    run = ("model=hf", f"model.path={folder}", "tracking=none")
    message = refused(crescent(tmp_path, *run, "eval.system_prompt=Be brief."))
    assert "eval.system_prompt: model" in message and "System role not supported" in message
    assert not (tmp_path / "outputs" / "store").exists()
