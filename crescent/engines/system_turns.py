"""Whether a model's chat template supports a system turn.

In: weights, and the text of a system turn. Out: nothing, or a ValueError before the run: some templates raise an error
(Gemma 2), others drop system turns. This module loads no model.
"""

from typing import Any

from crescent.engines.model_files import folder_if_here
from crescent.engines.weights import Weights, load_tokenizer


def check_system_prompt(weights: Weights, prompt: str) -> None:
    """Raises ValueError if a system turn would not reach the model. A model whose tokenizer is not on this machine is
    not checked."""
    folder = folder_if_here(weights)
    if weights.template != "chat":
        raise _refused(weights, f"is prompted in plain text (model.template={weights.template}), without system turns")
    if folder is None:
        return
    from jinja2 import TemplateError

    tokenizer = load_tokenizer(weights.in_folder(folder))
    turns: Any = [{"role": "system", "content": prompt}, {"role": "user", "content": "How many?"}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise _refused(weights, f"has a chat template that refuses system turns ({error})") from None
    if prompt.strip() not in text:
        raise _refused(weights, "has a chat template that drops system turns")


def _refused(weights: Weights, why: str) -> ValueError:
    return ValueError(
        f"eval.system_prompt: model {weights.name!r} {why}. Set it to null, or put its text into the tasks' prompts."
    )
