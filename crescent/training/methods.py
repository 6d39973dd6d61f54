"""Which part of a model is trained and saved: `Lora` (an adapter), `QLora` (an adapter on 4-bit weights) or `Full` (the
whole model).

In: a `Weights`. Out: a model ready to train, later the files with what it learned, and the `Weights` that load them
again. Equal runs write equal files: no paths, no model card, lists in a fixed order.
"""

import json
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from crescent.core.errors import UserError
from crescent.engines.attention import needed_attention
from crescent.engines.dates import without_date
from crescent.engines.model_files import local_folder
from crescent.engines.saving import save_like_base
from crescent.engines.turns import list_end
from crescent.engines.weights import Weights, load, load_tokenizer
from crescent.training.checks import is_real, is_whole, require
from crescent.training.learning_rates import ADAPTERS, WHOLE_MODELS, UsualRate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ADAPTER = "adapter"
MODEL = "model"
MAX_RANK = 65_536


class Method(Protocol):
    """A way to train a model. `usual_rates` are its usual learning rates, from small to large models."""

    usual_rates: ClassVar[Sequence[UsualRate]]

    def check(self) -> None:
        """Raises UserError if a package is missing. Loads nothing."""
        ...

    def load(self, weights: Weights) -> "tuple[Any, PreTrainedTokenizerBase]":
        """Returns the model on the CPU in train mode, where only trained parameters require gradients, and its
        tokenizer."""
        ...

    def save(self, model: Any, tokenizer: Any, weights: Weights, folder: Path) -> dict[str, Path]:
        """Writes what was learned below `folder`; returns the paths by their name in the artifact."""
        ...

    def saved_bytes(self, trained: int, weights: Weights) -> int:
        """Approximate size of what `save` writes for `trained` parameters."""
        ...

    def trained(self, weights: Weights, artifact: Path, key: str) -> Weights:
        """The weights after training, from an artifact with what `save` wrote."""
        ...


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., arXiv 2106.09685): W + alpha / rank * B A, B and A trained, W frozen.

    `target_modules` is "all-linear" (every linear layer except the output head), a regular expression, or names. If the
    weights already have an adapter, its training continues, so the result is always relative to the plain model.
    """

    usual_rates: ClassVar[Sequence[UsualRate]] = ADAPTERS
    rank: int
    alpha: float
    dropout: float
    target_modules: str | Sequence[str]

    def __post_init__(self) -> None:
        right = is_whole(self.rank) and 1 <= self.rank <= MAX_RANK
        require(right, "method.rank", self.rank, f"a whole number from 1 to {MAX_RANK}, such as 16")
        require(is_real(self.alpha) and self.alpha > 0, "method.alpha", self.alpha, "above 0, such as twice the rank")
        require(is_real(self.dropout) and 0 <= self.dropout < 1, "method.dropout", self.dropout, "from 0 to below 1")
        require(len(self.target_modules) > 0, "method.target_modules", self.target_modules, "all-linear or names")
        if not isinstance(self.target_modules, str):  # their order cannot change a result, so it must not change a key
            object.__setattr__(self, "target_modules", tuple(sorted(self.target_modules)))

    def check(self) -> None:
        """No-op: peft comes with Crescent."""

    def load(self, weights: Weights) -> "tuple[Any, PreTrainedTokenizerBase]":
        """The frozen model with a trainable adapter: a new one, or that of `weights`."""
        model, tokenizer = load(replace(weights, adapter=None, adapter_key=None), "cpu")
        return self.adapt(model, weights), tokenizer

    def adapt(self, model: Any, weights: Weights) -> Any:
        """Adds a trainable adapter to `model`, which has none."""
        from peft import LoraConfig, PeftModel, get_peft_model

        model.requires_grad_(False)
        model.train()  # loading leaves eval mode, and layers added by peft copy the mode
        targets = self.target_modules if isinstance(self.target_modules, str) else list(self.target_modules)
        alpha: Any = self.alpha  # peft declares int but accepts any number
        config = LoraConfig(
            r=self.rank, lora_alpha=alpha, lora_dropout=self.dropout, target_modules=targets, task_type="CAUSAL_LM"
        )
        with warnings.catch_warnings():
            # peft 0.21 uses the old name in transformers 5.23: nothing that a user can fix
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            if weights.adapter is None:
                return get_peft_model(model, config)
            adapted = PeftModel.from_pretrained(model, str(weights.adapter), is_trainable=True)
        self._check_same_shape(adapted.peft_config["default"])
        return adapted.train()

    def save(self, model: Any, tokenizer: Any, weights: Weights, folder: Path) -> dict[str, Path]:
        """Only the adapter, as safetensors; plus a generation config if the model's own lacks the learned end of
        turn."""
        path = folder / ADAPTER
        model.save_pretrained(path, save_embedding_layers=False)  # "auto" would request the model's config from the hub
        (path / "README.md").unlink(missing_ok=True)  # a card full of blanks, with the model's path
        file = path / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = None if weights.is_local else weights.path
        for name, value in config.items():
            if isinstance(value, list):  # sets, written in an order that changes with each process
                config[name] = sorted(value)
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        base = model.get_base_model()
        if list_end(base, tokenizer):
            base.generation_config.save_pretrained(path)
        return {ADAPTER: path}

    def saved_bytes(self, trained: int, weights: Weights) -> int:
        """An adapter is saved in float32."""
        return 4 * trained

    def trained(self, weights: Weights, artifact: Path, key: str) -> Weights:
        """The same model with this artifact's adapter instead of any previous one."""
        return weights.with_adapter(artifact / ADAPTER, key)

    def _check_same_shape(self, config: Any) -> None:
        found = {"rank": config.r, "alpha": config.lora_alpha, "dropout": config.lora_dropout}
        for name, value in found.items():
            require(getattr(self, name) == value, f"method.{name}", getattr(self, name), f"{value}, as in the adapter "
                    "that training continues")  # fmt: skip


