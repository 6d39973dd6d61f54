"""Exports a run's student as a plain Hugging Face folder, its adapter merged.

In: a `FinishedRun`. Out: a folder that vLLM, SGLang, llama.cpp's converter and `from_pretrained` load like any model:
the weights that the run scored, in the number format they were scored in, with tokenizer, chat template and generation
config.
"""

from pathlib import Path

from crescent.engines.model_files import local_folder
from crescent.engines.saving import save_like_base
from crescent.engines.tokenizer_files import read_tokenizer
from crescent.engines.turns import list_end
from crescent.engines.weights import Weights, asked_template, load
from crescent.exporting.finished import FinishedRun
from crescent.exporting.writing import new_folder


def export_model(run: FinishedRun, destination: Path, licence: str | None = None) -> None:
    """Writes the merged student to `destination`, completely or not at all. Raises UserError if the run has trained
    nothing or the destination is not empty."""
    weights = run.student()
    with new_folder(destination) as work:
        _write_merged(weights, work)


def _write_merged(weights: Weights, folder: Path) -> None:
    model, tokenizer = load(weights, "cpu")
    list_end(model, tokenizer)
    template = None
    if weights.chat_template_kwargs:  # else the exported model would be asked otherwise than it was trained and scored
        plain = read_tokenizer(weights.name, local_folder(weights))
        template = asked_template(weights, plain)
    save_like_base(model, local_folder(weights), folder, template)
