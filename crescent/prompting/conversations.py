"""How each prompting baseline talks to a model, through lm-evaluation-harness's model interface.

In: the harness's requests. Out: for each, the text that the task's filters read, and its cost. A baseline is a
`Method`: it rewrites the turns of a request and may ask again about the responses. All open conversations are asked
together, so that batches stay full. Nothing here knows a target.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from crescent.answers import extract
from crescent.core.errors import UserError
from crescent.engines import Completion
from crescent.prompting.baselines import Example, TaskView, Turns
from crescent.voting.majority import vote


class Ask(Protocol):
    """Asks the model for `draws` completions of each conversation (sampled if `temperature` is above 0)."""

    def __call__(
        self, chats: Mapping[int, Turns], draws: int = 1, temperature: float = 0.0, top_p: float = 1.0
    ) -> dict[int, list[Completion]]: ...


class Method(Protocol):
    """The conversation of a prompting baseline with the model."""

    def opening(self, turns: Turns) -> Turns:
        """The first prompt, made from the task's turns."""
        ...

    def answer(self, chats: Mapping[int, Turns], ask: Ask) -> dict[int, str]:
        """The final response to each conversation; each begins with its opening."""
        ...


class PromptedModel(LM):
    """`inner` with a baseline. `usage` holds (prompt tokens, new tokens) per request, summed over all its calls."""

    def __init__(self, inner: Any, method: Method) -> None:
        super().__init__()
        self._inner, self._method = inner, method
        self._turns: dict[str, Turns] = {}
        self.usage: list[tuple[int, int]] = []

    @property
    def tokenizer_name(self) -> str:
        """The inner model's tokenizer name."""
        return self._inner.tokenizer_name

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The inner model's chat template."""
        return self._inner.chat_template(chat_template)

    def apply_chat_template(self, chat_history: Turns, add_generation_prompt: bool = True) -> str:
        """Renders the opening, and remembers its turns so that a later step can continue from them."""
        turns = self._method.opening(chat_history)
        text = self._inner.apply_chat_template(turns, add_generation_prompt)
        self._turns[text] = turns
        return text

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """One response per request."""
        arguments = [cast(tuple[str, dict[str, Any]], request.args[:2]) for request in requests]
        used = [[0, 0] for _ in requests]

        def ask(
            chats: Mapping[int, Turns], draws: int = 1, temperature: float = 0.0, top_p: float = 1.0
        ) -> dict[int, list[Completion]]:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p} if temperature else {}
            wanted = [
                (index, self._request(turns, {**arguments[index][1], **sampling}, index))
                for index, turns in chats.items()
                for _ in range(draws)
            ]
            self._inner.generate_until([request for _, request in wanted])
            got: dict[int, list[Completion]] = {index: [] for index in chats}
            for (index, _), completion in zip(wanted, self._inner.completions, strict=True):
                got[index].append(completion)
                used[index][0] += completion.prompt_tokens
                used[index][1] += completion.new_tokens
            return got

        opened = {index: self._turns[context] for index, (context, _) in enumerate(arguments)}
        answers = self._method.answer(opened, ask)
        self.usage = [(prompt, new) for prompt, new in used]
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Raises UserError: no baseline applies to log-likelihoods, and `plan` schedules none."""
        raise UserError("prompting baselines apply to generative tasks only; score this one with prompting=none")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Raises UserError, like `loglikelihood`."""
        raise UserError("prompting baselines apply to generative tasks only; score this one with prompting=none")

    def _request(self, turns: Turns, options: dict[str, Any], index: int) -> Instance:
        text = self._inner.apply_chat_template(turns, turns[-1]["role"] == "user")
        return Instance("generate_until", {}, (text, options), index)


@dataclass(frozen=True, slots=True)
class Reason:
    """Words after the question; then, if there is an `answer_trigger`, the model continues after it."""

    trigger: str
    answer_trigger: str | None = None

    def opening(self, turns: Turns) -> Turns:
        """Adds the trigger on its own line."""
        return append_text(turns, self.trigger)

    def answer(self, chats: Mapping[int, Turns], ask: Ask) -> dict[int, str]:
        """The reasoning, followed by the requested answer if there is an `answer_trigger`."""
        reasoned = {index: some[0].text for index, some in ask(chats).items()}
        if self.answer_trigger is None:
            return reasoned
        begun = {index: f"{text.rstrip()}\n{self.answer_trigger}" for index, text in reasoned.items()}
        ended = ask({index: [*chats[index], said("assistant", text)] for index, text in begun.items()})
        return {index: begun[index] + ended[index][0].text for index in chats}


