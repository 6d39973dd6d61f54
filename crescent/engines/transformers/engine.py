"""Generates with any Hugging Face causal language model, on CPU or GPU.

In: prompts. Out: completions, in order. There are two ways to decode: our own `padded` batches (`padded.py`),
reproducible on a CPU in float32, and the library's `continuous` batching (`continuous.py`), which has no padding and
pays off on GPUs. This module trains nothing and writes no files.
"""

import gc
import logging
from collections.abc import Sequence
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crescent.core.errors import UserError
from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.encoding import encode
from crescent.engines.thoughts import open_thought_of
from crescent.engines.transformers.continuous import (
    ContinuousBatchingError,
    ContinuousDecoder,
    has_flash_attention,
    why_not,
    why_not_drawn,
)
from crescent.engines.transformers.padded import PaddedDecoder
from crescent.engines.transformers.rows import Row, Work
from crescent.engines.transformers.sampling import random_key
from crescent.engines.turns import end_tokens

log = logging.getLogger(__name__)
Batching = Literal["auto", "padded", "continuous"]
LARGE = 300_000_000  # parameters from which a GPU spends its time in the model rather than launching kernels


class TransformersEngine:
    """A loaded model that completes prompts. See `crescent.engines.Engine`."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        identity: str,
        max_batch: int = 256,
        batching: Batching = "padded",
    ) -> None:
        self.model, self.tokenizer, self.identity = model, tokenizer, identity
        self.device = model.device
        self.batching, self._may_change = self._choose(batching), batching == "auto"
        self.deterministic = self.batching == "padded" and self.device.type == "cpu" and model.dtype == torch.float32
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)
        self._max_batch = max_batch
        self._ends = sorted(end_tokens(model.generation_config, tokenizer))
        self._decoder = self._build()

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """Returns one completion per prompt, in order.

        A prompt that fills the model's context gets an empty completion with finish_reason "length". Raises OutOfMemory
        if a single row does not fit.
        """
        rows = self._rows(prompts, sampling)
        work = Work(self.tokenizer, sampling, len(rows), finished, self._ends)
        for row in rows:
            if row.finish is not None:
                work.hand_out(row, 0.0)
        self._run([row for row in rows if row.finish is None], work)
        return [completion for completion in work.completions if completion is not None]

    def close(self) -> None:
        """Frees the model's memory."""
        del self.model, self._decoder
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids as the model reads them, with at most one begin-of-sequence token."""
        return tuple(encode(prompt, self.tokenizer))

    def _choose(self, batching: Batching) -> Literal["padded", "continuous"]:
        """Resolves "auto" for this model and machine, and logs the choice.

        On a CPU, padded batches were faster for the organism with mixed lengths (tests/bench/engine_speed.py). Larger
        models, and all models on a GPU, have not been measured: the choice there follows from how the two methods work.
        """
        size, reason = self.model.num_parameters(), why_not(self.model)
        if batching == "continuous" and reason is not None:
            raise UserError(f"engine.batching=continuous cannot be used: {reason}. Choose padded or auto.")
        if batching != "auto":
            return batching
        pays = self.device.type == "cuda" and size >= LARGE and reason is None and has_flash_attention()
        chosen = "continuous" if pays else "padded"
        log.info("%s batches: %s", chosen, self._reason(size, reason))
        return chosen

    def _reason(self, size: int, reason: str | None) -> str:
        """Why `auto` chose as it did: what rules out continuous batches, or that nothing does."""
        if reason is not None:
            return reason
        if self.device.type != "cuda":
            return f"the model runs on {self.device.type}"
        if size < LARGE:
            return f"{size:,} parameters are fewer than {LARGE:,}"
        return f"{size:,} parameters on a GPU with{'' if has_flash_attention() else 'out'} flash attention"

    def _build(self) -> PaddedDecoder | ContinuousDecoder:
        if self.batching == "continuous":
            pad: Any = self.tokenizer.pad_token_id
            return ContinuousDecoder(self.model, pad or 0, self._ends, self._max_batch)
        return self._padded()

    def _padded(self) -> PaddedDecoder:
        pad: Any = self.tokenizer.pad_token_id
        ends = torch.tensor(self._ends, device=self.device)
        return PaddedDecoder(self.model, pad or 0, ends, self._max_batch, self.deterministic)

    def _run(self, rows: list[Row], work: Work) -> None:
        """Decodes rows. If continuous batching was chosen by "auto" and fails, the remaining rows use padded batches.

        Raises UserError if it fails and was requested explicitly.
        """
        failure = ""
        try:
            self._decoder_for(work.sampling).run(rows, work)
        except ContinuousBatchingError as error:
            failure = str(error)
            if not self._may_change:
                raise UserError(
                    f"engine.batching=continuous failed ({failure}). Choose engine.batching=padded, or another release "
                    "of transformers."
                ) from error
        if failure:  # outside of `except`: the error keeps the library's memory alive
            log.warning("continuous batching failed (%s); continuing with padded batches", failure)
            self.batching = "padded"
            self._decoder = self._build()
            left = [row for row in rows if row.finish is None]
            for row in left:
                row.begin_again()
            self._decoder.run(left, work)

    def _decoder_for(self, sampling: Sampling) -> PaddedDecoder | ContinuousDecoder:
        """The decoder, or padded batches where the library's own would leave out a part of the sampling."""
        if self.batching == "padded" or (reason := why_not_drawn(sampling)) is None:
            return self._decoder
        if not self._may_change:
            raise UserError(f"engine.batching=continuous cannot be used: {reason}. Choose padded or auto.")
        return self._padded()

    def _rows(self, prompts: Sequence[Prompt | str], sampling: Sampling) -> list[Row]:
        asked = [Prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        ids = {key: self.encode(Prompt(*key)) for key in {(p.text, 0, p.rendered) for p in asked}}
        opened_by = {key: open_thought_of(some, self.tokenizer) for key, some in ids.items()}
        rows = []
        for index, prompt in enumerate(asked):
            prompt_ids = ids[prompt.text, 0, prompt.rendered]
            limit = max(0, min(sampling.max_new_tokens, self.context - len(prompt_ids)))
            key = random_key(sampling.seed, prompt_ids, prompt.draw)
            opened = opened_by[prompt.text, 0, prompt.rendered]
            rows.append(Row(index, prompt_ids, limit, key, finish=None if limit else "length", opened=opened))
        return rows
