"""The shipped configuration with overrides, as the command composes it."""

from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from crescent.cli.main import assets, register_resolvers
from crescent.config.typed import build_target
from crescent.experiment import Experiment

ROOT = assets()


def composed(*overrides: str) -> dict[str, Any]:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def experiment(*overrides: str) -> Experiment:
    node = composed(*overrides)
    build_target(node.pop("tracking"), "tracking")
    return Experiment.from_node(node)
