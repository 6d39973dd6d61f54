"""Composes configurations outside the command, and explains why one does not compose.

In: overrides, or Hydra's error. Out: the plain configuration, or one line with the closest setting or the available
choices.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from crescent.config.resolvers import assets, register_resolvers
from crescent.config.typed import ConfigError

_NULL_GROUP = "Config group override must be a string or a list"


def composed(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The resolved configuration with these overrides. Raises ConfigError if it does not compose."""
    try:
        return _compose(overrides, resolve=True)
    except Exception as error:
        if not is_composition_error(error):
            raise
        raise ConfigError(composition_message(error)) from None


def is_composition_error(error: BaseException) -> bool:
    """True for what Hydra raises if a configuration does not compose; a group set to null is a plain ValueError."""
    return isinstance(error, HydraException) or (isinstance(error, ValueError) and _NULL_GROUP in str(error))


def composition_message(error: BaseException) -> str:
    """Hydra's composition error, shortened to what is wrong and what is allowed."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read as KEY=VALUE ({text.splitlines()[0]}); quote special characters"
    several = re.search(r"Ambiguous value for argument '([^'=]+)=([^']*)'", text)
    if several:
        key, values = several.groups()
        wants_one = bool(_choices(key)) and key != "prompting"
        return f"{key}={values} is several values: add -m for a sweep" + (
            ", or choose one" if wants_one else f", or write a list, {key}=[{values}]"
        )
    if _NULL_GROUP in text:
        return "a group is set to null; name one of its choices (README: the table of groups), such as select=all"
    there = re.search(r"Could not append to config\. An item is already at '([^']+)'", text)
    there = there or re.search(r"Multiple values for ([^\s.]+)\. To override", text)
    if there:
        return f"{there[1]} is already in the configuration: leave out the + before it, as in {there[1]}=VALUE"
    key = re.search(r"Could not (?:override|delete|append)[^']*'([^'=]+)", text)
    if key:
        return f"{key[1]} is not a setting.{_similar_key(key[1])}"
    choice = re.search(r"Could not find '([^']+)/([^'/]*)'\s+Available options in '[^']*':\s+(.*)", text, re.DOTALL)
    if choice:
        options = re.split(r"\n\s*\n|\nConfig search path", choice[3])[0].split() if choice[2] else _choices(choice[1])
        return f"{choice[1]}={choice[2]} is not a choice. There are: {', '.join(options)}."
    return "\n".join(line for line in text.splitlines()[:3] if line.strip())


def _similar_key(key: str) -> str:
    """A suggestion: presets that have this key, or keys of the default configuration with a similar spelling."""
    known = list(_dotted(_compose((), resolve=False)))
    group, _, rest = key.partition(".")
    having = [choice for choice in _choices(group) if rest in _dotted(_compose((), False, f"{group}/{choice}")[group])]
    if having:
        return f" It belongs to {' and '.join(f'{group}={one}' for one in having)}."
    if key in known:
        return f" The chosen {group} does not have it."
    parent = key.rpartition(".")[0]
    groups = {name.rpartition(".")[0] for name in known}
    close = [name for name in difflib.get_close_matches(key, known, n=3, cutoff=0.5) if name not in groups]
    siblings = [name for name in known if name.rpartition(".")[0] == parent]
    if close:
        return f" Did you mean {close[0]}?"
    return f" There are: {', '.join(siblings)}." if siblings else " `crescent --cfg job` prints all settings."


def _choices(group: str) -> list[str]:
    return sorted(file.stem for file in (assets() / "conf" / group).glob("*.yaml")) if group.isidentifier() else []


def _compose(overrides: Sequence[str], resolve: bool, name: str = "config") -> dict[str, Any]:
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(assets() / "conf"), version_base="1.3"):
        return OmegaConf.to_container(compose(name, overrides=list(overrides)), resolve=resolve)  # type: ignore[return-value]


def _dotted(node: Mapping[str, Any], path: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in node.items():
        keys.append(path + str(key))
        if isinstance(value, Mapping):
            keys += _dotted(value, f"{path}{key}.")
    return keys
