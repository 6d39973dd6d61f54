"""A run's student as a plain folder: the logits of base and adapter, and one line where there is nothing to merge."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CHATML, save_tiny_model
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from unlisted import END, LISTED, save_unlisted

from crescent.core.records import Score
from crescent.exporting.finished import open_run
from crescent.exporting.model import Form, export_model


def adapted_run(folder: Path, base: Path, dtype: str = "float32") -> Path:
    """A run folder as a run leaves it, with an adapter that changes the model."""
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules="all-linear"))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.2)
    artifact = folder / "store" / "artifacts" / "finetune" / "abc"
    model.save_pretrained(str(artifact / "adapter"))
    student = {"name": "tiny", "path": str(base), "dtype": dtype, "revision": None}
    return write_summary(folder / "run", {"adapter": str(artifact)}, student)


def write_summary(run: Path, artifacts: dict[str, str], student: dict[str, Any], scores: Sequence[Score] = ()) -> Path:
    run.mkdir(parents=True)
    config = {"distill": {"name": "self", "student": student}}
    content = {
        "experiment": "tiny",
        "seed": 0,
        "scores": [*map(asdict, scores)],
        "stages": [],
        "artifacts": artifacts,
        "config": config,
    }
    (run / "summary.json").write_text(json.dumps(content))
    return run


def export(run: Path, folder: Path) -> None:
    export_model(open_run(run), folder)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(3, 40)[None]).logits.float()


def test_the_merged_model_has_the_logits_of_base_and_adapter(tiny_llama: Path, tmp_path: Path) -> None:
    run = adapted_run(tmp_path, tiny_llama)
    export(run, tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(tiny_llama)
    before = logits(base)
    adapted = PeftModel.from_pretrained(base, str(tmp_path / "store/artifacts/finetune/abc/adapter"))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(logits(merged), logits(adapted), rtol=1e-4, atol=1e-4)
    assert (logits(merged) - before).abs().max() > 0.01


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_folder_is_served_like_any_other(dtype: str, tiny_llama: Path, tmp_path: Path) -> None:
    export(adapted_run(tmp_path, tiny_llama, dtype), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype
    assert (tmp_path / "out" / "generation_config.json").exists() and not list((tmp_path / "out").glob("adapter*"))
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_llama).chat_template
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == getattr(torch, dtype)


def test_a_run_that_trained_every_weight_is_exported_whole(tiny_llama: Path, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "artifact" / "model")
    student = {"name": "tiny", "path": str(tiny_llama), "dtype": "float32"}
    export(write_summary(tmp_path / "run", {"adapter": str(tmp_path / "artifact")}, student), tmp_path / "out")
    exported, trained = (AutoModelForCausalLM.from_pretrained(one) for one in (tmp_path / "out", model))
    assert torch.equal(logits(exported), logits(trained))


def test_a_run_without_training_and_a_folder_without_run_are_told_apart(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has trained nothing yet"):
        export(write_summary(tmp_path / "run", {}, {"path": str(tiny_llama)}), tmp_path / "out")
    with pytest.raises(ValueError, match=r"has no summary\.json"):
        export(tmp_path / "nothing", tmp_path / "out")


def test_what_is_there_is_not_written_over(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(ValueError, match=r"out already exists"):
        export(adapted_run(tmp_path, tiny_llama), tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine"]


def test_the_command_says_one_line_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crescent.cli.export", "model", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("crescent-export: ") and done.stderr.count("\n") == 1


def test_the_merged_model_lists_the_end_of_turn_that_it_has_learned(tmp_path: Path) -> None:
    export(adapted_run(tmp_path, save_unlisted(tmp_path / "base")), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"] == [LISTED, END]


def test_a_student_that_is_asked_in_plain_text_is_exported_with_that_template(tiny_llama: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_llama, tmp_path / "base")
    for name in ("chat_template.jinja", "chat_template.json"):
        (base / name).unlink(missing_ok=True)
    run = adapted_run(tmp_path, base)
    summary = json.loads((run / "summary.json").read_text())
    summary["config"]["distill"]["student"]["template"] = "completion"
    (run / "summary.json").write_text(json.dumps(summary))
    export(run, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_an_exported_student_is_asked_with_the_arguments_it_was_trained_with(tmp_path: Path) -> None:
    switch = "{% if enable_thinking is false %}<think></think>{% endif %}"
    base = save_tiny_model(
        tmp_path / "base", template=CHATML.replace("<|assistant|>\n{%", f"<|assistant|>\n{switch}{{%")
    )
    arguments = {"enable_thinking": False}
    student = {
        "name": "tiny",
        "path": str(base),
        "dtype": "float32",
        "revision": None,
        "chat_template_kwargs": arguments,
    }
    adapted_run(tmp_path, base)
    artifacts = {"adapter": str(tmp_path / "store" / "artifacts" / "finetune" / "abc")}
    export(write_summary(tmp_path / "asked", artifacts, student), tmp_path / "out")
    saved: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [{"role": "user", "content": "How many?"}]
    for options, end in (({}, "<think></think>"), ({"enable_thinking": True}, "")):  # a server may still ask otherwise
        text = saved.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **options)
        assert text == f"<s><|user|>\nHow many?<|end|>\n<|assistant|>\n{end}"


def test_the_adapter_alone_belongs_to_its_base(tiny_llama: Path, tmp_path: Path) -> None:
    run = adapted_run(tmp_path, tiny_llama)
    export_model(open_run(run), tmp_path / "merged")
    export_model(open_run(run), tmp_path / "adapter", form=Form(adapter=True))
    assert not list((tmp_path / "adapter").glob("model*")) and AutoTokenizer.from_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        beside = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(beside), logits(merged), rtol=1e-4, atol=1e-4)


def test_what_there_is_not_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "artifact" / "model")
    student = {"name": "tiny", "path": str(tiny_llama), "dtype": "float32"}
    run = open_run(write_summary(tmp_path / "run", {"adapter": str(tmp_path / "artifact")}, student))
    with pytest.raises(ValueError, match=r"trained every weight \(train=full\), so there is no adapter"):
        export_model(run, tmp_path / "out", form=Form(adapter=True))
    with pytest.raises(ValueError, match=r"--converter .*/nothing is not a program"):
        export_model(run, tmp_path / "out", form=Form(gguf="f16", converter=tmp_path / "nothing"))
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho 'NotImplementedError: BPE pre-tokenizer was not recognized' >&2; exit 1\n")
    failing.chmod(0o755)
    with pytest.raises(ValueError, match=r"could not convert the model: .*llama.cpp does not know this model's tok"):
        export_model(run, tmp_path / "out", form=Form(gguf="f16", converter=failing))
    assert not (tmp_path / "out").exists()


def test_the_card_has_every_score_with_its_interval(tiny_llama: Path, tmp_path: Path) -> None:
    def score(model: str, shots: int, value: float, is_primary: bool = True) -> Score:
        metric = ("exact_match", "flexible-extract") if is_primary else ("exact_match", "strict-match")
        iteration = int(model == "student")
        return Score(model, iteration, "none", "gsm8k", shots, *metric, is_primary, value, 0.02, 400)

    scores = [
        score("base", 0, 0.4), score("student", 0, 0.5), score("student", 0, 0.1, False), score("base", 5, 0.55),
        score("student", 5, 0.6),
    ]  # fmt: skip
    adapted_run(tmp_path, tiny_llama)
    student = {"name": "tiny", "path": str(tiny_llama), "dtype": "float32"}
    artifacts = {"adapter": str(tmp_path / "store" / "artifacts" / "finetune" / "abc")}
    run = write_summary(tmp_path / "scored", artifacts, student, scores)
    export_model(open_run(run), tmp_path / "out", "apache-2.0")
    card = ModelCard.load(tmp_path / "out" / "README.md", ignore_metadata_errors=False)
    about: Any = card.data
    found = {one.dataset_config: one for one in about.eval_results}
    assert {shots: (one.dataset_type, one.metric_value) for shots, one in found.items()} == {
        "0-shot": ("gsm8k", 0.5), "5-shot": ("gsm8k", 0.6),
    }  # fmt: skip
    low, high = found["0-shot"].metric_args["confidence_interval_95"]
    assert 0.45 < low < 0.5 < high < 0.55 and about.license == "apache-2.0" and about.library_name == "transformers"
    assert "base_model" not in about.to_dict()  # a path of this machine is not a model of the hub
    assert "| gsm8k | 0 | 400 | 40.0 (36.1 to 43.9) | 50.0 (46.1 to 53.9) | +10.0" in card.text
