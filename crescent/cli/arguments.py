"""Argument types (argparse's `type`) shared by the small commands."""

from argparse import ArgumentTypeError
from pathlib import Path


def a_path(text: str) -> Path:
    """A path. Empty text is refused: it would mean the current folder."""
    if not text.strip():
        raise ArgumentTypeError("is empty; give a path")
    return Path(text)


def new_file(text: str) -> Path:
    """The path of a file to write; must not be a folder."""
    path = a_path(text)
    if path.is_dir() or text.endswith(("/", "\\")):
        raise ArgumentTypeError(f"{text} is a folder; name a file, such as {path / 'report.html'}")
    return path


def a_folder(text: str) -> Path:
    """A folder that exists or can be created."""
    path = a_path(text)
    if path.exists() and not path.is_dir():
        raise ArgumentTypeError(f"{text} is a file; name a folder")
    return path


def a_store(text: str) -> Path:
    """The folder of a store that is there."""
    path = a_folder(text)
    if not path.exists():
        raise ArgumentTypeError(f"there is no store at {text}; name the folder that store= named in the run")
    return path