@dataclass(frozen=True, slots=True)
class QLora:
    """LoRA on frozen 4-bit weights (Dettmers et al., arXiv 2305.14314), stored and computed by bitsandbytes.

    The adapter is used with the unquantised weights afterwards, as usual; the cost of rounding to 4 bits shows in the
    scores. `quantization` is nf4 or fp4; `double_quantization` quantises the scales too (0.4 bits less per weight).
    """

    usual_rates: ClassVar[Sequence[UsualRate]] = ADAPTERS
    rank: int
    alpha: float
    dropout: float
    target_modules: str | Sequence[str]
    quantization: Literal["nf4", "fp4"]
    double_quantization: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_modules", self.lora.target_modules)

    @property
    def lora(self) -> Lora:
        """The adapter's own settings."""
        return Lora(self.rank, self.alpha, self.dropout, self.target_modules)

    def check(self) -> None:
        """Raises UserError if bitsandbytes is missing."""
        if find_spec("bitsandbytes") is None:
            raise UserError(
                "train=qlora needs the package bitsandbytes: pip install 'crescent-lm[qlora]', or choose train=lora"
            )

    def load(self, weights: Weights) -> "tuple[Any, PreTrainedTokenizerBase]":
        """The 4-bit model with a trainable adapter; on this process's GPU if there is one, because bitsandbytes
        quantises there."""
        import os

        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

        folder = local_folder(weights)
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
        dtype = getattr(torch, weights.dtype)
        config = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=self.quantization, bnb_4bit_compute_dtype=dtype,
            bnb_4bit_use_double_quant=self.double_quantization,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=config, device_map={"": device},
            attn_implementation=needed_attention(AutoConfig.from_pretrained(folder)),
        )  # fmt: skip
        return self.lora.adapt(model, weights), load_tokenizer(weights)

    def save(self, model: Any, tokenizer: Any, weights: Weights, folder: Path) -> dict[str, Path]:
        """Only the adapter, as safetensors."""
        return self.lora.save(model, tokenizer, weights, folder)

    def saved_bytes(self, trained: int, weights: Weights) -> int:
        """An adapter is saved in float32."""
        return self.lora.saved_bytes(trained, weights)

    def trained(self, weights: Weights, artifact: Path, key: str) -> Weights:
        """The same model, unquantised, with this artifact's adapter instead of any previous one."""
        return self.lora.trained(weights, artifact, key)


@dataclass(frozen=True, slots=True)
class Full:
    """Trains all weights in float32; the saved model has the dtype in which the weights are loaded."""

    usual_rates: ClassVar[Sequence[UsualRate]] = WHOLE_MODELS

    def check(self) -> None:
        """No-op: needs no other package."""

    def load(self, weights: Weights) -> "tuple[Any, PreTrainedTokenizerBase]":
        """The model, with an adapter of `weights` merged into it."""
        model, tokenizer = load(weights, "cpu")
        return model.float().train().requires_grad_(True), tokenizer

    def save(self, model: Any, tokenizer: Any, weights: Weights, folder: Path) -> dict[str, Path]:
        """The whole model with its tokenizer, as `from_pretrained` reads it. Its generation config lists the learned
        end of turn."""
        import torch

        list_end(model, tokenizer)
        is_changed = weights.chat_template_kwargs or weights.template != "chat"
        template = without_date(tokenizer.chat_template) if is_changed else None
        save_like_base(model.to(getattr(torch, weights.dtype)), local_folder(weights), folder / MODEL, template)
        return {MODEL: folder / MODEL}

    def saved_bytes(self, trained: int, weights: Weights) -> int:
        """The whole model, in the dtype of `weights`."""
        import torch

        return getattr(torch, weights.dtype).itemsize * trained

    def trained(self, weights: Weights, artifact: Path, key: str) -> Weights:
        """The model in this artifact."""
        return replace(weights.in_folder(artifact / MODEL), adapter=None, adapter_key=None)


def autocast_adapters(model: Any, precision: str) -> AbstractContextManager[Any]:
    """Leaves the number format of an adapter's input to autocast while the context lasts. peft would make a copy of it
    in float32, which autocast then casts back and autograd keeps: 16 % more activations for bfloat16 weights."""
    from peft.helpers import disable_input_dtype_casting

    return disable_input_dtype_casting(model, active=precision == "bf16-mixed")
