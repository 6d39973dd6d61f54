"""Errors that the user, not a developer, can fix. The command prints them without a traceback.

Their text is one or a few lines: the key or file, the reason, a suggested fix. Every other exception is a bug.
"""


class UserError(ValueError):
    """A setting, a file or a server that cannot be used."""


class OutOfMemory(MemoryError):
    """Something does not fit into memory even at the smallest batch size."""


class RunError(RuntimeError):
    """A worker, or a process of a training team, ended by itself."""
