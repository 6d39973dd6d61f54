"""Checks of settings: each raises a ValueError of one line that names the key and what it may be."""

from typing import Any

from crescent.core.errors import UserError


def require(holds: bool, key: str, value: Any, allowed: str) -> None:
    """Raises ValueError that names `train.<key>` unless `holds`."""
    if not holds:
        raise UserError(f"train.{key} is {value!r}; it must be {allowed}")


def is_whole(value: Any) -> bool:
    """An int, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """A number, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)
