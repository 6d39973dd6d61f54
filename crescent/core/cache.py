"""Folders of Crescent's per-user cache, next to the Hugging Face cache."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$HF_HOME/crescent`; without HF_HOME, `crescent` in the default cache of the Hugging Face libraries."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or caches / "huggingface").expanduser() / "crescent"


def models_folder() -> Path:
    """Folder of the presets' GGUF files: `$CRESCENT_MODELS`, or a folder in the cache."""
    return Path(os.environ.get("CRESCENT_MODELS") or cache_folder() / "models").expanduser()
