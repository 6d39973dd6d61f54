"""Builds typed settings from a plain, nested configuration; errors name the key.

In: mappings, lists and scalars (the content of a YAML). Out: frozen dataclasses, built from their type hints. A node
with a `_target_` builds that class, so users can name a strategy of their own. Knows no Hydra and loads no model.
"""

import difflib
import importlib
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from crescent.config.conformity import lacks, lacks_methods
from crescent.core.errors import UserError

T = TypeVar("T")
LARGEST = 2**63 - 1  # the largest whole number that libraries accept
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


class ConfigError(UserError):
    """A user's mistake in the configuration. Its text is one or a few lines with a suggested fix."""


def build(kind: type[T], node: Mapping[str, Any], path: str) -> T:
    """Builds a dataclass from the node at `path`. Raises ConfigError for unknown, missing or invalid values.

    Empty text is allowed only where it is the default.
    """
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in node:
        if key not in known and key != "_target_":
            raise ConfigError(f"{_join(path, key)} is not a setting.{suggest(key, known)}")
    values = {}
    for key, field in known.items():
        if key in node:
            values[key] = convert(hints[key], node[key], _join(path, key))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{_join(path, key)} is missing; give it a value")
    try:
        made = kind(**values)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for key, value in values.items():
        if value != known[key].default:
            _check_extent(value, hints[key], _join(path, key))
    return made


def build_target(node: Mapping[str, Any], path: str, kind: Any = Any) -> Any:
    """Builds the class that the node's `_target_` names. Also raises ConfigError if the object lacks members of `kind`,
    so that an unsuitable user class is refused now and not when its methods are first called.
    """
    name = str(node.get("_target_"))
    wanted = kind if isinstance(kind, type) and kind is not Any else None
    target, made = _target(name, path), None
    try:
        made = build(target, node, path)
        faults = lacks(made, wanted) if wanted else []
    except ConfigError:
        faults = lacks_methods(target, wanted) if wanted else []  # settings of another kind of class do not fit either
        if not faults:
            raise
    if faults:
        told = " and ".join(faults)
        raise ConfigError(f"{path}._target_ is {name!r}, which {told}; see {kind.__module__}.{kind.__name__}")
    return made


def _target(name: str, path: str) -> type:
    module, _, attribute = name.rpartition(".")
    absent = f"{path}._target_ is {name!r}; there is no such class to import"
    try:
        kind = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(absent) from None
        raise ConfigError(f"{path}._target_ is {name!r}; {module} cannot be imported ({error})") from None
    except ValueError:  # a name without a module
        raise ConfigError(absent) from None
    except Exception as error:  # anything the user's module may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{path}._target_ is {name!r}; {module} cannot be imported ({reason})") from None
    if kind is None:
        raise ConfigError(absent)
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ConfigError(f"{path}._target_ is {name!r}; it must be a dataclass: put @dataclass(frozen=True) before it")
    return kind


def convert(hint: Any, value: Any, path: str) -> Any:
    """`value` as the type `hint`, without coercion: "three" is not a number, and 1.5 is not a whole number."""
    origin, options = get_origin(hint), get_args(hint)
    if value == "???":
        raise ConfigError(f"{path} has no value yet; give one, as in {path}=VALUE")
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(options, value, path)
    if origin is Literal:
        if value not in options:
            raise ConfigError(f"{path} is {value!r}; it may be {', '.join(map(str, options))}")
        return value
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path} is {value!r}; it must be a group of settings")
        return {str(key): convert(options[1], item, _join(path, str(key))) for key, item in value.items()}
    if origin in (tuple, Sequence):
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise ConfigError(f"{path} is {value!r}; it must be a list, as in [a, b]")
        for index, item in enumerate(value):
            if isinstance(item, str) and not item:
                raise ConfigError(f"{path}[{index}] is empty; give it a value or leave it out")
        return tuple(convert(options[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    return _convert_plain(hint, value, path)


def suggest(key: str, known: Any) -> str:
    """ " Did you mean x?", or the known keys."""
    close = difflib.get_close_matches(key, list(known), n=1)
    if close:
        return f" Did you mean {close[0]}?"
    return f" There are: {', '.join(sorted(known))}."


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    for kind in kinds[1:]:
        try:
            return convert(kind, value, path)
        except ConfigError:
            continue
    try:
        return convert(kinds[0], value, path)
    except ConfigError as error:
        words = [str(word) for kind in kinds[1:] if get_origin(kind) is Literal for word in get_args(kind)]
        raise ConfigError(f"{error}, or {', '.join(words)}" if words else str(error)) from None


def _convert_plain(hint: Any, value: Any, path: str) -> Any:
    if hint in _KINDS:
        right = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
        if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(value, path)
        if not right:
            raise ConfigError(f"{path} is {value!r}; it must be {_KINDS[hint]}")
        return value
    if isinstance(value, Mapping):
        return build_target(value, path, hint) if "_target_" in value else build(hint, value, path)
    preset = f"; a preset is chosen with a slash, as in {path.replace('.', '/')}={value}" if "." in path else ""
    raise ConfigError(f"{path} is {value!r}; it must be a group of settings{preset}")


def _check_extent(value: Any, hint: Any, path: str) -> None:
    """Raises ConfigError for empty text (as a path it is the current folder) and for numbers that no library
    accepts.
    """
    if isinstance(value, str) and not value.strip():
        null = " or null" if type(None) in get_args(hint) else ""
        raise ConfigError(f"{path} is empty; give it a value{null}, or leave {path}= out")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ConfigError(f"{path} is {value}; the largest whole number is {LARGEST}")


def _finite(value: int | float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{path} is {value}; it must be a finite number")
    return number


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
