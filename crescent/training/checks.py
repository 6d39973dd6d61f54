"""Checks of settings: each raises a one-line UserError that names the key and its allowed values."""

from typing import Any

from crescent.core.errors import UserError


def require(holds: bool, key: str, value: Any, allowed: str) -> None:
    """Raises UserError that names `train.<key>` unless `holds`."""
    if not holds:
        raise UserError(f"train.{key} is {value!r}; it must be {allowed}")


def is_whole(value: Any) -> bool:
    """True for an int that is not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """True for a number that is not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)
