"""Sends one request to a server, and retries without the fields that the server does not accept.

In: a `Request`. Out: its completions (for a refused prompt, empty ones with a finish reason that says so), or a
UserError. A prompt that a server keeps failing on counts as refused. What is learned about a server is in its `Terms`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import openai
from openai import BaseModel

from crescent.core.errors import UserError
from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.server.capabilities import NEUTRAL, Request, ServerCapabilities, beyond_plain
from crescent.engines.server.endpoints import MOST_FAULTS, Endpoint, Endpoints, Send, SetAside
from crescent.engines.server.refusals import LIMITS, Refused, is_refusal
from crescent.engines.server.response_parser import Reader, checked

MOST_REFUSALS = 16  # reasons to refuse that one request can have
SHORT = 16  # tokens of an answer that only shows that a server answers
SET_ASIDE = "it has no completion, and is counted under that reason"


class Requester:
    """Requests completions from `endpoints` in the form that each server accepts. `arguments` are those of the chat
    template, for turns that the server renders."""

    def __init__(
        self,
        model: str,
        endpoints: Endpoints,
        honours: ServerCapabilities,
        reader: Reader,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self._model, self._endpoints, self._honours, self._reader = model, endpoints, honours, reader
        self._answered = self._failed = 0
        self._template = {"chat_template_kwargs": dict(arguments)} if arguments else {}

    async def samples(self, request: Request, sampling: Sampling, place: Endpoint | None) -> list[Completion]:
        """Sends one request. Returns at most as many completions as it has indices."""
        options: dict[str, Any] = {
            "n": len(request.indices), "temperature": sampling.temperature, "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens, "seed": request.seed,
        }  # fmt: skip
        if stops := self._reader.sent_stops(sampling.stop):
            options["stop"] = stops
        for _ in range(MOST_REFUSALS):  # unchanged first, then without what the server does not accept
            send = partial(self._send, prompt=request.prompt, options=options, sampling=sampling)
            try:
                answer = await self._endpoints.ask(send, place, self._other(request.prompt, options, sampling))
                self._answered += 1
                limited, end = options.get("max_tokens") == sampling.max_new_tokens, self._honours.end
                cut = sampling if end is None else replace(sampling, stop=(*sampling.stop, end[1]))
                return self._reader.read(answer, request, cut, limited, self._endpoints.tell)
            except Refused as refused:
                finish = await self._after(refused, request, options, place, sampling)
            except SetAside as aside:
                finish = self._set_aside(aside)
            if finish is not None:
                tokens = self._reader.prompt_tokens(request.prompt) or 0
                return [Completion("", finish, tokens, 0, 0.0) for _ in request.indices]
        raise UserError(
            f"{self._model}: the server refuses a request whichever fields are left out. Its own log says why."
        )

    async def _after(
        self, refused: Refused, request: Request, options: dict[str, Any], place: Endpoint | None, sampling: Sampling
    ) -> str | None:
        """What follows from a refusal: the finish reason of this prompt's completions, or None to retry without what
        the server does not accept. Raises UserError if neither would help."""
        kind, name, tell = refused.refusal.kind, refused.refusal.field, self._endpoints.tell
        if kind == "context" or (kind == "field" and name in LIMITS):  # retried with the available room
            room, asked = refused.refusal.room or 0, options.pop("max_tokens", None)
            if asked is not None and 0 < room < asked:
                options["max_tokens"] = room
            return None if asked is not None else "length"
        if kind == "content":
            tell(
                f"content {_alike(refused)}", f"{refused.url} refuses a prompt for its content ({refused}): {SET_ASIDE}"
            )
            return "content_filter"
        if kind == "unknown":
            return await self._unexplained(refused, request, options, place, sampling)
        if name == "logprobs":
            self._honours.logprobs = False
            return None
        terms = self._honours.terms_of(refused.url)
        told = terms.learn(refused)
        if told is not None:
            tell(told, told)
        if terms.is_single:
            self._honours.single.add(refused.url)
        return None

    def _other(self, prompt: Prompt, options: Mapping[str, Any], sampling: Sampling) -> Send | None:
        """Sends a short request for a neutral prompt, in the same form."""
        if prompt.text == NEUTRAL:
            return None
        short = {**options, "n": 1, "max_tokens": SHORT}
        return partial(self._send, prompt=Prompt(NEUTRAL, rendered=prompt.rendered), options=short, sampling=sampling)

    def _set_aside(self, aside: SetAside) -> str:
        """The finish reason of a prompt that a server cannot answer. Raises UserError if these are the rule."""
        self._failed += 1
        if self._failed >= MOST_FAULTS and self._failed > self._answered:
            raise UserError(
                f"{aside.url} answers {NEUTRAL!r} but none of the run's prompts, or few ({aside}). Its own log may say "
                "why; finished work is kept."
            )
        how = "refuses a prompt" if aside.is_refused else "keeps failing on a prompt but answers others"
        self._endpoints.tell(f"aside {_alike(aside)}", f"{aside.url} {how} ({aside}): {SET_ASIDE}")
        return "refused" if aside.is_refused else "error"

    async def _unexplained(
        self, refused: Refused, request: Request, options: dict[str, Any], place: Endpoint | None, sampling: Sampling
    ) -> str | None:
        """`_after` for a refusal that names nothing. Either the server does not accept this prompt, or, during probing,
        some field, which is found by leaving out one after the other."""
        where = place or next(one for one in self._endpoints.places if one.url == refused.url)
        neutral = Prompt(NEUTRAL, rendered=request.prompt.rendered)
        if request.prompt.text != NEUTRAL and await self._is_taken(where, neutral, options, sampling):
            self._endpoints.tell(
                f"refused {_alike(refused)}", f"{refused.url} refuses a prompt ({refused}): {SET_ASIDE}"
            )
            return "refused"
        names = [name for name in refused.sent if name not in ("temperature", *LIMITS)] if place else []
        for some in (*([name] for name in names), names):
            if some and await self._is_taken(where, neutral, options, sampling, some):
                for name in some:
                    await self._after(refused.for_field(name), request, options, place, sampling)
                return None
        raise UserError(f"{refused.url}: the server refuses a request: {refused}. Its own log may say more.")

    async def _is_taken(
        self, place: Endpoint, prompt: Prompt, options: dict[str, Any], sampling: Sampling, without: Sequence[str] = ()
    ) -> bool:
        send = partial(self._send, prompt=prompt, options=options, sampling=sampling, without=without)
        try:
            await self._endpoints.ask(send, place)
        except Refused:
            return False
        return True

    async def _send(
        self, place: Endpoint, prompt: Prompt, options: dict[str, Any], sampling: Sampling, without: Sequence[str] = ()
    ) -> BaseModel:
        """Returns the answer of one server in the form that the client promises. Raises Unusable for another form,
        Refused if the server does not accept the request."""
        terms = self._honours.terms_of(place.url)
        ids = self._reader.ids(prompt) if prompt.rendered or self._reader.is_rendered_here(prompt, terms) else None
        as_text = prompt.rendered or ids is not None
        drawn = {**place.plain, **beyond_plain(sampling, place.plain)}
        fields = {**options, **drawn, **({} if as_text else self._template)}
        if self._honours.end is not None and "stop_token_ids" not in place.plain:
            fields["stop"] = [*fields.get("stop", ()), self._honours.end[1]]
        if self._reader.shows_special(fields.get("stop", ())):
            fields["skip_special_tokens"] = False
        if place.url in self._honours.single:
            fields["n"] = 1
        if self._honours.logprobs:
            fields["logprobs"] = 1 if as_text else True  # llama.cpp takes 0 to mean none
        sent = terms.sent({name: value for name, value in fields.items() if name not in without})
        try:
            if as_text:  # as ids if possible: a server puts a second begin-of-sequence token before text
                create: Any = partial(place.client.completions.create, prompt=ids or prompt.text)
            else:
                turns: Any = [{"role": "user", "content": self._reader.without_control_tokens(prompt.text)}]
                create = partial(place.client.chat.completions.create, messages=turns)
            answer: Any = await create(model=self._model, extra_body=sent)
        except openai.APIStatusError as error:
            if is_refusal(error):
                raise Refused(place.url, sent, error) from None
            raise
        return checked(answer)


def _alike(reason: Exception) -> str:
    """A reason without its numbers and identifiers, so that one which differs in nothing else is told once."""
    return re.sub(r"[\w-]*\d[\w-]*", "#", str(reason))
