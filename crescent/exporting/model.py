"""Exports a run's student: a plain Hugging Face folder with its adapter merged, the adapter alone, or a GGUF file.

In: a `FinishedRun`. Out: a folder with a card. The merged model is loaded by vLLM, SGLang, llama.cpp's converter and
`from_pretrained` like any model: the weights that the run scored, in the number format they were scored in, with
tokenizer, chat template and generation config.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from crescent.core.errors import UserError
from crescent.engines.model_files import local_folder
from crescent.engines.saving import save_like_base, save_tokenizer
from crescent.engines.tokenizer_files import read_tokenizer
from crescent.engines.turns import list_end
from crescent.engines.weights import Weights, asked_template, load
from crescent.exporting.facts import hub_id
from crescent.exporting.finished import FinishedRun
from crescent.exporting.gguf import convert, converter, gguf_name
from crescent.exporting.model_card import model_card
from crescent.exporting.writing import new_folder


@dataclass(frozen=True, slots=True)
class Form:
    """`adapter`: the adapter without its base. `gguf`: a number format of llama.cpp (f32, f16, bf16, q8_0), None for
    the Hugging Face layout; `converter` is the program that writes it, None to look for it."""

    adapter: bool = False
    gguf: str | None = None
    converter: Path | None = None


def export_model(run: FinishedRun, destination: Path, licence: str | None = None, form: Form | None = None) -> None:
    """Writes the student to `destination`, completely or not at all. Raises UserError if the run has trained nothing,
    if the destination is not empty, or if there is no adapter or no converter."""
    form = form or Form()
    weights = run.student()
    program = converter(form.converter) if form.gguf else None
    if form.adapter and weights.adapter is None:
        raise UserError(f"{run.folder} trained every weight (train=full), so there is no adapter: leave --adapter out")
    with new_folder(destination) as work:
        if form.adapter:
            _write_adapter(weights, work)
        elif program is not None and form.gguf is not None:
            _write_merged(weights, work / "merged")
            convert(program, work / "merged", work / gguf_name(weights, form.gguf), form.gguf)
            shutil.rmtree(work / "merged")
        else:
            _write_merged(weights, work)
        (work / "README.md").write_text(model_card(run, licence, form.adapter, form.gguf), encoding="utf-8")


def _write_merged(weights: Weights, folder: Path) -> None:
    model, tokenizer = load(weights, "cpu")
    list_end(model, tokenizer)
    save_like_base(model, local_folder(weights), folder, _own_template(weights))


def _write_adapter(weights: Weights, folder: Path) -> None:
    """peft's files, with the tokenizer that the adapter was trained with and the base that it belongs to."""
    assert weights.adapter is not None, "checked"
    shutil.copytree(weights.adapter, folder, dirs_exist_ok=True)
    save_tokenizer(local_folder(weights), folder, _own_template(weights))
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = hub_id(weights) or weights.path
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _own_template(weights: Weights) -> str | None:
    """The chat template with the arguments that the student was trained and scored with; None: its base's."""
    if not weights.chat_template_kwargs:
        return None
    return asked_template(weights, read_tokenizer(weights.name, local_folder(weights)))
