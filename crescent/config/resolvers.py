"""Resolvers for the YAMLs (`${crescent:...}` and others), and the folder where the YAMLs are.

Every process that composes a configuration must register them first: the command, and each job of a sweep that runs in
its own process.
"""

import os
from pathlib import Path

from omegaconf import OmegaConf

from crescent.core.cache import models_folder

PACKAGE = Path(__file__).parents[1]


def assets() -> Path:
    """The folder that contains conf/, experiments/ and sweeps/: inside the wheel, or the root of a checkout."""
    inside = PACKAGE / "assets"
    return inside if inside.is_dir() else PACKAGE.parent


def register_resolvers() -> None:
    """`${crescent:path}` is a path in the package; `${crescent_assets:}` the folder of conf/; `${crescent_models:file}`
    the path of a model fetched by `make setup-real`; `${crescent_names:x}` a list's elements, or a mapping's keys, as
    a+b; `${crescent_env:NAME,x}` an environment variable, or x if it is empty or not set.
    """
    OmegaConf.register_new_resolver("crescent", lambda path: str(PACKAGE / path), replace=True)
    OmegaConf.register_new_resolver("crescent_assets", lambda *_: str(assets()), replace=True)
    OmegaConf.register_new_resolver("crescent_models", lambda file: str(models_folder() / file), replace=True)
    OmegaConf.register_new_resolver("crescent_names", "+".join, replace=True)
    OmegaConf.register_new_resolver("crescent_env", lambda name, other: os.environ.get(name) or other, replace=True)
