"""What a server accepts, as found out: the fields that it refused, and its name for the limit of new tokens.

In: the fields of a request, or a refusal. Out: the fields to send to this server. This module sends nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from crescent.engines.server.refusals import FieldRefused, Refused

_NEUTRAL: Mapping[str, Collection[float]] = {  # with these values a field can be left out
    "temperature": (1.0,),
    "top_p": (1.0,),
    "top_k": (0, -1),
    "min_p": (0.0,),
    "repetition_penalty": (1.0,),
    "repeat_penalty": (1.0,),
}
_DECISIVE = ("chat_template_kwargs",)  # without these the model would get a different prompt
_DROPPED = ("n", "seed")  # without these every draw needs its own request


@dataclass(slots=True)
class Terms:
    """`refused`: fields to leave out; `limit`: the server's name for max_tokens; `takes_ids`: prompts, and ends of
    turns, may be token ids."""

    refused: set[str] = field(default_factory=set)
    limit: str = "max_tokens"
    takes_ids: bool = False

    @property
    def is_single(self) -> bool:
        """True if every draw must be its own request."""
        return not self.refused.isdisjoint(_DROPPED)

    def sent(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as this server accepts them."""
        kept = {name: value for name, value in fields.items() if name not in self.refused}
        if "max_tokens" in kept:
            kept[self.limit] = kept.pop("max_tokens")
        return kept

    def learn(self, refused: Refused) -> str | None:
        """Records what a server does not accept. Returns a message, or None if it was known already: many requests are
        in flight when the first is refused.

        Raises FieldRefused if the field affects the samples.
        """
        name = refused.refusal.field
        if refused.refusal.kind == "rename":
            known, self.limit = self.limit != name, "max_completion_tokens"
            return None if known else f"{refused.url} accepts max_completion_tokens instead of max_tokens"
        value = refused.sent[name]
        if name in _DECISIVE or (name in _NEUTRAL and value not in _NEUTRAL[name]):
            raise FieldRefused(refused.url, name, value, str(refused))
        if name in self.refused:
            return None
        self.refused.add(name)
        how = "one request per draw, without it" if name in _DROPPED else "requests omit it"
        return f"{refused.url} does not accept {name} ({refused}): {how}"
