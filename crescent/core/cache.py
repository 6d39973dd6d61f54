"""Where Crescent keeps what any run of a user may need again and could make again: beside the Hugging Face cache."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$HF_HOME/crescent`; without HF_HOME, where the Hugging Face libraries look by default."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or caches / "huggingface").expanduser() / "crescent"


def models_folder() -> Path:
    """Where the GGUF files of presets are: `$CRESCENT_MODELS`, or a folder in the cache."""
    return Path(os.environ.get("CRESCENT_MODELS") or cache_folder() / "models").expanduser()
