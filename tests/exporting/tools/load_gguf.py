"""Run by the Python that has xllamacpp: asks a GGUF file once, greedily. Prints one line of JSON."""

import json
import socket
import sys
import urllib.request
from importlib.metadata import version

import xllamacpp  # pyright: ignore[reportMissingImports]

file, question, count = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.model.path = file
parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 1024, 1, 1
parameters.cpuparams_batch.n_threads = 1
parameters.use_jinja, parameters.warmup = True, False
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    parameters.port = free.getsockname()[1]
server = xllamacpp.Server(parameters)
body = {
    "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": int(count),
    "logprobs": True, "top_logprobs": 1, "cache_prompt": False,
}  # fmt: skip
request = urllib.request.Request(
    f"{server.listening_address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
)
with urllib.request.urlopen(request) as response:
    made = json.load(response)
choice = made["choices"][0]
logprobs = [one["logprob"] for one in choice["logprobs"]["content"]]
found = {"text": choice["message"]["content"], "logprobs": logprobs, "prompt_tokens": made["usage"]["prompt_tokens"]}
print(json.dumps({"version": version("xllamacpp"), **found}), flush=True)
