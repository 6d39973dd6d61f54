"""How fast vLLM generates in this process: the mark that the engines are measured against.

    .venv-vllm/bin/python tests/bench/vllm_offline.py MODEL REQUESTS.jsonl [--temperature 1.0] [--top-p 1.0] ...

In: the folder of a model, and requests, one JSON object a line: {"prompt_token_ids": [...], "max_tokens": 200} and,
where wanted, "n" (draws of that prompt; 1). Out, on stdout, one line of JSON: {"seconds", "new_tokens",
"tokens_per_second", ...}. Seconds are of generation alone: loading, compiling and a warm-up on the first requests come
before the clock starts. It imports nothing of Crescent, and runs by hand in vLLM's own environment (docs/engines.md).

The settings are the fastest found for small models on a CPU: float32, threads unbound, prefix caching, torch.compile,
one engine seed instead of a generator for each request (`--seed-each` gives each its own, as `engine=vllm` does).
`--threads` beyond the cores that are free makes it many times slower: OpenMP's threads spin while they wait.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

WARM_UP = 8  # requests generated before the clock starts
ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    """Generates once and prints what it took."""
    options = arguments()
    for name, value in {**ENVIRONMENT, "OMP_NUM_THREADS": str(options.threads)}.items():
        os.environ[name] = value
    rows = [json.loads(line) for line in Path(options.requests).read_text(encoding="utf-8").splitlines() if line]
    from vllm import LLM  # pyright: ignore[reportMissingImports]

    # On a CPU a seeded request whose prompt is read in parts ends vLLM 0.32.
    whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": 8192} if options.seed_each else {}
    begun = time.perf_counter()
    engine = LLM(
        options.model, dtype=options.dtype, max_num_seqs=options.max_num_seqs, enforce_eager=options.eager,
        kv_cache_memory_bytes=int(options.kv_gib * 2**30), seed=options.seed, disable_log_stats=True,
        enable_prefix_caching=True, max_model_len=options.max_model_len,
        **{"max_num_batched_tokens": options.max_batched_tokens, **whole},
    )  # fmt: skip
    loading = time.perf_counter() - begun
    generate(engine, rows[:WARM_UP], options, warm=True)
    begun = time.perf_counter()
    tokens = generate(engine, rows, options)
    seconds = time.perf_counter() - begun
    measured = {"seconds": round(seconds, 3), "new_tokens": tokens, "tokens_per_second": round(tokens / seconds, 1)}
    print(json.dumps({**measured, "loading_seconds": round(loading, 1), **vars(options)}))


def generate(engine: Any, rows: list[dict[str, Any]], options: argparse.Namespace, warm: bool = False) -> int:
    """New tokens of all rows."""
    from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

    def params(index: int, row: dict[str, Any]) -> Any:
        return SamplingParams(
            n=row.get("n", 1), max_tokens=min(32, row["max_tokens"]) if warm else row["max_tokens"],
            temperature=options.temperature, top_p=options.top_p, ignore_eos=options.ignore_eos, detokenize=False,
            seed=options.seed * 1_000_003 + index if options.seed_each else None,
            stop_token_ids=options.stop_token_ids, logprobs=0 if options.logprobs else None,
        )  # fmt: skip

    # A row's own first token keeps the warm-up out of the prefix cache of what is measured.
    prompts = [{"prompt_token_ids": row["prompt_token_ids"][::-1] if warm else row["prompt_token_ids"]} for row in rows]
    made = engine.generate(prompts, [params(*item) for item in enumerate(rows)], use_tqdm=False)
    return sum(len(one.token_ids) for answer in made for one in answer.outputs)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Generates with vLLM in this process; prints JSON.")
    parser.add_argument("model", help="a model folder")
    parser.add_argument("requests", help="JSONL of {prompt_token_ids, max_tokens, n}")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seed-each", action="store_true", help="a generator for each request, as engine=vllm has")
    parser.add_argument("--ignore-eos", action="store_true", help="every completion has max_tokens tokens")
    parser.add_argument("--stop-token-ids", type=int, nargs="*", default=None, help="tokens that end a completion too")
    parser.add_argument("--logprobs", action="store_true", help="the log-probability of each new token, as Crescent")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-batched-tokens", type=int, default=None)
    parser.add_argument("--max-model-len", type=int, default=None)
    parser.add_argument("--kv-gib", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1, help="OpenMP threads; more pay from some 100 M parameters on")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    return parser.parse_args()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
