"""Turns a server's answer into completions: text, token counts, log-probabilities; warns of deviations.

In: an answer of the OpenAI client. Out: `Completion`s, or a UserError if a server truncated the prompt. If a server
reports no token counts, tokens are counted with the model's tokenizer, if that is on this machine. `mean_logprob` is
0.0 if a server reports none. This module sends nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openai import BaseModel

from crescent.answers.thoughts import split_thoughts
from crescent.core.errors import UserError
from crescent.engines import Completion, Prompt, Sampling
from crescent.engines.encoding import encode
from crescent.engines.server.capabilities import Request
from crescent.engines.server.endpoints import Unusable
from crescent.engines.server.fields import choices_of, count, finish_of, logprobs_of
from crescent.engines.server.message import all_text, said
from crescent.engines.server.terms import Terms
from crescent.engines.spelling import spelled_apart, spells_control
from crescent.engines.stops import spells_special
from crescent.engines.thoughts import Decoder, cut_at_stops, open_thought, open_thought_of, why_thinking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tell = Callable[[str, str], None]
_SLACK, _SHARE = 16, 0.9  # a served chat template may be shorter than the model's by this much
EMPTY = (
    "a server returns no text, although it counts new tokens: it may take a whole answer for a thought, or for a tool "
    "call, and hide it. Such completions are no answers; see the server's reasoning and tool parsers"
)
HIDDEN = (
    "a server's answer has no thought, although the model thinks. The tags around its thoughts are special tokens: if "
    "a server strips them, thoughts are read as answers. Start it with a reasoning parser (vLLM, SGLang: "
    "--reasoning-parser; llama.cpp: --reasoning-format auto) or with special tokens in its output (llama.cpp: "
    "--special)"
)


class Reader:
    """Parses answers, with the help of the model's tokenizer if there is one.

    `thinks`: the model thinks before it answers. Its thought, which many servers return in a separate field, is put in
    front of its answer, between tags.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase | None", thinks: bool = False) -> None:
        self._tokenizer = tokenizer
        self.thinks = thinks or (tokenizer is not None and why_thinking(tokenizer) is not None)
        self._decoder = None if tokenizer is None else Decoder(tokenizer)
        self._has_field = False
        self._lengths: dict[tuple[str, bool], int] = {}
        self.context: int | None = None  # of the server, if it says so
        self.prints_date = False  # True if the model's chat template does

    def ids(self, prompt: Prompt) -> list[int] | None:
        """The prompt's token ids; None without a tokenizer."""
        return None if self._tokenizer is None else encode(prompt, self._tokenizer)

    def is_rendered_here(self, prompt: Prompt, terms: Terms) -> bool:
        """True if a turn is sent as our own token ids, to a server that accepts them: otherwise the server would insert
        today's date, or parse control tokens that the turn spells."""
        if self._tokenizer is None or not terms.takes_ids:
            return False
        return self.prints_date or spells_control(prompt.text, self._tokenizer)

    def without_control_tokens(self, text: str) -> str:
        """Text for a server that tokenises it itself: a space is inserted into each control token that it spells."""
        return spelled_apart(text, self._tokenizer)

    def sent_stops(self, stops: Sequence[str]) -> list[str]:
        """The stop strings to send. For a thinking model most are left to `read`, because they would end the thought
        too; those that spell special tokens are sent, except the tags around thoughts."""
        return [stop for stop in stops if stop and (not self.thinks or self._ends_no_thought(stop))]

    def _ends_no_thought(self, stop: str) -> bool:
        if self._tokenizer is None or self._decoder is None or not spells_special([stop], self._tokenizer):
            return False
        return not any(mark in stop for mark in self._decoder.mark_texts)

    def shows_special(self, stops: Sequence[str]) -> bool:
        """Whether to ask a server for special tokens in its texts: if tags around thoughts are special tokens
        (Magistral, gpt-oss), or if a stop string spells one. `read` removes the others."""
        if self._tokenizer is None or self._decoder is None:
            return False
        return bool(self._decoder.marks) or spells_special(stops, self._tokenizer)

    def prompt_tokens(self, prompt: Prompt) -> int | None:
        """Number of tokens of the prompt in the model's own template; None without a tokenizer."""
        if self._tokenizer is None:
            return None
        key = (prompt.text, prompt.rendered)
        if key not in self._lengths:
            self._lengths[key] = len(encode(prompt, self._tokenizer))
        return self._lengths[key]

    def _tokens_apart(self, prompt: Prompt) -> int | None:
        """`prompt_tokens` if the server tokenised the text itself: see `without_control_tokens`."""
        text = self.without_control_tokens(prompt.text)
        return self.prompt_tokens(replace(prompt, text=text) if text != prompt.text else prompt)

    def read(self, answer: Any, request: Request, sampling: Sampling, limited: bool, tell: Tell) -> list[Completion]:
        """Returns one completion per sample received. `limited`: max_tokens was sent.

        Raises UserError if the server truncates prompts.
        """
        usage = answer.usage
        own = self.prompt_tokens(request.prompt)
        read = count(getattr(usage, "prompt_tokens", None)) or own or 0
        if own is not None and read < _SHARE * own - _SLACK:
            raise UserError(
                f"the server read {read} tokens of a prompt of {own}: it silently truncates long prompts. Start it "
                "with a longer context, or so that it rejects them."
            )
        if own is not None and own != read != self._tokens_apart(request.prompt):
            tell("template", (
                f"the server reads a prompt as {read} tokens, the template of model.path as {own}: it serves another "
                "model or another chat template than the one trained here"
            ))  # fmt: skip
        made = []
        for choice in choices_of(answer, len(request.indices)):
            text = self._written(choice, request.prompt).encode("utf-8", "replace").decode("utf-8")
            finish = finish_of(choice)
            if finish not in ("stop", "length"):
                tell(f"finish {finish}", (
                    f"a server ended a completion with finish_reason {finish}: such completions are not used as "
                    "answers or questions, and are counted"
                ))  # fmt: skip
            logprobs = logprobs_of(choice)
            tokens = len(logprobs) or self._new_tokens(text, sampling, finish, usage, len(answer.choices))
            if not text and finish == "stop" and tokens > 1:
                tell("empty", EMPTY)
            full = self.context is not None and read + tokens >= self.context - 1
            if finish == "length" and limited and not full and 0 < tokens < sampling.max_new_tokens:
                tell("cut", (
                    f"a server cut a completion after {tokens} tokens although {sampling.max_new_tokens} were "
                    "requested: raise the server's own limit"
                ))  # fmt: skip
            cut = cut_at_stops(text, sampling.stop) if finish in ("stop", "length") else text
            if cut != text:
                if not self.thinks:
                    tell(
                        "stop",
                        "a server does not stop at stop strings: they are cut off here, at the cost of its tokens",
                    )
                text, finish = cut, "stop"
            if self._decoder is not None and self.shows_special(sampling.stop):
                text = self._decoder.plain(text)
                if self.thinks and self._decoder.marks and not split_thoughts(text).thought:
                    tell("marks", HIDDEN)
            mean = round(sum(logprobs) / len(logprobs), 2) if logprobs else 0.0
            made.append(Completion(text, finish, read, tokens, mean + 0.0))
        return made

    def _written(self, choice: Any, prompt: Prompt) -> str:
        """What the model wrote, its thought in front; a thought without an answer stays open."""
        message = getattr(choice, "message", None)
        if message is None:
            return _opened(open_thought(prompt.text) if prompt.rendered else self._open_thought, all_text(choice.text))
        thought, content = said(message)
        if not thought:
            return _opened("" if self._has_field else self._open_thought, content)
        self._has_field = self.thinks = True
        opened = f"<think>\n{thought.strip()}"  # without content (null, "") it never reached an answer
        return f"{opened}\n</think>\n\n{content}" if content.strip() else opened

    @cached_property
    def _open_thought(self) -> str:
        """The thinking tag at the end of prompts: a server without a reasoning parser leaves it in the prompt."""
        if self._tokenizer is None:
            return ""
        return open_thought_of(encode(Prompt("How many?"), self._tokenizer), self._tokenizer)

    def _new_tokens(self, text: str, sampling: Sampling, finish: str, usage: Any, choices: int) -> int:
        """The server's count if it is for this completion alone, else our count, else an even share of the server's.

        Our count is approximate: sampled text does not always split into the tokens it was sampled as. It never exceeds
        the limit.
        """
        total = count(getattr(usage, "completion_tokens", None)) or 0
        if total and choices == 1:
            return total
        if self._tokenizer is not None:
            counted: Any = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            return min(len(counted) + (finish == "stop"), sampling.max_new_tokens)
        return round(total / choices)


def _opened(tag: str, text: str) -> str:
    """The text with the thinking tag that its prompt ends in, which some servers have put there already."""
    return text if text.lstrip().startswith(tag.strip()) else tag + text


def checked(answer: Any) -> BaseModel:
    """Returns an answer if it contains completions; raises Unusable otherwise."""
    if not isinstance(answer, BaseModel):  # the client passes on anything that is not JSON, such as a proxy's page
        raise Unusable(f"no JSON: {str(answer).strip()[:60]!r}")
    choices = getattr(answer, "choices", None)
    if not choices or any(_is_hollow(choice) for choice in choices):
        raise Unusable(f"an answer without choices: {answer.model_dump_json(exclude_none=True, warnings=False)[:60]}")
    return answer


def _is_hollow(choice: Any) -> bool:
    return getattr(choice, "message", None) is None and not isinstance(getattr(choice, "text", None), str)
