"""An engine that is stopped in the middle of its work, for tests of what survives."""

from collections.abc import Sequence
from typing import Any

from crescent.engines import Completion, Engine, Finished, Prompt, Sampling


class Interrupted:
    """Generates with `engine`, counts what is finished, and raises KeyboardInterrupt after `most` completions."""

    def __init__(self, engine: Engine, most: int = 10**9) -> None:
        self._engine, self._most, self.finished = engine, most, 0
        self.deterministic, self.identity = engine.deterministic, engine.identity

    def generate(
        self, prompts: Sequence[Prompt | str], sampling: Sampling, finished: Finished | None = None
    ) -> list[Completion]:
        def count(index: int, made: Completion) -> None:
            if self.finished == self._most:
                raise KeyboardInterrupt
            self.finished += 1
            if finished is not None:
                finished(index, made)

        return self._engine.generate(prompts, sampling, count)

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
