"""Wraps an engine as a model of lm-evaluation-harness.

In: the harness's requests. Out: texts from `engine.generate`, which batches and is deterministic; log-likelihoods from
the harness's own `HFLM` around the same loaded model. Greedy texts equal those of `HFLM`. Scores nothing.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs, resolve_max_length

from crescent.answers.thoughts import split_thoughts
from crescent.core.console import Console
from crescent.core.errors import UserError
from crescent.engines import Completion, Engine, Prompt, Sampling
from crescent.engines.stops import spells_special
from crescent.engines.thoughts import why_thinking
from crescent.evaluation.choices import CLOSED, UNTHOUGHT, as_answers
from crescent.evaluation.likelihoods import likelihoods_of
from crescent.evaluation.loglikelihood_journal import Slices

log = logging.getLogger(__name__)
REQUESTS_BETWEEN_MARKS = 1024
DRAWN = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
KNOWN_ARGUMENTS = {"until", "max_gen_toks", "do_sample", *DRAWN}
GREEDY = Sampling(temperature=0.0)
NO_SCORES = "this engine cannot score: choose engine=transformers, eval.engine=transformers, or eval=none to skip it"


@runtime_checkable
class ScoringEngine(Protocol):
    """What evaluation needs from an engine apart from `generate`. An engine that computes likelihoods also has the
    loaded `model`, or `on_workers` (`crescent.evaluation.likelihoods`).
    """

    @property
    def tokenizer(self) -> Any: ...

    @property
    def config(self) -> Any: ...


class HarnessModel(LM):
    """`lm_eval.evaluate(HarnessModel(engine, console, "gsm8k, 5-shot"), ...)`.

    `max_new_tokens` applies if a task sets no `max_gen_toks`. A prompt that leaves no room for that many tokens, or for
    a choice, loses its beginning, as with `HFLM`; the log counts such prompts. `stop` adds to a task's stop strings.
    `slices` keeps log-likelihoods if the run is killed, as the engine's journal keeps texts.

    `thinking_tokens` are added to each limit, for thoughts before an answer; stop strings, filters and metrics see only
    the answer. `drawn` applies if a task does not sample itself. `samples` of each request are drawn together; `sample`
    selects the one that is returned. `completions` are those of the last `generate_until`, in its order and without
    thoughts; `thoughts` holds (tokens, 1 if cut off at the limit, else 0) for each.
    """

    def __init__(
        self,
        engine: Engine,
        console: Console,
        title: str,
        max_new_tokens: int = 256,
        seed: int = 0,
        loglikelihood_batch: int = 16,
        stop: Sequence[str] = (),
        slices: Slices | None = None,
        thinking_tokens: int = 0,
        drawn: Sampling = GREEDY,
        samples: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(engine, ScoringEngine):
            raise UserError(NO_SCORES)
        self._engine, self._console, self._title = engine, console, title
        self._max_new_tokens, self._seed, self._loglikelihood_batch = max_new_tokens, seed, loglikelihood_batch
        self.tokenizer: Any = engine.tokenizer
        self._max_length = resolve_max_length(engine.config, self.tokenizer)
        self._stop, self._slices = tuple(stop), slices
        self._thinking_tokens, self._unasked, self._samples = thinking_tokens, drawn, samples
        self._drawn: dict[tuple[str, Sampling, int], list[Completion]] = {}
        self.sample = 0
        self.completions: list[Completion] = []
        self.thoughts: list[tuple[int, int]] = []
        self.thinks = thinking_tokens > 0
        self.closes_thoughts = False  # of choices
        self._bos = _added_bos(self.tokenizer)
        self._drops_system = self._renders_turns = False

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's name, without slashes."""
        return self.tokenizer.name_or_path.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The tokenizer's chat template."""
        return self.tokenizer.chat_template if chat_template else None

    @property
    def usage(self) -> list[tuple[int, int]]:
        """(prompt tokens, new tokens) for each request of the last `generate_until`."""
        return [(completion.prompt_tokens, completion.new_tokens) for completion in self.completions]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Renders turns. If the template refuses system turns, they are left out, as in the harness."""
        try:
            return self._render(chat_history, add_generation_prompt)
        except TemplateError:
            turns = [turn for turn in chat_history if turn["role"] != "system"]
            if turns == chat_history:
                raise
            if not self._drops_system:
                self._drops_system = True
                log.warning(
                    "%s: the chat template refuses system turns; the task's description is left out", self._title
                )
            return self._render(turns, add_generation_prompt)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """One text per request, cut at its stop strings. Repeats of a request are independent draws."""
        asked, seen = [], Counter()
        for request in requests:
            context, arguments = cast(tuple[str, dict[str, Any]], request.args[:2])
            asked.append((context, self._sampling(arguments), seen[context]))
            seen[context] += 1
        if not all(one in self._drawn for one in asked):
            self._drawn = dict(zip(asked, self._draw(asked, seen), strict=True))
        made = [self._drawn[one][self.sample] for one in asked]
        parts = [split_thoughts(one.text) for one in made]
        cut = [int(one.finish_reason == "length") for one in made]
        self.thoughts = [(self._count(part.thought), was_cut) for part, was_cut in zip(parts, cut, strict=True)]
        self.completions = [
            replace(one, text=part.answer.lstrip()) if part.answer != one.text else one
            for part, one in zip(parts, made, strict=True)
        ]
        if self._samples == 1:
            self._drawn = {}
        # A response cut off at the limit is scored as it is, as in the harness; if the engine gave up, there is no
        # answer.
        return [one.text if one.finish_reason in ("stop", "length") else "" for one in self.completions]

    def _draw(self, asked: Sequence[tuple[str, Sampling, int]], repeats: Mapping[str, int]) -> list[list[Completion]]:
        """Draws the samples of each request."""
        prompts, groups = [], {}
        cut = 0
        for context, sampling, repeat in asked:
            text = self._fit(context, sampling.max_new_tokens)
            cut += not text.endswith(context)
            for sample in range(self._samples):
                groups.setdefault(sampling, []).append(len(prompts))
                prompts.append(Prompt(text, draw=repeat + sample * repeats[context], rendered=True))
        self._tell_cut(cut, len(asked))
        made: dict[int, Completion] = {}
        limit = max((sampling.max_new_tokens for sampling in groups), default=0)
        with self._console.progress(self._title, len(prompts), "items", limit) as tally:

            def finished(_index: int, _made: Completion) -> None:
                tally.complete()
                tally.advance()

            for sampling, indices in groups.items():
                chosen = [prompts[index] for index in indices]
                done = self._engine.generate(chosen, sampling, finished)
                made.update(zip(indices, done, strict=True))
        self.thinks = self.thinks or any(split_thoughts(one.text).thought for one in made.values())
        return [[made[at + sample] for sample in range(self._samples)] for at in range(0, len(prompts), self._samples)]

    def _count(self, thought: str) -> int:
        """The number of tokens in a thought."""
        return len(self.tokenizer(thought, add_special_tokens=False)["input_ids"]) if thought else 0

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """For each continuation (log-probability in nats, True if greedy decoding gives it). If the prompt ends in an
        open thought, the continuation follows an empty one."""
        asked, self.closes_thoughts = as_answers(requests)
        if self.closes_thoughts:
            self._console.say(f"{self._title}: {CLOSED}")
        elif self._renders_turns and why_thinking(self.tokenizer):
            log.warning("%s: %s", self._title, UNTHOUGHT)
        return self._delegated(asked, "loglikelihood")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-probability in nats of each whole text."""
        return self._delegated(requests, "loglikelihood_rolling")

    def _delegated(self, requests: Sequence[Instance], method: str) -> list[Any]:
        """Scores with HFLM in slices, so that progress can be shown and a killed run resumes; a slice almost always
        keeps an item's choices together.
        """
        slices = [requests[at : at + REQUESTS_BETWEEN_MARKS] for at in range(0, len(requests), REQUESTS_BETWEEN_MARKS)]
        scored = [self._slices.find(method, one) if self._slices else None for one in slices]
        read = 0
        with self._console.progress(self._title, len(requests), "choices") as tally:

            def on_rows(count: int) -> None:
                nonlocal read
                read += count
                tally.advance(0, f"{read:,} prompts read")  # a slice takes minutes with a large model

            inner = likelihoods_of(self._engine, self._loglikelihood_batch, on_rows)
            if method == "loglikelihood":  # rolling requests lose nothing: the harness reads a text in windows
                self._tell_cut(*inner.count_cut(requests, self._title))
            missing = [at for at, made in enumerate(scored) if made is None]
            tally.advance(sum(len(made) for made in scored if made is not None))
            for index, made in inner.each(method, [slices[at] for at in missing]):
                at = missing[index]
                if self._slices:
                    self._slices.keep(method, slices[at], made)
                scored[at] = made
                tally.advance(len(made))
        return [one for made in scored if made is not None for one in made]

    def _tell_cut(self, cut: int, count: int) -> None:
        if cut:
            log.warning("%s: %d of %d prompts are too long and lose their beginning", self._title, cut, count)

    def _render(self, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
        self._renders_turns = True
        return self.tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def _sampling(self, arguments: Mapping[str, Any]) -> Sampling:
        options: Any = normalize_gen_kwargs(dict(arguments), self._max_new_tokens)
        ignored = sorted(options.keys() - KNOWN_ARGUMENTS)
        if ignored:
            log.warning("%s: generation_kwargs %s are not supported and are ignored", self._title, ", ".join(ignored))
        asked = {"temperature": 0.0, **{name: options[name] for name in DRAWN if options.get(name) is not None}}
        stop = (*(stop for stop in options["until"] if stop), *self._stop)
        return replace(
            Sampling(**asked) if options["do_sample"] else self._unasked,
            max_new_tokens=options["max_gen_toks"] + self._thinking_tokens,
            stop=stop,
            seed=self._seed,
            keeps_stop_text=spells_special(stop, self.tokenizer),
        )

    def _fit(self, context: str, max_new_tokens: int) -> str:
        """The prompt with one begin-of-sequence token if the tokenizer adds one; a prompt that is too long keeps its
        end.
        """
        room = self._max_length - max_new_tokens
        if room < 1:
            raise UserError(
                f"{self._title}: {max_new_tokens} new tokens do not fit a context of {self._max_length}; "
                "lower eval.max_new_tokens, max_gen_toks in the task's YAML, or model.thinking_tokens"
            )
        text = context if context.startswith(self._bos) else self._bos + context
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        keep = min(room, len(ids))
        while len(ids) > room:  # text cut inside a word may encode to more tokens than were kept
            text = self.tokenizer.decode(ids[-keep:], skip_special_tokens=False, clean_up_tokenization_spaces=False)
            if len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) <= room:
                break
            keep -= 1
        return text


def _added_bos(tokenizer: Any) -> str:
    """The begin-of-sequence text if the tokenizer adds one to every text, else ""."""
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token if ids and ids[0] == tokenizer.bos_token_id is not None else ""
