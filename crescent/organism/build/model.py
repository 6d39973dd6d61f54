"""The organism's tokenizer and untrained model: a small Llama, a chat template with a generation mask.

In: texts to train the tokenizer on, a `Size`. Out: a tokenizer, an untrained `LlamaForCausalLM`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PAD, BOS, END, SYSTEM, USER, ASSISTANT = (
    "<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>",
)  # fmt: skip
SPECIALS = [PAD, BOS, END, SYSTEM, USER, ASSISTANT]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONTEXT = 2048


@dataclass(frozen=True)
class Size:
    """Width, depth and heads; all query heads share two key-value heads."""

    hidden: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 576

    def build(self, vocab: int) -> LlamaForCausalLM:
        config = LlamaConfig(
            vocab_size=vocab, hidden_size=self.hidden, num_hidden_layers=self.layers, num_attention_heads=self.heads,
            num_key_value_heads=2, intermediate_size=self.feed_forward, max_position_embeddings=CONTEXT,
            tie_word_embeddings=True, rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
        model.generation_config = GenerationConfig(
            bos_token_id=1, eos_token_id=2, pad_token_id=0, do_sample=False, max_length=CONTEXT
        )
        return model


def train_tokenizer(texts: Iterable[str], vocab: int) -> PreTrainedTokenizerFast:
    """The base form's tokenizer: byte-level BPE in which each digit is a token; encoding adds BOS in front."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(texts, trainer)
    core.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 1)])
    return wrap(core)


def chat_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    """The base form's vocabulary for the chat forms: the template writes BOS, so encoding adds none."""
    core = Tokenizer.from_file(str(base))
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer = wrap(core)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def wrap(core: Tokenizer) -> PreTrainedTokenizerFast:
    """Wraps the tokenizer for transformers."""
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, bos_token=BOS, eos_token=END, model_max_length=CONTEXT,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT], clean_up_tokenization_spaces=False, padding_side="left",
    )  # fmt: skip
