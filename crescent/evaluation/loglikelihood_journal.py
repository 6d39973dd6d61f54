"""Log-likelihoods of an evaluation that is not committed yet, kept on disk slice by slice.

In: slices of the harness's requests. Out: what each came to, from the file where an attempt that was ended has scored
it already. Choices of a large benchmark are hours of a large model. (The harness's own cache, CachingLM, draws a bar of
its own for each slice and hands no options on.) One JSON object a line:

    {"key": "0f…", "scored": [[-12.25, false], [-3.5, true]]}
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from crescent.core.store import make_key
from crescent.engines.journal import RowWriter, read_rows

Scored = list[Any]
"""(log-probability in nats, whether greedy decoding gives it) of each request, or the log-probability alone."""


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices in the file `path`. One process at a time may use it: callers hold the lock of what they build."""

    path: Path

    def scored(
        self, method: str, requests: Sequence[Instance], score: Callable[[list[Instance]], Scored | None]
    ) -> Scored | None:
        """What the file holds for these requests, else what `score` makes of them; a None of it is not kept."""
        asked = {"method": method, "requests": [list(request.args) for request in requests]}
        key = make_key("loglikelihoods", 1, asked)
        kept = read_rows(self.path).get(key, {}).get("scored")
        if isinstance(kept, list) and len(kept) == len(requests):
            return [tuple(one) if isinstance(one, list) else one for one in kept]
        made = score(list(requests))
        if made is not None:
            with RowWriter(self.path) as writer:
                writer.append(key, {"scored": made})
        return made
