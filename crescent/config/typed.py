"""From a plain, nested configuration to typed settings, with every mistake named by its key.

In: mappings, lists and scalars (what a YAML holds). Out: frozen dataclasses, built by their type hints. A node with a
`_target_` builds that class, so that a strategy of one's own is chosen by its dotted name. It knows no Hydra and loads
no model.
"""

import difflib
import importlib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


class ConfigError(ValueError):
    """A mistake of the user's in the configuration. Its text is one or a few lines that name the mend."""


def build(kind: type[T], node: Mapping[str, Any], path: str) -> T:
    """A dataclass from a node at `path`. Raises ConfigError on unknown, missing, or impossible values."""
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
        return kind(**values)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None


def build_target(node: Mapping[str, Any], path: str) -> Any:
    """The object of the class that the node's `_target_` names."""
    name = str(node.get("_target_"))
    module, _, attribute = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise ConfigError(f"{path}._target_ is {name!r}; there is no such class to import") from None
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ConfigError(f"{path}._target_ is {name!r}; it must be a dataclass: put @dataclass(frozen=True) before it")
    return build(kind, node, path)


def convert(hint: Any, value: Any, path: str) -> Any:
    """`value` as the type `hint`, without guessing: "three" is no number and 1.5 no whole number."""
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
        return tuple(convert(options[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    return _convert_plain(hint, value, path)


def suggest(key: str, known: Any) -> str:
    """ " Did you mean x?", or what there is."""
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
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not right:
            raise ConfigError(f"{path} is {value!r}; it must be {_KINDS[hint]}")
        return value
    if isinstance(value, Mapping):
        return build_target(value, path) if "_target_" in value else build(hint, value, path)
    raise ConfigError(f"{path} is {value!r}; it must be a group of settings")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
