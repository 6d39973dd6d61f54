"""Writes an export completely or not at all, and uploads it to the Hugging Face hub.

In: a destination, a repository's id. Out: a folder; a repository. An upload that fails leaves the folder as it is.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from crescent.core.errors import UserError

Kind = Literal["dataset", "model"]


@contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """A scratch folder that becomes `destination` if nothing fails. Raises UserError if that exists and is not an empty
    folder."""
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UserError(f"{destination} already exists and is not an empty folder: choose another destination")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as scratch:
        work = Path(scratch) / "export"
        work.mkdir()
        yield work
        if destination.exists():
            destination.rmdir()
        shutil.move(work, destination)


def check_push(repository: str) -> None:
    """Raises UserError if nothing can be uploaded to `repository`: a wrong id, or no token. Asks no server."""
    from huggingface_hub import get_token
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"--push {repository!r} is not the id of a repository, such as me/my-pairs ({error})") from None
    if get_token() is None:
        raise UserError(
            "--push needs a Hugging Face token that may write: log in with `hf auth login`, or set HF_TOKEN. Nothing "
            "was exported."
        )


def push(folder: Path, repository: str, kind: Kind, public: bool) -> str:
    """Uploads a folder; returns the repository's address. A new repository is private unless `public`. Raises UserError
    if the hub refuses."""
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        made = api.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, repo_type=kind, folder_path=folder, commit_message="Export of Crescent")
    except Exception as error:  # the hub client raises a different class for each reason
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        again = f"hf upload {repository} {folder}" + (" --repo-type dataset" if kind == "dataset" else "")
        raise UserError(f"{folder} is complete, but the hub took no upload ({reason}). Try again: {again}") from error
    return str(made)
