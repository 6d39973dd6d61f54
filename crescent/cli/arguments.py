"""Kinds of arguments that the small commands share, for argparse's `type`."""

from argparse import ArgumentTypeError
from pathlib import Path


def a_path(text: str) -> Path:
    """A path; an empty one would be the current folder."""
    if not text.strip():
        raise ArgumentTypeError("is empty; give a path")
    return Path(text)


def new_file(text: str) -> Path:
    """The path of a file to be written, which must not be a folder."""
    path = a_path(text)
    if path.is_dir() or text.endswith(("/", "\\")):
        raise ArgumentTypeError(f"{text} is a folder; name a file, such as {path / 'report.html'}")
    return path


def a_folder(text: str) -> Path:
    """A folder, there or yet to be made."""
    path = a_path(text)
    if path.exists() and not path.is_dir():
        raise ArgumentTypeError(f"{text} is a file; name a folder")
    return path
