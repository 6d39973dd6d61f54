"""How many prompt tokens of a suite begin as another prompt of the same task does: what computing shared prefixes once
could save.

    python tests/bench/shared_prefixes.py eval=organism
    python tests/bench/shared_prefixes.py eval=full eval.limit=100 'eval.tasks=[gsm8k,asdiv_cot_llama,mmlu_anatomy]'

In: overrides of `eval`. Out: a line per task and number of shots. Tokens are those of the organism's tokenizer and chat
template. Generates nothing.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any

from crescent.config.composing import composed
from crescent.config.resolvers import PACKAGE
from crescent.config.typed import build
from crescent.engines.weights import Weights, load_tokenizer
from crescent.evaluation.harness import plan
from crescent.evaluation.loading import load, quiet
from crescent.evaluation.settings import EvaluationSettings


def main() -> None:
    tokenizer: Any = load_tokenizer(Weights("organism", str(PACKAGE / "organism" / "weights" / "organism")))
    settings = build(EvaluationSettings, composed(sys.argv[1:])["eval"], "eval")

    def rendered(turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip

    for source, shots in plan(settings):
        total = shared = count = 0
        with quiet():
            tasks = load(source, shots, settings)["tasks"].values()
        for task in tasks:
            with quiet():
                task.build_all_requests(
                    limit=settings.limit, rank=0, world_size=1, apply_chat_template=settings.chat_template,
                    fewshot_as_multiturn=settings.fewshot_as_multiturn, chat_template=rendered, tokenizer_name="x",
                )  # fmt: skip
            texts = {str(one.args[0]) for one in task.instances}
            prompts = sorted(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
            total += sum(map(len, prompts))
            shared += sum(_common(one, other) for one, other in pairwise(prompts))
            count += len(prompts)
        print(
            f"{source.name:20} {shots}-shot {count:6,} prompts of {total / count:7.1f} tokens; "
            f"{shared / total:6.1%} begin as another one"
        )


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of tokens that both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


if __name__ == "__main__":
    main()
