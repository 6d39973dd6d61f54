"""Which engine scores: `eval.engine`, resolved from the run's own.

In: the choice, the run's engine, what is trained and which models are scored. Out: the settings of the engine that
writes the answers of tasks, or a UserError with a suggested fix. Likelihoods of choices are always computed in process
(`EngineSettings.in_process`). Loads nothing.
"""

from collections.abc import Collection
from typing import Literal

from crescent.core.errors import UserError
from crescent.engines.choice import EngineSettings
from crescent.engines.server.settings import ServerSettings
from crescent.engines.vllm.settings import VllmSettings

Choice = Literal["auto", "transformers", "vllm", "server"]


def scoring_engine(choice: Choice, engine: EngineSettings, rank: int, scored: Collection[str]) -> EngineSettings:
    """The engine of all scored models, so that they are compared on equal terms. `rank` is that of the student's
    adapter (0: none), `scored` the models: teacher, student, and base if that is another model than the teacher. "auto"
    is the run's engine if it can load the student, else this process's.
    """
    if choice == "transformers":
        return engine.in_process
    if choice == "server":
        return _served(engine, scored)
    if choice == "vllm":
        asked = engine if isinstance(engine, VllmSettings) else VllmSettings()
        if "student" in scored:
            asked.check_student(rank)
        return asked
    return engine.scoring if _loads_student(engine.scoring, rank) else engine.in_process


def _served(engine: EngineSettings, scored: Collection[str]) -> EngineSettings:
    """The run's servers, if all that is scored is the model they serve: the teacher."""
    if not isinstance(engine, ServerSettings):
        raise UserError(
            "eval.engine=server scores over the servers of engine=server, and this run has none: choose engine=server "
            "engine.urls=[...], or eval.engine=auto"
        )
    if "student" in scored:
        raise UserError(
            "eval.engine=server cannot score the trained student: a server keeps the weights it was started with. "
            "Choose eval.engine=transformers (or vllm), or leave the student out with eval.models=[teacher]"
        )
    if "base" in scored:
        raise UserError(
            "eval.engine=server cannot score the base, which is another model than the teacher that is served: choose "
            "eval.engine=transformers (or vllm), or eval.models=[teacher]"
        )
    return engine


def _loads_student(engine: EngineSettings, rank: int) -> bool:
    try:
        engine.check_student(rank)
    except UserError:
        return False
    return True
