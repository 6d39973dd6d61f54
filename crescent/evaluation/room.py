"""Checks that a suite's token limits fit in a model's context, before any model is loaded.

In: settings, weights. Out: nothing, or a UserError. Reads the model's config.json and the tasks' YAML; a model that is
not on this machine is checked when it is scored.
"""

import json
from pathlib import Path

from crescent.core.errors import UserError
from crescent.engines.model_files import folder_if_here
from crescent.engines.weights import Weights
from crescent.evaluation import catalogue
from crescent.evaluation.settings import EvaluationSettings

_LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")  # in the order in which the harness looks for them


def check_room(settings: EvaluationSettings, weights: Weights) -> None:
    """Raises UserError if a task's limit of new tokens, thoughts included, leaves no context for its prompt."""
    folder = folder_if_here(weights)
    context = _context(folder) if folder is not None else None
    if context is None:
        return
    for source in catalogue.find(settings):
        for task in source.members or (source,):
            options = task.config.get("generation_kwargs") or {}
            limit = options.get("max_gen_toks", settings.max_new_tokens) + weights.thinking_tokens
            if task.generates and limit >= context:
                raise UserError(
                    f"task {task.name}: {limit} new tokens do not fit the context of {context} of model "
                    f"{weights.name!r}; lower eval.max_new_tokens, max_gen_toks in the task's YAML, or "
                    "model.thinking_tokens"
                )


def _context(folder: Path) -> int | None:
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found = (part.get(name) for part in (config.get("text_config") or {}, config) for name in _LENGTHS)
    return next((length for length in found if isinstance(length, int)), None)
