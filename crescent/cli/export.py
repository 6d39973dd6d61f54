"""A run's student as a plain Hugging Face folder, its adapter merged: `crescent-export outputs/latest DEST`.

In: the folder of a run. Out: a folder that vLLM, SGLang, llama.cpp's converter or `from_pretrained` take as any other
model: the weights that the run scored, in the number format they were scored in, with tokenizer, chat template and
generation config. It trains and scores nothing, and leaves the run as it is.
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
from crescent.engines.turns import list_end
from crescent.engines.weights import Weights, asked_template, load

ADAPTER, MODEL = "adapter", "model"
_ASKED = ("name", "path", "dtype", "revision", "template", "gguf_file", "chat_template_kwargs")


def main() -> None:
    """The console script."""
    parser = argparse.ArgumentParser(prog="crescent-export", description="Writes a run's student, merged.")
    parser.add_argument("run", type=a_path, help="the folder of a run, such as outputs/latest")
    parser.add_argument("destination", type=a_path, help="a folder to make")
    options = parser.parse_args()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        export(options.run, options.destination)
    except (ValueError, OSError) as error:
        print(f"crescent-export: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(options.destination)


def export(run: Path, destination: Path) -> None:
    """Writes the merged student of `run` to `destination`, at once or not at all. Raises ValueError with a suggested
    fix."""
    weights = _student(run)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(f"{destination} is there already: name a folder that is not, or an empty one")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as scratch:
        work = Path(scratch) / "model"
        _write(weights, work)
        if destination.exists():
            destination.rmdir()
        shutil.move(work, destination)


def _write(weights: Weights, folder: Path) -> None:
    from transformers import AutoTokenizer

    model, tokenizer = load(weights, "cpu")
    list_end(model, tokenizer)
    model.save_pretrained(folder)
    # anew: the one beside the model pads on the left, as our own decoding needs
    saved = AutoTokenizer.from_pretrained(local_folder(weights))
    if weights.chat_template_kwargs:  # else the exported model would be asked otherwise than it was trained and scored
        saved.chat_template = asked_template(weights, saved)
    saved.save_pretrained(folder)


def _student(run: Path) -> Weights:
    """The weights a run trained, with the adapter it made."""
    file = run / "summary.json"
    if not file.exists():
        raise UserError(f"{run} holds no summary.json: give the folder of a run that has ended, such as outputs/latest")
    summary: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    place = summary.get("artifacts", {}).get(ADAPTER)
    if place is None:
        raise UserError(f"{run} has trained nothing yet: run it to its end, then export")
    artifact = Path(place)
    if (artifact / MODEL).is_dir():
        raise UserError(
            f"{run} trained every weight (train=full), so there is no adapter to merge: {artifact / MODEL} is the "
            "model as it is served"
        )
    if not (artifact / ADAPTER).is_dir():
        raise UserError(f"the adapter of {run} is not at {artifact}: run the same command again, it is built anew")
    node = summary["config"]["distill"]["student"]
    student = Weights(**{key: node[key] for key in _ASKED if key in node})
    return student.with_adapter(artifact / ADAPTER, artifact.name)


if __name__ == "__main__":
    main()
