"""A run's student as a plain Hugging Face folder, its adapter merged: `crescent-export outputs/latest DEST`.

In: the folder of a run. Out: a folder that vLLM, SGLang, llama.cpp's converter and `from_pretrained` load like any
model: the weights that the run scored, in the number format they were scored in, with tokenizer, chat template and
generation config. Trains and scores nothing, and does not change the run.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crescent.cli.arguments import a_path
from crescent.core.errors import UserError
from crescent.engines.model_files import local_folder
from crescent.engines.saving import save_like_base
from crescent.engines.tokenizer_files import read_tokenizer
from crescent.engines.turns import list_end
from crescent.engines.weights import Weights, asked_template, load

ADAPTER, MODEL = "adapter", "model"
_ASKED = ("name", "path", "dtype", "revision", "template", "gguf_file", "chat_template_kwargs")


def main() -> None:
    """The console script."""
    parser = argparse.ArgumentParser(prog="crescent-export", description="Write a run's student, merged.")
    parser.add_argument("run", type=a_path, help="the folder of a run, such as outputs/latest")
    parser.add_argument("destination", type=a_path, help="a new or empty folder")
    options = parser.parse_args()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        export(options.run, options.destination)
    except (ValueError, OSError) as error:
        print(f"crescent-export: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(options.destination)


def export(run: Path, destination: Path) -> None:
    """Writes the merged student of `run` to `destination`, completely or not at all. Raises UserError if the run has no
    adapter or the destination is not empty.
    """
    weights = _student(run)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(f"{destination} already exists and is not an empty folder: choose another destination")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as scratch:
        work = Path(scratch) / "model"
        _write(weights, work)
        if destination.exists():
            destination.rmdir()
        shutil.move(work, destination)


def _write(weights: Weights, folder: Path) -> None:
    model, tokenizer = load(weights, "cpu")
    list_end(model, tokenizer)
    template = None
    if weights.chat_template_kwargs:  # else the exported model would be asked otherwise than it was trained and scored
        plain = read_tokenizer(weights.name, local_folder(weights))
        template = asked_template(weights, plain)
    save_like_base(model, local_folder(weights), folder, template)


def _student(run: Path) -> Weights:
    """The weights that a run trained, with its adapter."""
    file = run / "summary.json"
    if not file.exists():
        raise UserError(f"{run} has no summary.json: give the folder of a finished run, such as outputs/latest")
    summary: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    place = summary.get("artifacts", {}).get(ADAPTER)
    if place is None:
        raise UserError(f"{run} has trained nothing yet: let it finish, then export")
    artifact = Path(place)
    if (artifact / MODEL).is_dir():
        raise UserError(
            f"{run} trained every weight (train=full), so there is no adapter to merge: {artifact / MODEL} is "
            "the complete model; load it directly"
        )
    if not (artifact / ADAPTER).is_dir():
        raise UserError(f"the adapter of {run} is not at {artifact}: run the same command again to rebuild it")
    node = summary["config"]["distill"]["student"]
    student = Weights(**{key: node[key] for key in _ASKED if key in node})
    return student.with_adapter(artifact / ADAPTER, artifact.name)


if __name__ == "__main__":
    main()
