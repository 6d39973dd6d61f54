"""Maps exceptions to failures for the user: a kind, one message with a suggested fix, an exit status.

`failure_of` returns None for a bug of ours, which shows its traceback.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException

from crescent.config.composing import composition_message, is_composition_error
from crescent.config.typed import ConfigError
from crescent.core.errors import OutOfMemory, RunError, UserError
from crescent.engines.memory import is_out_of_memory
from crescent.sweeps.callback import Failure

OUT_OF_MEMORY = (
    "Use a smaller model, model.dtype=bfloat16, engine.max_batch, train.micro_batch_tokens or "
    "eval.loglikelihood_batch; finished work is kept, and the same command resumes."
)


def failure_of(error: Exception) -> Failure | None:
    """The failure to report if the error is the user's or the machine's; None if it is a bug of ours."""
    if isinstance(error, ConfigError):
        return Failure("config", str(error), 2)
    if is_composition_error(error):
        return Failure("config", composition_message(error), 2)
    if isinstance(error, OmegaConfBaseException) and (
        missing := re.search(r"Missing mandatory value: (\S+)", str(error))
    ):
        return Failure("config", f"{missing[1]} has no value yet; give one, as in {missing[1]}=VALUE", 2)
    if isinstance(error, OmegaConfBaseException):
        return Failure("config", str(error).splitlines()[0], 2)
    if isinstance(error, OSError):
        return Failure("error", _os_message(error), 1)
    if isinstance(error, UserError | OutOfMemory | RunError):
        return Failure("error", str(error), 1)
    if is_out_of_memory(error):
        first = (str(error) or "out of memory").splitlines()[0][:200].rstrip(".")
        return Failure("error", f"{first}. {OUT_OF_MEMORY}", 1)
    return None


@contextmanager
def full_disk_named(*folders: Path) -> Iterator[None]:
    """Adds a path to a disk-full error that has none: the fullest of the folders that a run writes to."""
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if os.strerror(errno.ENOSPC) in str(error):  # errors of libraries in other languages carry only the text
            number = errno.ENOSPC
        if number not in NO_SPACE:
            raise
        there = {folder: next(place for place in (folder, *folder.parents) if place.exists()) for folder in folders}
        fullest = min(folders, key=lambda folder: shutil.disk_usage(there[folder]).free)
        raise OSError(number, os.strerror(number), str(getattr(error, "filename", None) or fullest)) from error


NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def _os_message(error: OSError) -> str:
    """What failed on which file, and a suggested fix."""
    where = f" ({error.filename})" if error.filename else ""
    advice = {
        **dict.fromkeys(NO_SPACE, "Make room there, or choose folders with hydra.run.dir=DIR store=DIR"),
        **dict.fromkeys(NOT_ALLOWED, "Change its permissions, or choose folders with hydra.run.dir=DIR store=DIR"),
        errno.ENOENT: "Something removed it during the run, or its path is wrong",
    }.get(error.errno or 0, "Check the file and its disk")
    return f"{error.strerror or error}{where}. {advice}; the same command then resumes."
