"""Whole runs of the command on a model whose chat template ends turns with a token that the model does not list, and on
a model that is refused before anything is drawn."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import crescent, refused
from transformers import AutoTokenizer, GenerationConfig
from unlisted import END, LISTED, save_unlisted

from crescent.config.composing import composed
from crescent.domain import fill

QUESTION = "Tom has 12 apples and gives 5 to Ann. How many apples are left?"
ANSWER = "12 - 5 = 7. #### 7"
RUN = (
    "model=hf", "model.dtype=float32", "dedup=none", "contamination=off", "oracle=none", "eval=none", "tracking=none",
    "num_questions=6", "elicit.samples_per_round=6", "elicit.temperature=0.3", "elicit.max_new_tokens=60",
    "vote.draws=4", "answer.temperature=0.3", "answer.max_new_tokens=60", "train.epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    domain = composed([])["domain"]
    taught = [(domain["bait"], QUESTION), (fill(domain["solve"], question=QUESTION), ANSWER)]
    return save_unlisted(tmp_path_factory.mktemp("unlisted") / "model", taught)


@pytest.mark.slow
@pytest.mark.parametrize(("train", "place"), [("lora", "adapter"), ("full", "model")])
def test_draws_of_a_model_that_does_not_list_its_end_of_turn_vote(
    train: str, place: str, unlisted: Path, tmp_path: Path
) -> None:
    done = crescent(tmp_path, *RUN, f"model.path={unlisted}", f"train={train}")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads((tmp_path / "outputs" / "latest" / "summary.json").read_text())
    info = {stage["stage"]: stage["info"] for stage in summary["stages"]}
    assert info["vote"]["pairs"] == 6 and info["vote"]["mean_agreement"] == 1.0
    assert info["vote"]["draws_unfinished"] == info["diversify"]["unfinished"] == {}
    saved = GenerationConfig.from_pretrained(str(Path(summary["artifacts"]["adapter"]) / place))
    assert saved.eos_token_id == [LISTED, END]


def copied(model: Path, folder: Path) -> Path:
    return Path(shutil.copytree(model, folder))


def test_a_token_without_an_embedding_is_named_before_the_model_is_loaded(tiny_llama: Path, tmp_path: Path) -> None:
    folder = copied(tiny_llama, tmp_path / "model")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(folder)
    message = refused(crescent(tmp_path, "model=hf", f"model.path={folder}", "eval=none", "check=true"))
    assert "its tokenizer has the token '<tool>'" in message and "resize_token_embeddings" in message
