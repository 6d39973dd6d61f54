"""A domain: the prompts for asking, modifying and solving questions, and the answer type.

In: a YAML of `conf/domain`. Out: checked prompts. A new domain needs only a new file there.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from crescent.answers import ANSWER_KINDS
from crescent.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Domain:
    """`bait` asks for one question; from a list, each request draws one by seed. `modify` contains {question} and
    {neighbour}; `solve` contains {question}.

    `answer` is a kind of `crescent.answers`; with `equality=symbolic`, algebraically equal answers vote together.
    Questions shorter than `min_chars` or longer than `max_chars` are invalid. `ask_stop` and `solve_stop` are stop
    strings for questions and answers, for models that would continue with the next question (domain=math_completion).
    """

    name: str
    bait: str | tuple[str, ...]
    modify: str
    solve: str
    answer: str = "number"
    equality: Literal["canonical", "symbolic"] = "canonical"
    min_chars: int = 20
    max_chars: int = 2000
    ask_stop: tuple[str, ...] = ()
    solve_stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.bait, tuple) and len(self.bait) == 1:
            object.__setattr__(self, "bait", self.bait[0])
        baits = (self.bait,) if isinstance(self.bait, str) else self.bait
        if not baits or not all(bait.strip() for bait in baits):
            raise UserError("domain.bait is empty; it must ask the model for one question")
        for key, parts in (("modify", ("{question}", "{neighbour}")), ("solve", ("{question}",))):
            for part in parts:
                if part not in getattr(self, key):
                    raise UserError(f"domain.{key} does not contain {part}; add it, so that the model sees it")
        if self.answer not in ANSWER_KINDS:
            raise UserError(f"domain.answer is {self.answer!r}; it may be {', '.join(ANSWER_KINDS)}")
        if self.equality not in ("canonical", "symbolic"):
            raise UserError(f"domain.equality is {self.equality!r}; it may be canonical or symbolic")
        if self.equality == "symbolic" and not find_spec("math_verify"):
            raise UserError("domain.equality=symbolic needs math-verify: pip install 'crescent-lm[symbolic]'")
        if not 0 < self.min_chars < self.max_chars:
            raise UserError("domain.min_chars must be above 0 and below domain.max_chars")


def fill(template: str, **values: str) -> str:
    """Inserts values into a prompt; other braces, in the template or in the values, stay as they are."""
    parts = {f"{{{name}}}": value for name, value in values.items()}
    filled, rest = "", template
    while rest:
        at, name = min(((rest.find(name), name) for name in parts if name in rest), default=(-1, ""))
        if at < 0:
            return filled + rest
        filled, rest = filled + rest[:at] + parts[name], rest[at + len(name) :]
    return filled
