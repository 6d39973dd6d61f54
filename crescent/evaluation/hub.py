"""A Hugging Face data set as named by a task's YAML: whether it is cached, and which revision would be read.

In: a name and a configuration. Out: a cache folder, a commit. Loads and downloads no data.
"""

import functools
import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILDERS = ("json", "csv", "parquet", "text", "arrow")  # values of dataset_path that are file formats, not data sets


@dataclass(frozen=True, slots=True)
class HubData:
    """`config` None: the data set's only configuration. `path` may also be a local folder."""

    path: str
    config: str | None = None

    def __str__(self) -> str:
        return self.path if self.config is None else f"{self.path} ({self.config})"

    def cached(self) -> Path | None:
        """This machine's folder of the configuration, or None: what `datasets` (5.2) reads without a network.

        The cache is <owner>___<name>/<config>/<version>/<commit>; of several commits the newest folder is used.
        """
        from datasets import config
        from datasets.naming import camelcase_to_snakecase

        if Path(self.path).exists():
            return Path(self.path)
        *owner, name = self.path.split("/")
        kept = Path(config.HF_DATASETS_CACHE, "___".join([*owner, camelcase_to_snakecase(name)]))
        made = kept.glob(f"{glob.escape(self.config) if self.config else '*'}/*/*")
        whole = [folder for folder in made if folder.is_dir() and folder.suffix != ".incomplete"]
        return max(whole, key=lambda folder: folder.stat().st_mtime, default=None)

    def revision(self) -> str | None:
        """The commit that loading would read: the hub's newest, or the cached one if the hub does not answer.

        None if neither is known, and for a folder.
        """
        if Path(self.path).exists():
            return None
        kept = self.cached()
        return _newest(self.path) or (kept.name if kept else None)


def named_in(config: Mapping[str, Any]) -> tuple[HubData, ...]:
    """The data set that a task's configuration names; empty if it names files."""
    path = config.get("dataset_path")
    return (HubData(path, config.get("dataset_name")),) if isinstance(path, str) and path not in BUILDERS else ()


def ask(path: str) -> str | None:
    """The newest commit of a data set. Raises what the hub's client raises if the hub does not answer or refuses."""
    from huggingface_hub import HfApi

    return HfApi().dataset_info(path, timeout=10).sha


@functools.cache
def _newest(path: str) -> str | None:
    """The hub's newest commit, queried once per process, so that base and student are scored on the same revision."""
    try:
        return ask(path)
    except Exception:  # the hub's client raises many different classes
        return None
