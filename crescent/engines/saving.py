"""Saves a model so that other tools load it as they load its base.

Earlier releases of transformers, and tools that build on them (vLLM, SGLang, LLaMA-Factory, llama.cpp's converter),
misread config files that transformers 5 writes: `rope_theta` is only in `rope_parameters`, so they silently use 10,000,
and they do not know the names of tokenizer classes. So the base's own files are copied where they still describe the
model, and the older names are added where they are missing.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crescent.core.store import write_atomic

CONFIG, GENERATION, TOKENIZER, TEMPLATE = (
    "config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja",
)  # fmt: skip
_TOKENIZER_FILES = (
    "tokenizer.json", TOKENIZER, "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "tokenizer.model", "spiece.model", "tekken.json", TEMPLATE, "chat_template.json",
)  # fmt: skip
_GENERIC = "PreTrainedTokenizerFast"  # what every release knows


def save_like_base(model: Any, base: Path, folder: Path, template: str | Mapping[str, str] | None = None) -> None:
    """Writes `model` to `folder`, with the config and tokenizer files of its `base` folder.

    The number format and the ends of turn are the model's own. `template` replaces the chat template, or the named
    templates.
    """
    config, generation = _read(base / CONFIG), _read(base / GENERATION)  # `folder` may be the base's own
    model.save_pretrained(folder)
    written = _read(folder / CONFIG)
    if config.get("architectures") == written.get("architectures"):
        written = {**config, "dtype": written["dtype"]}
    _write(folder / CONFIG, with_older_names(written))
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if generation:
        _write(folder / GENERATION, generation if ends is None else {**generation, "eos_token_id": ends})
    save_tokenizer(base, folder, template)


def with_older_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config with the names that releases before transformers 5 read as well: `rope_theta`, `rope_scaling`,
    `torch_dtype`."""
    made = {key: with_older_names(value) if key == "text_config" else value for key, value in config.items()}
    rope = config.get("rope_parameters")
    if isinstance(rope, Mapping) and "rope_theta" in rope:  # others have a mapping for each kind of layer
        made.setdefault("rope_theta", rope["rope_theta"])
        if rope.get("rope_type", "default") != "default":
            made.setdefault("rope_scaling", {key: value for key, value in rope.items() if key != "rope_theta"})
    if "dtype" in made:
        made["torch_dtype"] = made["dtype"]
    return made


def save_tokenizer(base: Path, folder: Path, template: str | Mapping[str, str] | None) -> None:
    for name in _TOKENIZER_FILES:
        if (base / name).exists() and base.resolve() != folder.resolve():
            shutil.copyfile(base / name, folder / name)
    settings = _read(folder / TOKENIZER)
    changed = _known_to_older(settings)
    if template is not None:
        for name in (TEMPLATE, "chat_template.json"):
            (folder / name).unlink(missing_ok=True)
        if isinstance(template, str):
            write_atomic(folder / TEMPLATE, template)
            changed["chat_template"] = template  # for releases that know no file of its own
        else:
            changed["chat_template"] = [{"name": name, "template": text} for name, text in template.items()]
    if changed != settings:
        _write(folder / TOKENIZER, changed)


def _known_to_older(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A tokenizer's settings without what only transformers 5 knows."""
    made = dict(settings)
    if made.get("tokenizer_class") == "TokenizersBackend":
        made["tokenizer_class"] = _GENERIC
    if isinstance(made.get("extra_special_tokens"), list):  # a mapping before; the list had another name
        made.setdefault("additional_special_tokens", made.pop("extra_special_tokens"))
    return made


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_atomic(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
