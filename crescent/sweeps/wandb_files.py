"""Generates sweeps/wandb/: the jobs of sweeps/ as W&B sweeps, for `wandb agent` on any number of machines.

    python -m crescent.sweeps.wandb_files    # rewrites the files; a test checks that they are current

In: sweeps/NAME.yaml. Out: sweeps/wandb/NAME.yaml, a grid over the same values.
"""

from pathlib import Path
from typing import Any

import yaml

from crescent.config.composing import composed
from crescent.config.resolvers import assets

ABOUT = """\
# The jobs of sweeps/{name}.yaml as a W&B sweep (written by python -m crescent.sweeps.wandb_files):
#   wandb sweep sweeps/wandb/{name}.yaml; then on each machine: wandb agent ENTITY/crescent/SWEEP_ID
"""


def wandb_sweep(name: str) -> str:
    text = (assets() / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8")
    params: dict[str, Any] = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    suite = composed([f"+sweeps={name}"])["eval"]
    sweep = {
        "name": name,
        "project": "crescent",
        "method": "grid",
        "metric": {"name": f"difference/{suite['tasks'][0]}/{suite['shots'][0]}", "goal": "maximize"},
        "parameters": {key: {"values": yaml.safe_load(f"[{values}]")} for key, values in params.items()},
        "command": ["crescent", f"+sweeps={name}", "${args_no_hyphens}"],
    }
    return ABOUT.format(name=name) + yaml.safe_dump(sweep, sort_keys=False, default_flow_style=None, width=120)


def main() -> None:
    """Writes all files, and deletes those whose sweep no longer exists."""
    folder = assets() / "sweeps"
    for file in sorted(folder.glob("*.yaml")):
        (folder / "wandb" / file.name).write_text(wandb_sweep(file.stem), encoding="utf-8")
    for file in (folder / "wandb").glob("*.yaml"):
        if not (folder / file.name).exists():
            Path(file).unlink()


if __name__ == "__main__":
    main()
