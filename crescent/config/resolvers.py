"""Resolvers for the YAMLs (`${crescent:...}` and others), and the folder where the YAMLs are.

Every process that composes a configuration must register them first: the command, and each job of a sweep that runs in
its own process.
"""

import os
from pathlib import Path

from omegaconf import OmegaConf

from crescent.core.cache import models_folder

NO_RECIPE = "none"
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
    OmegaConf.register_new_resolver("crescent_recipe", lambda model: _recipe_for("recipe", model), replace=True)
    OmegaConf.register_new_resolver("crescent_student_recipe", _student_recipe, replace=True)
    OmegaConf.register_new_resolver("crescent_names", "+".join, replace=True)
    OmegaConf.register_new_resolver("crescent_env", lambda name, other: os.environ.get(name) or other, replace=True)


def _student_recipe(recipe: str, distill: str, model: str) -> str:
    """The recipe for the student of a run; none where the user has turned recipes off."""
    student = model if distill == "self" else distill
    return NO_RECIPE if recipe == NO_RECIPE else _recipe_for("student_recipe", student)


def _recipe_for(group: str, model: str) -> str:
    """The recipe whose name the model's begins with, the longest if there are several: qwen3 for qwen3_4b."""
    names = [file.stem for file in (assets() / "conf" / group).glob("*.yaml")]
    fitting = [name for name in names if f"{model}_".startswith(f"{name}_")]
    return max(fitting, key=len, default=NO_RECIPE)
