"""An engine without a model."""

from collections.abc import Sequence

from crescent.engines import Completion, Finished, Prompt, Sampling


class Echo:
    """A real, if simple, engine: it repeats the prompt and counts what it was asked."""

    deterministic, identity = True, "echo"

    def __init__(self, fail_after: int = 10**9) -> None:
        self.asked: list[tuple[str, int]] = []
        self.fail_after, self.calls = fail_after, 0

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        wanted = [prompt for prompt in prompts if isinstance(prompt, Prompt)]
        if len(self.asked) + len(wanted) > self.fail_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.asked += [(prompt.text, prompt.draw) for prompt in wanted]
        made = [Completion(f"{prompt.text} {prompt.draw}", "stop", 1, 2, -0.5) for prompt in wanted]
        for index, completion in enumerate(made):
            if finished is not None:
                finished(index, completion)
        return made

    def close(self) -> None:
        pass
