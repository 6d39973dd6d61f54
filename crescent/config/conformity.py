"""Checks whether an object of a user's class can be used for a setting.

In: an object, and the declared type of its setting: a Protocol, or a class of ours that any class with the same members
can replace. Out: what is missing, in words. No method is called and no property is read.
"""

import inspect
from typing import Any

_ABSENT = object()
_HAS_NO = "has no "


def lacks(made: Any, kind: type) -> list[str]:
    """What the object is missing from `kind`, or has in another form; empty for an instance of a class `kind`."""
    if not _is_protocol(kind) and isinstance(made, kind):
        return []
    faults = [fault for name in sorted(_members(kind)) if (fault := _fault(made, kind, name))]
    absent = [fault.removeprefix(_HAS_NO) for fault in faults if fault.startswith(_HAS_NO)]
    others = [fault for fault in faults if not fault.startswith(_HAS_NO)]
    return [_HAS_NO + ", ".join(absent), *others] if absent else others


def lacks_methods(target: type, kind: type) -> list[str]:
    """The methods of `kind` that a class is missing: known before there is an instance."""
    if not _is_protocol(kind) and issubclass(target, kind):
        return []
    methods = [name for name in sorted(_members(kind)) if inspect.isfunction(inspect.getattr_static(kind, name, None))]
    absent = [name for name in methods if inspect.getattr_static(target, name, _ABSENT) is _ABSENT]
    return [_HAS_NO + ", ".join(f"{name}()" for name in absent)] if absent else []


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _members(kind: type) -> set[str]:
    """Public names, without constants (NAME, VERSION) and what every object has."""
    bases = [one for one in kind.__mro__ if one.__module__ not in ("builtins", "typing", "abc")]
    names = {name for one in bases for name in (*vars(one), *vars(one).get("__annotations__", {}))}
    return {name for name in names if not name.startswith("_") and not name.isupper()}


def _fault(made: Any, kind: type, name: str) -> str | None:
    wanted = inspect.getattr_static(kind, name, _ABSENT)
    found = inspect.getattr_static(made, name, _ABSENT)
    if not inspect.isfunction(wanted):
        if found is _ABSENT:
            return _HAS_NO + name
        return f"has a method {name} instead of a field or property" if inspect.isfunction(found) else None
    called = f"{name}({', '.join(_parameters(wanted))})"
    if found is _ABSENT:
        return _HAS_NO + called
    if isinstance(found, property):
        return f"has a property {name} instead of a method"
    if not callable(getattr(made, name)):
        return f"has a field {name} instead of a method {called}"
    return None if _takes(getattr(made, name), wanted) else f"cannot be called as {called}"


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def _takes(method: Any, wanted: Any) -> bool:
    """True if a bound method accepts the parameters of the function `wanted`."""
    placed, named = [], {}
    for parameter in list(inspect.signature(wanted).parameters.values())[1:]:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            placed.append(None)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = None
    try:
        inspect.signature(method).bind(*placed, **named)
    except TypeError:
        return False
    except ValueError:  # a method written in another language may have no signature to inspect
        return True
    return True
