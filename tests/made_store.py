"""A small store as runs leave it: real stages' keys, real ledgers and streams, an engine that echoes."""

import json
from dataclasses import dataclass
from pathlib import Path

from echo import Echo

from crescent.core.context import ModelKeys
from crescent.core.records import QAPair, Question
from crescent.core.store import Artifact, Key, Outcome, Store, make_key
from crescent.dedup import KeepAll
from crescent.dedup.stage import Diversify
from crescent.elicitation.stage import Elicit
from crescent.engines import LazyEngine, Sampling
from crescent.engines.ledger import Ask, Ledger
from crescent.voting.rules import Majority
from crescent.voting.stage import Vote

MODIFY, SOLVE = "{question} or {neighbour}?", "{question} Think."
EMBEDDER = make_key("embedder", 1, "tiny")
ENGINE = make_key("engine", 1, "base")


@dataclass(frozen=True, slots=True)
class Made:
    """A run, and what it has in the store."""

    folder: Path
    stream: str
    questions: Artifact
    pairs: Artifact
    adapter: Artifact
    ledgers: tuple[str, ...]


def run_of(store: Store, folder: Path, seed: int, draws: int = 3, status: str = "finished") -> Made:
    """Everything that a run with this seed makes, and its summary in `folder`."""
    engine, sampling = LazyEngine(ENGINE, Echo), Sampling(seed=seed)
    models = ModelKeys(ENGINE, EMBEDDER)
    stream = Elicit("Ask.", sampling, samples_per_round=2).run(_context(store, engine))
    for index in range(2):
        stream.shard(index)
    diversify = Diversify(KeepAll(), MODIFY, sampling, 4, 2)
    asked = [Question(f"{seed}-{index}", f"Question {seed}-{index}?", 0) for index in range(4)]
    rewrites, answers = (Ledger(store, engine, template, sampling) for template in (MODIFY, SOLVE))
    rewrites.complete([Ask("a", 0, "A or B?")])
    questions = store.build(diversify.key(models, stream.key), lambda work: Outcome(asked))
    answers.complete([Ask(one.id, draw, one.text) for one in asked for draw in range(draws)])
    made = [QAPair(one.id, one.text, "4", "4", draws, draws, 1.0) for one in asked]
    vote = Vote(Majority(draws=draws), "number").key(models, questions.key, answers.key)
    assert vote is not None
    pairs = store.build(vote, lambda work: Outcome(made))
    adapter = store.build(Key("finetune", 1, {"rank": 4}, (make_key("weights", 1, "w"), pairs.key)), _weights)
    (store.root / "embeddings" / EMBEDDER).mkdir(parents=True, exist_ok=True)
    (store.root / "embeddings" / EMBEDDER / "texts-2.bin").write_bytes(bytes(28))
    stages = [{"stage": "elicit", "key": stream.key}, {"stage": "diversify", "key": questions.key}]
    if status == "finished":
        stages += [{"stage": "answer", "key": answers.key}, {"stage": "vote", "key": pairs.key}]
        stages += [{"stage": "finetune", "key": adapter.key}]
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(f"seed: {seed}\n")
    (folder / "summary.json").write_text(json.dumps({"status": status, "stages": stages}))
    return Made(folder, stream.key, questions, pairs, adapter, (rewrites.key, answers.key))


def _weights(work: Path) -> Outcome:
    (work / "model.bin").write_bytes(bytes(5000))
    return Outcome((), {}, {"model.bin": work / "model.bin"})


def _context(store: Store, engine: LazyEngine):
    from stage_context import stage_context

    return stage_context(store, engine)


def files(store: Store) -> dict[str, bytes]:
    """Everything in a store but its locks."""
    found = (path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(store.root)): path.read_bytes() for path in found}
