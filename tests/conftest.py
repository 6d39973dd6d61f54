"""Shared fixtures: a quiet console, an empty store, tiny random chat models of real architectures on disk."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models are tiny; two threads that wait for each other are slower
os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="offline", TOKENIZERS_PARALLELISM="false", HF_DATASETS_OFFLINE="1")

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from crescent.core.console import Console
from crescent.core.store import Store

CHATML = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}\n"
    "{% else %}{{ message['content'] }}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
WORDS = "Tom has 12 apples and gives 5 to Ann. How many apples are left? The answer is #### 7. Think step by step."


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def save_tokenizer(folder: Path, template: str | None = CHATML) -> int:
    """A byte-level BPE of 400 tokens with chat markers, saved to `folder`. Returns the size of its vocabulary."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<|end|>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([WORDS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="<|end|>", pad_token="<pad>", chat_template=template
    )
    fast.save_pretrained(folder)
    return tokenizer.get_vocab_size()


def save_tiny_model(folder: Path, architecture: str = "llama", template: str | None = CHATML) -> Path:
    """A random two-layer model of a real architecture with its tokenizer, saved as any Hugging Face model is."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    vocabulary = save_tokenizer(folder, template)
    shape = {
        "vocab_size": vocabulary, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048, "bos_token_id": 0,
        "eos_token_id": 1, "pad_token_id": 2, "tie_word_embeddings": True,
    }  # fmt: skip
    torch.manual_seed(0)
    if architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**shape))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**shape))
    model.save_pretrained(folder)
    return folder


def save_random_adapter(model: Path, folder: Path, rank: int = 4) -> Path:
    """A LoRA adapter of random weights for the model in a folder, large enough to change what it says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(base, config)
    torch.manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    adapted.save_pretrained(folder, save_embedding_layers=False)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama chat model (about 40,000 parameters)."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Qwen 2 chat model."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "qwen", "qwen2")


@pytest.fixture(scope="session")
def engine(tiny_llama: Path) -> Any:
    """Weights 20 times as large as a fresh model's, so that different prompts get different, many-coloured replies."""
    import torch

    from crescent.engines.transformers.engine import TransformersEngine
    from crescent.engines.weights import Weights, load

    model, tokenizer = load(Weights("tiny", str(tiny_llama)), "cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.4)
    return TransformersEngine(model, tokenizer, "tiny-identity")
