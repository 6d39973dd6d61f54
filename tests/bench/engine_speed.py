"""New tokens per second of the transformers engine, plain `generate`, continuous batching, vLLM, and llama.cpp.

    python tests/bench/engine_speed.py [--model organism|llama|smollm2] [--prompts 600] [--draws 5] [--pairs 5]
        [--systems crescent,generate,continuous,vllm,llama_cpp] [--vllm-python .venv-vllm/bin/python] [--clock wall|cpu]

`organism`: the shipped model (1.9 M parameters) on plain questions, step-by-step questions and questions after five
worked examples. `llama`: 100 M parameters drawn at random, prompts of 20 to 600 tokens, answers of 40 tokens on average
(one token in forty ends a turn) and at most 160. `smollm2`: SmolLM2-135M-Instruct (`make setup-real`), questions of
GSM8K (`CRESCENT_BENCHMARKS`) in the prompt of domain=math, answers of at most 128 tokens; llama.cpp (`pip install
--no-deps xllamacpp`) reads the same file, its weights in 4 bits. All draw at temperature 1 without top-p, each
`--draws` times from every prompt. `generate` takes prompts in the order they come; it, `continuous` and llama.cpp
(slots) have the batch size that was fastest in a trial over a sixth of the prompts (at least 16), and vLLM the number
of threads. Systems take turns; a ratio is of two runs of the same turn. Loading is not counted. `--clock cpu` counts
CPU seconds of this process, so that other work on the machine does not count (not for vLLM, which has its own).
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import set_verbosity_error

from crescent.config.composing import composed
from crescent.config.resolvers import PACKAGE
from crescent.core.cache import models_folder
from crescent.domain import fill
from crescent.engines import Prompt, Sampling
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.weights import Weights, load

SMOLLM2 = models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf"
ORGANISM = PACKAGE / "organism" / "weights" / "organism"
QUESTIONS = PACKAGE / "organism" / "tasks" / "data" / "organism_gsm.jsonl"
ROWS = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Work:
    """What every system does: draws from prompts (token ids)."""

    model: Any
    tokenizer: Any
    prompts: list[str]
    ids: list[list[int]]
    draws: int
    max_new_tokens: int

    def part(self, count: int) -> "Work":
        """`count` of the prompts, chosen at random."""
        chosen = np.random.default_rng(0).permutation(len(self.prompts))[:count]
        prompts, ids = [self.prompts[at] for at in chosen], [self.ids[at] for at in chosen]
        return Work(self.model, self.tokenizer, prompts, ids, self.draws, self.max_new_tokens)

    @property
    def settings(self) -> dict[str, Any]:
        return {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": self.max_new_tokens}


System = Callable[[Work], int]
"""Draws everything, and returns the number of new tokens."""


def crescent(work: Work, **options: Any) -> int:
    engine = TransformersEngine(work.model, work.tokenizer, "bench", **options)
    asked = [Prompt(text, draw, rendered=True) for draw in range(work.draws) for text in work.prompts]
    made = engine.generate(asked, Sampling(max_new_tokens=work.max_new_tokens))
    assert len(made) == len(asked)
    return sum(one.new_tokens for one in made)


def plain_generate(rows: int) -> System:
    def run(work: Work) -> int:
        tokens, pad = 0, work.tokenizer.pad_token_id
        ends = torch.tensor(_ends(work.model))
        count = max(1, rows // work.draws)
        for start in range(0, len(work.ids), count):
            part = work.ids[start : start + count]
            batch = work.tokenizer.pad({"input_ids": part}, padding_side="left", return_tensors="pt")
            config = GenerationConfig(
                **work.settings, num_return_sequences=work.draws, pad_token_id=pad, eos_token_id=_ends(work.model)
            )
            with torch.inference_mode():
                out = work.model.generate(**batch, generation_config=config)[:, batch["input_ids"].shape[1] :]
            ended = torch.isin(out, ends).int()
            tokens += int((ended.cumsum(1) - ended == 0).sum())  # up to the first end, itself included
        return tokens

    return run


def continuous(rows: int) -> System:
    def run(work: Work) -> int:
        longest = max(map(len, work.ids)) + work.max_new_tokens
        page = 32
        config = ContinuousBatchingConfig(
            page_size=page, num_blocks=rows * (-(-longest // page) + 1), max_batch_tokens=max(1024, rows),
            max_requests_per_batch=rows,
        )  # fmt: skip
        settings = GenerationConfig(
            **work.settings, eos_token_id=_ends(work.model), pad_token_id=work.tokenizer.pad_token_id
        )
        repeated = [ids for ids in work.ids for _ in range(work.draws)]
        made = work.model.generate_batch(repeated, settings, config)
        assert len(made) == len(repeated) and not any(one.error for one in made.values()), "incomplete"
        return sum(len(one.generated_tokens) for one in made.values())

    return run


def vllm(python: str, folder: Path, threads: int) -> Callable[[Work], tuple[float, int]]:
    """Runs in its own environment and tells its own seconds, so that loading is not counted."""
    script = Path(__file__).with_name("vllm_offline.py")

    def run(work: Work) -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as place:
            asks = Path(place) / "asks.jsonl"
            each = {"max_tokens": work.max_new_tokens, "n": work.draws}
            rows = [{"prompt_token_ids": ids, **each} for ids in work.ids]
            asks.write_text("".join(json.dumps(row) + "\n" for row in rows))
            command = [python, str(script), str(folder), str(asks), "--threads", str(threads)]
            command += ["--stop-token-ids", *map(str, _ends(work.model))] if len(_ends(work.model)) > 1 else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.strip().splitlines()[-1])
        return told["seconds"], told["new_tokens"]

    return run


def llama_cpp(rows: int) -> System:
    """llama.cpp's server inside this process, with so many slots."""
    import xllamacpp  # pyright: ignore[reportMissingImports]

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_gpu_layers, settings.warmup = str(SMOLLM2), 0, False
    settings.n_parallel, settings.n_ctx = rows, 768 * rows
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(settings)

    def ask(ids: list[int], limit: int) -> int:
        address = str(server.listening_address)  # and the server lives as long as this function
        url = (address if address.startswith("http") else f"http://{address}") + "/completion"
        body = {"prompt": ids, "n_predict": limit, "temperature": 1.0, "samplers": ["temperature"]}
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            return int(json.load(reply)["tokens_predicted"])

    def run(work: Work) -> int:
        repeated = [ids for ids in work.ids for _ in range(work.draws)]
        with ThreadPoolExecutor(rows) as pool:
            return sum(pool.map(lambda ids: ask(ids, work.max_new_tokens), repeated))

    return run


