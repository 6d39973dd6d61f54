"""Does a GGUF file, as we read it, split text as llama.cpp does, and what does it say next?

    pip install --no-deps xllamacpp
    CRESCENT_BENCHMARKS=DIR python tests/bench/gguf_against_llama_cpp.py FILE.gguf [--texts 1000] [--prompts 20]

Texts are GSM8K's questions and answers. llama.cpp rounds activations to 8 bits, so log-probabilities differ in the
first or second decimal; the likeliest next token should not.
"""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

import torch

from crescent.engines.weights import Weights, load


def texts(count: int) -> list[str]:
    data = os.environ.get("CRESCENT_BENCHMARKS") or sys.exit("set CRESCENT_BENCHMARKS to the folder of benchmark files")
    lines = (Path(data) / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    return [f"{item['question']}\n\n{item['answer']}  \n\n1. " for item in items[:count]]


class LlamaCpp:
    """llama.cpp's server inside this process."""

    def __init__(self, file: Path) -> None:
        import xllamacpp  # pyright: ignore[reportMissingImports]

        settings = xllamacpp.CommonParams()
        settings.model.path, settings.n_ctx, settings.n_gpu_layers, settings.warmup = str(file), 4096, 0, False
        settings.cpuparams.n_threads = torch.get_num_threads()  # its threads spin: more than there are cores crawl
        self._server = xllamacpp.Server(settings)

    def post(self, path: str, **content: Any) -> dict[str, Any]:
        body, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
        address = str(self._server.listening_address)
        place = address if address.startswith("http") else f"http://{address}"
        with urllib.request.urlopen(urllib.request.Request(place + path, body, kind)) as reply:
            return json.load(reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--prompts", type=int, default=20)
    options = parser.parse_args()
    model, tokenizer = load(Weights("gguf", str(options.file), template="completion"), "cpu")
    theirs, some = LlamaCpp(options.file), texts(options.texts)
    encode: Any = tokenizer
    differ = sum(
        theirs.post("/tokenize", content=text, add_special=True)["tokens"] != encode(text).input_ids for text in some
    )
    print(f"{len(some)} texts, {differ} split differently")
    agree, largest = 0, 0.0
    for text in some[: options.prompts]:
        said = theirs.post("/completion", prompt=text, n_predict=1, temperature=0, n_probs=5, cache_prompt=False)
        top = said["completion_probabilities"][0]["top_logprobs"]
        with torch.no_grad():
            ours = model(torch.tensor([encode(text).input_ids])).logits[0, -1].log_softmax(-1)
        agree += int(ours.argmax()) == top[0]["id"]
        largest = max(largest, abs(float(ours[top[0]["id"]]) - top[0]["logprob"]))
    print(f"likeliest next token equal {agree} of {options.prompts}; its log-probability within {largest:.2f} nats")


if __name__ == "__main__":
    main()
