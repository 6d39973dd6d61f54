"""What `${crescent:...}` and its like mean in a YAML, and where the YAMLs are.

Every process that composes a configuration registers these first: the command, and each job of a sweep that runs in a
process of its own.
"""

import os
from pathlib import Path

from omegaconf import OmegaConf

from crescent.core.cache import models_folder

PACKAGE = Path(__file__).parents[1]


def assets() -> Path:
    """The folder with conf/, experiments/ and sweeps/: inside the wheel, or the root of a checkout."""
    inside = PACKAGE / "assets"
    return inside if inside.is_dir() else PACKAGE.parent


def register_resolvers() -> None:
    """`${crescent:path}` is a path in the package, `${crescent_assets:}` the folder of conf/, `${crescent_models:file}`
    the path of a model that `make setup-real` fetches, `${crescent_names:x}` the elements of a list, or the keys of a
    mapping, as a+b, `${crescent_env:NAME,x}` an environment variable, or x where it is empty or not set."""
    OmegaConf.register_new_resolver("crescent", lambda path: str(PACKAGE / path), replace=True)
    OmegaConf.register_new_resolver("crescent_assets", lambda *_: str(assets()), replace=True)
    OmegaConf.register_new_resolver("crescent_models", lambda file: str(models_folder() / file), replace=True)
    OmegaConf.register_new_resolver("crescent_names", "+".join, replace=True)
    OmegaConf.register_new_resolver("crescent_env", lambda name, other: os.environ.get(name) or other, replace=True)
