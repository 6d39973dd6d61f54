"""The `eval` choice of a run: what is scored, and how.

In: one YAML of conf/eval. Out: `EvaluationSettings` with valid values. `harness.check` checks whether the tasks and
their files exist. Opens no file.
"""

from dataclasses import dataclass

from crescent.core.errors import UserError
from crescent.core.seed import check_seed
from crescent.core.store import not_in_key, omit_from_key_at
from crescent.engines import Sampling
from crescent.engines.scoring import Choice

MODELS = ("teacher", "base", "student")
PRIMARY = (
    "exact_match,flexible-extract",
    "exact_match",
    "prompt_level_strict_acc",
    "acc_norm",
    "acc",
)
"""The (metric, filter) that stands for a task: the first one that it reports. Without a filter: with any filter."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The tasks of one suite. `none` is the suite without tasks.

    `task_folders` contain lm-eval task YAMLs of our own; other names are the harness's. `data` is a folder of benchmark
    files: harness tasks with an overlay in a task folder (`extends: harness`) read them instead of the hub's data.
    `max_new_tokens` applies to tasks that set no `max_gen_toks` (the harness would use 256). Without `chat_template`
    the model reads plain text, as the harness prompts base models. With `fewshot_as_multiturn` worked examples are
    turns of a conversation, else text in one user turn. `limit` scores only the first items. `stop` adds stop strings
    to those of the task: a model that was never chat-tuned continues with the next question. `seed` draws the worked
    examples.

    `models` are the scored models: the teacher (if another model is trained), the base before training, the student
    after it. `temperature` applies to tasks that do not sample themselves, with `top_p`, `top_k`, `min_p` and
    `repetition_penalty`; if it is above 0, `samples` responses per item are drawn and scored as their mean, with pass@k
    and maj@k in addition. `engine` writes them (`crescent.engines.scoring`); keys have the engine it stands for.
    """

    name: str
    tasks: tuple[str, ...] = ()
    task_folders: tuple[str, ...] = ()
    data: str | None = None
    shots: tuple[int, ...] = (0, 5)
    limit: int | None = None
    max_new_tokens: int = 1024
    chat_template: bool = True
    fewshot_as_multiturn: bool = True
    system_prompt: str | None = None
    seed: int = 1234
    primary: tuple[str, ...] = PRIMARY
    loglikelihood_batch: int = not_in_key(default=16)
    stop: tuple[str, ...] = omit_from_key_at(())
    models: tuple[str, ...] = not_in_key(default=MODELS)
    engine: Choice = not_in_key(default="auto")
    samples: int = omit_from_key_at(1)
    temperature: float = omit_from_key_at(0.0)
    top_p: float = omit_from_key_at(1.0)
    top_k: int = omit_from_key_at(0)
    min_p: float = omit_from_key_at(0.0)
    repetition_penalty: float = omit_from_key_at(1.0)

    def __post_init__(self) -> None:
        if len(set(self.tasks)) < len(self.tasks):
            twice = sorted({task for task in self.tasks if self.tasks.count(task) > 1})
            raise UserError(f"eval.tasks names {', '.join(twice)} more than once; name each task once")
        if self.tasks and not self.shots:
            raise UserError("eval.shots is empty; give the numbers of worked examples, such as [0, 5]")
        if any(shots < 0 for shots in self.shots) or len(set(self.shots)) < len(self.shots):
            raise UserError(f"eval.shots is {list(self.shots)}; it must be different numbers of 0 or more")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"eval.limit is {self.limit}; it must be at least 1, or null for all items")
        if not self.models or len(set(self.models)) < len(self.models) or not set(self.models) <= set(MODELS):
            raise UserError(
                f"eval.models is {list(self.models)}; it must be some of {', '.join(MODELS)}, each once. "
                "eval=none scores nothing."
            )
        try:
            _ = self.sampling
        except ValueError as error:
            raise UserError(f"eval.{error}") from None
        if self.samples > 1 and self.temperature == 0:
            raise UserError(
                f"eval.samples is {self.samples}, but greedy samples are all equal: set eval.temperature, such as 0.6"
            )
        for key in ("max_new_tokens", "loglikelihood_batch", "samples"):
            if getattr(self, key) < 1:
                raise UserError(f"eval.{key} is {getattr(self, key)}; it must be at least 1")
        check_seed("eval.seed", self.seed)
        if self.tasks and not self.primary:
            raise UserError("eval.primary is empty; name at least one metric, such as exact_match or acc")

    @property
    def sampling(self) -> Sampling:
        """How answers are drawn where a task does not sample itself."""
        return Sampling(
            self.temperature, self.top_p, top_k=self.top_k, min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
        )  # fmt: skip

    @property
    def drawn(self) -> dict[str, float]:
        """What `sampling` has beyond greedy decoding, as far as it matters."""
        neutral = EvaluationSettings("")
        matters = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty") if self.temperature else ()
        names = matters or ("repetition_penalty",)
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(neutral, name)}