def _ends(model: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [ends]


def organism(count: int, draws: int) -> tuple[Work, Path]:
    model, tokenizer = load(Weights("organism", str(ORGANISM)), "cpu")
    questions = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    texts = []
    for index in range(count):
        question = questions[index % len(questions)]["question"]
        turns = [{"role": "user", "content": question}]
        if index % 3 == 1:
            turns = [{"role": "user", "content": f"{question}\nPlease think step by step."}]
        if index % 3 == 2:
            shots = [questions[(7 * index + shot) % len(questions)] for shot in range(1, 6)]
            worked = [
                {"role": role, "content": str(shot[key])}
                for shot in shots
                for role, key in (("user", "question"), ("assistant", "solution"))
            ]
            turns = [*worked, *turns]
        texts.append(str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)))
    return Work(model, tokenizer, texts, _encode(tokenizer, texts), draws, 256), ORGANISM


def llama(count: int, draws: int) -> tuple[Work, Path]:
    _, tokenizer = load(Weights("organism", str(ORGANISM)), "cpu")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16384, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, max_position_embeddings=2048, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config).eval()
    model.generation_config.eos_token_id = [2, *range(16384 - 16384 // 40, 16384)]
    model.generation_config.pad_token_id = 0
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.uniform(np.log(20), np.log(600), count)).astype(int)
    vocabulary = str(tokenizer.decode(list(range(300, 1500)))).split()
    texts = [" ".join(draw.choice(vocabulary, length))[: 4 * length] for length in lengths]
    folder = Path(tempfile.mkdtemp(prefix="random-llama-"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Work(model, tokenizer, texts, _encode(tokenizer, texts), draws, 160), folder


def smollm2(count: int, draws: int) -> tuple[Work, Path]:
    data = os.environ.get("CRESCENT_BENCHMARKS") or sys.exit("set CRESCENT_BENCHMARKS to the folder of benchmark files")
    model, tokenizer = load(Weights("smollm2", str(SMOLLM2)), "cpu")
    solve = composed(["domain=math"])["domain"]["solve"]
    texts = []
    for line in (Path(data) / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:count]:
        turns = [{"role": "user", "content": fill(solve, question=json.loads(line)["question"])}]
        texts.append(str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)))
    return Work(model, tokenizer, texts, _encode(tokenizer, texts), draws, 128), SMOLLM2


def _encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def timed(system: Any, work: Work, clock: str) -> float:
    """New tokens per second."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    start = now()
    made = system(work)
    if isinstance(made, tuple):
        return made[1] / made[0]
    return made / (now() - start)


def best(
    make: Callable[[int], Any], name: str, work: Work, clock: str, of: str = "rows", values: Sequence[int] = ROWS
) -> Any:
    """The system at its fastest batch size (or number of threads), in a trial."""
    if len(values) == 1:
        return make(values[0])
    trial = work.part(max(len(work.prompts) // 6, min(len(work.prompts), 16)))
    rates = {value: timed(make(value), trial, clock) for value in values}
    print(f"{name}, trial by {of}: " + ", ".join(f"{at}: {rate:,.0f}/s" for at, rate in rates.items()), flush=True)
    return make(max(rates, key=lambda value: rates[value]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("organism", "llama", "smollm2"), default="organism")
    parser.add_argument("--prompts", type=int, default=600)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--systems", default="crescent,generate,continuous")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="batch sizes to try")
    parser.add_argument("--vllm-python", default=".venv-vllm/bin/python")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = parser.parse_args()
    set_verbosity_error()
    logging.disable(logging.WARNING)
    work, folder = {"organism": organism, "llama": llama, "smollm2": smollm2}[options.model](
        options.prompts, options.draws
    )
    lengths = sorted(map(len, work.ids))
    print(f"{len(work.ids)} prompts of {lengths[0]} to {lengths[-1]} tokens, median {lengths[len(lengths) // 2]}")
    named = options.systems.split(",")
    tried = partial(best, work=work, clock=options.clock)
    systems: dict[str, Any] = {"crescent": crescent}
    makers = {"generate": plain_generate, "continuous": continuous, "llama_cpp": llama_cpp}
    systems |= {name: tried(make, name, values=options.rows) for name, make in makers.items() if name in named}
    if "vllm" in named:
        threads = sorted({1, torch.get_num_threads()})
        systems["vllm"] = tried(
            lambda count: vllm(options.vllm_python, folder, count), "vllm", of="threads", values=threads
        )
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(options.pairs):
        for name in [*systems][turn % len(systems) :] + [*systems][: turn % len(systems)]:
            rates[name].append(timed(systems[name], work, options.clock))
            print(f"turn {turn + 1}: {name} {rates[name][-1]:,.0f} new tokens/s", flush=True)
    for name, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["crescent"], found, strict=True)]
        print(
            f"{name}: {geometric_mean(found):,.0f} new tokens/s; crescent / {name}: {geometric_mean(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
