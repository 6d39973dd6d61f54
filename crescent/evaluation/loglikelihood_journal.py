"""Write-ahead log of log-likelihoods for an uncommitted evaluation, slice by slice.

In: slices of the harness's requests. Out: their results, read from the file if an earlier, interrupted attempt scored
them. Scoring the choices of a large benchmark takes a large model hours. (The harness's own cache, CachingLM, draws its
own bar for each slice and passes no options on.) One JSON object per line:

    {"key": "0f…", "scored": [[-12.25, false], [-3.5, true]]}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from crescent.core.store import make_key
from crescent.engines.journal import RowWriter, read_rows

Scored = list[Any]
"""For each request (log-probability in nats, True if greedy decoding gives it), or only the log-probability."""


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices in the file `path`. Only one process at a time may use it: callers hold the lock of their artifact."""

    path: Path

    def find(self, method: str, requests: Sequence[Instance]) -> Scored | None:
        """The results in the file for these requests; None if it has none."""
        kept = read_rows(self.path).get(_key(method, requests), {}).get("scored")
        if isinstance(kept, list) and len(kept) == len(requests):
            return [tuple(one) if isinstance(one, list) else one for one in kept]
        return None

    def keep(self, method: str, requests: Sequence[Instance], made: Scored) -> None:
        """Appends the results of these requests."""
        with RowWriter(self.path) as writer:
            writer.append(_key(method, requests), {"scored": made})


def _key(method: str, requests: Sequence[Instance]) -> str:
    return make_key("loglikelihoods", 1, {"method": method, "requests": [list(request.args) for request in requests]})
