"""Errors that the user, and not a developer, can do something about. The command prints them without a traceback.

Their text is one line, or a few: the key or the file, what is wrong, a suggested fix. Every other exception is a bug.
"""


class UserError(ValueError):
    """A setting, a file or a server that cannot be used."""


class OutOfMemory(MemoryError):
    """Something that does not fit into memory however small the batch is."""


class RunError(RuntimeError):
    """A part of the run that ended by itself: a worker, a process of a training team."""
