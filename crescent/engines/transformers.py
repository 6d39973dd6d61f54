"""Generation with any Hugging Face causal language model, on CPU or GPU.

In: prompts. Out: completions, in order. Rows are sorted by length and decoded in batches over a KV cache; a prompt that
is drawn several times is read once; finished rows leave the batch. On a CPU in float32 the text of (seed, prompt, draw)
does not depend on the batch (see `sampling.py`). It trains nothing and keeps no files.
"""

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from crescent.engines import Completion, Finished, Prompt, Sampling
from crescent.engines.sampling import choose, uniforms

log = logging.getLogger(__name__)
CACHE_SHARE = 0.25  # of free memory that one batch's KV cache may take: growing it copies it, attention repeats it


def best_device() -> str:
    """cuda, mps or cpu: the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass(slots=True)
class _Row:
    """One completion being written."""

    index: int
    prompt_ids: tuple[int, ...]
    draw: int
    limit: int
    uniform: np.ndarray
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: str = ""


@dataclass(frozen=True, slots=True)
class _Work:
    """One call of `generate`: how to sample, and the completions made so far."""

    sampling: Sampling
    stops: "_Stops"
    completions: list[Completion | None]
    finished: Finished | None


class TransformersEngine:
    """A loaded model that completes prompts. See `crescent.engines.Engine`."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, identity: str, max_batch: int = 256
    ) -> None:
        self.model, self.tokenizer, self.identity = model, tokenizer, identity
        self.device = model.device
        self.deterministic = self.device.type == "cpu" and model.dtype == torch.float32
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)
        self._max_batch = max_batch
        self._ends = torch.tensor(sorted(_end_tokens(model, tokenizer)), device=self.device)

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        """One completion for each prompt, in order.

        A prompt that fills the model's context gets an empty completion with finish_reason "length". Raises MemoryError
        when one row alone does not fit.
        """
        rows = self._rows(prompts, sampling)
        stops = _Stops(self.tokenizer, sampling.stop)
        work = _Work(sampling, stops, [None] * len(rows), finished)
        open_rows = sorted(rows, key=lambda row: (len(row.prompt_ids), row.prompt_ids))
        with torch.inference_mode():
            for row in rows:
                if row.limit <= 0:
                    self._hand_out(row, work)
            while open_rows := [row for row in open_rows if not row.finish]:
                self._try_batch(open_rows[: self._batch_size(open_rows)], work)
        return [completion for completion in work.completions if completion is not None]

    def close(self) -> None:
        """Lets the model's memory go."""
        del self.model
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids as the model reads them, with at most one begin-of-sequence token."""
        if prompt.rendered:
            ids: Any = self.tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        else:
            turn = [{"role": "user", "content": prompt.text}]
            encoded: Any = self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=True)
            ids = encoded["input_ids"]
        bos = self.tokenizer.bos_token_id
        assert bos is None or tuple(ids[:2]) != (bos, bos), "two begin-of-sequence tokens: text was templated twice"
        return tuple(ids)

    def _rows(self, prompts: Sequence[Prompt | str], sampling: Sampling) -> list[_Row]:
        asked = [Prompt(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        ids = {key: self.encode(Prompt(*key)) for key in {(p.text, 0, p.rendered) for p in asked}}
        rows = []
        for index, prompt in enumerate(asked):
            prompt_ids = ids[prompt.text, 0, prompt.rendered]
            limit = min(sampling.max_new_tokens, self.context - len(prompt_ids))
            count = max(0, limit) if sampling.temperature > 0 else 0
            uniform = uniforms(sampling.seed, prompt_ids, prompt.draw, count)
            rows.append(_Row(index, prompt_ids, prompt.draw, limit, uniform, finish="" if limit > 0 else "length"))
        return rows

    def _batch_size(self, rows: Sequence[_Row]) -> int:
        """How many of the first rows fit: bounded by `max_batch` and by free memory for their KV cache."""
        config = self.model.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        token_bytes = 2 * config.num_hidden_layers * heads * head * self.model.dtype.itemsize
        budget = CACHE_SHARE * _free_bytes(self.device)
        longest = len(rows[min(len(rows), self._max_batch) - 1].prompt_ids) + rows[0].limit
        return int(max(1, min(self._max_batch, len(rows), budget // (token_bytes * longest))))

    def _try_batch(self, batch: list[_Row], work: "_Work") -> None:
        """Decodes a batch. Where memory runs out, its unfinished rows begin again in smaller ones."""
        try:
            self._decode(batch, work)
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise MemoryError(
                    f"out of memory for one prompt of {len(batch[0].prompt_ids)} tokens. "
                    "Use a smaller model, dtype bfloat16, or fewer max_new_tokens."
                ) from None
        for row in batch:
            if not row.finish:
                row.tokens.clear()
                row.logprob = 0.0
        self._max_batch = len(batch) // 2
        log.warning("out of memory with %d rows in a batch; going on with %d", len(batch), self._max_batch)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _decode(self, rows: list[_Row], work: "_Work") -> None:
        logits, cache, mask = self._read_prompts(rows)
        positions = mask.sum(dim=1)
        while True:
            tokens = self._next_tokens(rows, logits, work.sampling)
            live = self._finish(rows, tokens, work)
            if not live:
                return
            if len(live) < len(rows):
                keep = torch.tensor(live, device=self.device)
                cache.batch_select_indices(keep)
                rows = [rows[index] for index in live]
                tokens, mask, positions = tokens[keep], mask[keep], positions[keep]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            logits = self.model(
                input_ids=tokens.unsqueeze(1), attention_mask=mask, position_ids=positions.unsqueeze(1),
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            ).logits[:, -1]  # fmt: skip
            positions = positions + 1

    def _read_prompts(self, rows: Sequence[_Row]) -> tuple[torch.Tensor, DynamicCache, torch.Tensor]:
        """Logits after each row's prompt, the cache and the attention mask; each distinct prompt is read once."""
        distinct: dict[tuple[int, ...], int] = {}
        for row in rows:
            distinct.setdefault(row.prompt_ids, len(distinct))
        width = max(map(len, distinct))
        pad = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([(pad,) * (width - len(prompt)) + prompt for prompt in distinct], device=self.device)
        mask = torch.tensor(
            [(0,) * (width - len(prompt)) + (1,) * len(prompt) for prompt in distinct], device=self.device
        )
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        logits = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        if len(distinct) < len(rows):
            index = torch.tensor([distinct[row.prompt_ids] for row in rows], device=self.device)
            cache.batch_select_indices(index)
            logits, mask = logits[index], mask[index]
        return logits, cache, mask

    def _next_tokens(self, rows: Sequence[_Row], logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
        """The next token of each row [rows]; close calls are decided again on the row alone."""
        greedy = sampling.temperature == 0
        uniform = torch.tensor([0.0 if greedy else row.uniform[len(row.tokens)] for row in rows], dtype=torch.float64)
        tokens, close = choose(logits, uniform, sampling.temperature, sampling.top_p)
        if self.deterministic and close.any():
            for index in close.nonzero().flatten().tolist():
                alone = self._logits_alone(rows[index])[-1:]
                tokens[index] = choose(alone, uniform[index : index + 1], sampling.temperature, sampling.top_p)[0][0]
        logprobs = logits.float().gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.float().logsumexp(dim=-1)
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
            row.tokens.append(token)
            row.logprob += logprob
        return tokens

    def _finish(self, rows: Sequence[_Row], tokens: torch.Tensor, work: "_Work") -> list[int]:
        """Hands out the rows that ended with these tokens; returns the indices of the others."""
        ended = torch.isin(tokens, self._ends).tolist()
        for row, end in zip(rows, ended, strict=True):
            if end or work.stops.reached(row.tokens):
                row.finish = "stop"
            elif len(row.tokens) >= row.limit:
                row.finish = "length"
            if row.finish:
                self._hand_out(row, work)
        return [index for index, row in enumerate(rows) if not row.finish]

    def _hand_out(self, row: _Row, work: "_Work") -> None:
        made = work.completions[row.index] = self._completion(row, work.stops)
        if work.finished is not None:
            work.finished(row.index, made)

    def _logits_alone(self, row: _Row) -> torch.Tensor:
        """Logits [prompt + tokens written, vocabulary] of one row with no padding and no cache: the reference."""
        ids = torch.tensor([row.prompt_ids + tuple(row.tokens)], device=self.device)
        return self.model(input_ids=ids, use_cache=False).logits[0].float()

    def _completion(self, row: _Row, stops: "_Stops") -> Completion:
        mean = row.logprob / max(1, len(row.tokens))
        if self.deterministic and row.tokens and abs(abs(mean) * 100 % 1 - 0.5) < 1e-3:
            mean = self._mean_logprob_alone(row)  # too near a rounding edge to be told from the batch
        text = stops.cut(str(self.tokenizer.decode(row.tokens, skip_special_tokens=True)))
        finish = "stop" if row.finish == "stop" else "length"
        return Completion(text, finish, len(row.prompt_ids), len(row.tokens), round(mean, 2) + 0.0)

    def _mean_logprob_alone(self, row: _Row) -> float:
        logits = self._logits_alone(row)[len(row.prompt_ids) - 1 : -1]
        chosen = logits.gather(1, torch.tensor(row.tokens, device=self.device).unsqueeze(1)).squeeze(1)
        return float((chosen - logits.logsumexp(dim=-1)).double().mean())


class _Stops:
    """Stop strings. Text is decoded only after a token that can complete one of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stop for stop in stops if stop)
        last = {stop[-1] for stop in self._stops}
        pieces = enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))])) if last else ()
        self._can_end = {token for token, piece in pieces if last & set(piece) or "�" in piece}
        self._window = 2 * max(map(len, self._stops), default=0) + 8

    def reached(self, tokens: Sequence[int]) -> bool:
        if not self._stops or tokens[-1] not in self._can_end:
            return False
        tail = self._tokenizer.decode(list(tokens[-self._window :]), skip_special_tokens=True)
        return any(stop in tail for stop in self._stops)

    def cut(self, text: str) -> str:
        for stop in self._stops:
            text = text.split(stop, 1)[0]
        return text


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Tokens that end a turn: the generation config's (Llama 3 has two) and the tokenizer's."""
    configured: Any = getattr(model.generation_config, "eos_token_id", None)
    ends: list[Any] = [*(configured if isinstance(configured, list) else [configured]), tokenizer.eos_token_id]
    return {int(token) for token in ends if token is not None}


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return 4 << 30


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()