@dataclass(frozen=True, slots=True)
class Exemplify:
    """The first `count` of `examples` not related to the item, as turns or as text in the single user turn."""

    count: int
    examples: tuple[Example, ...]
    clusters: Mapping[str, str | None]
    multiturn: bool

    @classmethod
    def drawn(cls, count: int, task: TaskView) -> "Exemplify":
        """Shuffles with the task's seed and takes one example per seed question. Raises UserError if there are
        too few.
        """
        order = list(task.examples)
        random.Random(task.seed).shuffle(order)
        seen: dict[str, Example] = {}
        for example in order:
            seen.setdefault(example.cluster or example.turns[0]["content"], example)
        if len(seen) <= count:
            raise UserError(
                f"prompting.baselines.few_shot.examples is {count}, but the task has {len(seen)} worked examples, of "
                "which one may be the item itself; ask for fewer"
            )
        return cls(count, tuple(seen.values())[: count + 1], task.clusters, task.multiturn)

    def opening(self, turns: Turns) -> Turns:
        """System turn, examples, question."""
        *before, question = turns
        text = question["content"]
        cluster = self.clusters.get(text)
        fit = [
            example
            for example in self.examples
            if example.turns[0]["content"] != text and (cluster is None or example.cluster != cluster)
        ]
        shown = [dict(turn) for example in fit[: self.count] for turn in example.turns]
        if self.multiturn:
            return [*before, *shown, question]
        solved = [f"{ask['content']} {reply['content']}" for ask, reply in zip(shown[::2], shown[1::2], strict=True)]
        return [*before, said("user", "\n\n".join([*solved, text]))]

    def answer(self, chats: Mapping[int, Turns], ask: Ask) -> dict[int, str]:
        """The model's next turn."""
        return {index: some[0].text for index, some in ask(chats).items()}


@dataclass(frozen=True, slots=True)
class Agree:
    """Takes `draws` responses and returns the first that reached the majority answer. Draws that were cut off have no
    vote.
    """

    draws: int
    temperature: float
    top_p: float
    trigger: str
    kinds: tuple[str, ...]

    def opening(self, turns: Turns) -> Turns:
        """Adds the trigger, if any, on its own line."""
        return append_text(turns, self.trigger)

    def answer(self, chats: Mapping[int, Turns], ask: Ask) -> dict[int, str]:
        """The first response with the majority answer; the first draw if none commits to an answer."""
        return {
            index: self._chosen(some) for index, some in ask(chats, self.draws, self.temperature, self.top_p).items()
        }

    def _chosen(self, draws: Sequence[Completion]) -> str:
        for kind in self.kinds:
            answers = [extract(one.text, kind) if one.finish_reason == "stop" else None for one in draws]
            winner = vote(answers, tie="first").answer
            if winner is not None:
                return draws[answers.index(winner)].text
        return draws[0].text


@dataclass(frozen=True, slots=True)
class Refine:
    """Answer, criticism, better answer, within one conversation; ends when the criticism contains `stop`."""

    rounds: int
    trigger: str
    feedback: str
    refine: str
    stop: str

    def opening(self, turns: Turns) -> Turns:
        """Adds the trigger, if any, on its own line."""
        return append_text(turns, self.trigger)

    def answer(self, chats: Mapping[int, Turns], ask: Ask) -> dict[int, str]:
        """The last answer of each conversation."""
        talk = {index: list(turns) for index, turns in chats.items()}
        answers = self._say(talk, list(talk), ask)
        open_chats = list(talk)
        for _ in range(self.rounds):
            for index in open_chats:
                talk[index].append(said("user", self.feedback))
            criticism = self._say(talk, open_chats, ask)
            open_chats = [index for index in open_chats if self.stop.lower() not in criticism[index].lower()]
            if not open_chats:
                break
            for index in open_chats:
                talk[index].append(said("user", self.refine))
            answers.update(self._say(talk, open_chats, ask))
        return answers

    def _say(self, talk: dict[int, Turns], some: Sequence[int], ask: Ask) -> dict[int, str]:
        """Asks for the model's next turn in `some` of the conversations and appends it."""
        got = {index: made[0].text for index, made in ask({index: talk[index] for index in some}).items()}
        for index, text in got.items():
            talk[index].append(said("assistant", text))
        return got


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def append_text(turns: Turns, words: str) -> Turns:
    """The turns with `words` appended on a new line of the last turn."""
    *before, last = turns
    return [*before, said(last["role"], f"{last['content']}\n{words}")] if words else list(turns)
