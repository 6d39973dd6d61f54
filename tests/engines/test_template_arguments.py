"""Arguments of chat templates: in every rendering and in keys, refused where they cannot be meant."""

from pathlib import Path
from typing import Any

import pytest
from conftest import CHATML, save_tiny_model
from transformers import AutoTokenizer

from crescent.core.console import Console
from crescent.engines import Prompt
from crescent.engines.identity import identity
from crescent.engines.template_arguments import with_arguments
from crescent.engines.transformers import TransformersSettings
from crescent.engines.weights import Weights, check
from crescent.evaluation.model import HarnessModel

SWITCH = "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
SWITCHED = CHATML.replace("<|assistant|>\n{% endif %}", "<|assistant|>\n" + SWITCH + "{% endif %}")
SHOWS = "{{ bos_token }}{{ messages[0]['content'] }}{{ level|string }}<|end|>"
TURNS = [{"role": "user", "content": "How many?"}]
OFF = {"enable_thinking": False}


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("switched") / "model", template=SWITCHED)


def test_every_rendering_of_a_model_has_its_arguments(switched: Path, console: Console) -> None:
    asked = "<s><|user|>\nHow many?<|end|>\n<|assistant|>\n"
    for arguments, end in ((OFF, "<think>\n\n</think>\n\n"), ({"enable_thinking": True}, ""), (None, "")):
        weights = Weights("m", str(switched), chat_template_kwargs=arguments)
        engine = TransformersSettings(device="cpu").build(weights, "w")
        assert engine.tokenizer.decode(list(engine.encode(Prompt("How many?")))) == asked + end
        assert HarnessModel(engine, console, "t").apply_chat_template(TURNS) == asked + end


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "True"), (None, "None"), (3, "3"), (-0.5, "-0.5"), ('a "b" %} \n é😀', 'a "b" %} \n é😀'),
     ([1, "x"], "[1, 'x']"), ({"a": [False]}, "{'a': [False]}")],
)  # fmt: skip
def test_a_template_reads_an_argument_as_it_was_given(value: Any, shown: str, tiny_llama: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.chat_template = with_arguments(SHOWS, {"level": value})
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == f"<s>How many?{shown}<|end|>"
    assert tokenizer.apply_chat_template(TURNS, tokenize=False, level="own") == "<s>How many?own<|end|>"


def test_the_first_line_of_a_template_and_its_macros_are_as_before(tiny_llama: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_llama)
    template = (
        "  {% macro say() %}{{ level }}{% endmacro %}\n  {% for m in messages %}\n{{ say() }}{{ level }}{% endfor %}"
    )
    tokenizer.chat_template = template.replace("{{ level }}", "2")
    before = tokenizer.apply_chat_template(TURNS, tokenize=False)
    tokenizer.chat_template = with_arguments(template, {"level": 2})
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == before


def test_arguments_are_in_keys_where_there_are_any(switched: Path) -> None:
    given = (None, {}, OFF, {"enable_thinking": True})
    keys = [identity(Weights("m", str(switched), chat_template_kwargs=one)) for one in given]
    assert keys[0] == keys[1] and len(set(keys)) == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"messages": 1}, r"chat_template_kwargs\.messages cannot be set"),
        ({"add_generation_prompt": False}, r"add_generation_prompt cannot be set"),
        ({"a-b": 1}, r"chat_template_kwargs\.a-b cannot be set"),
        ({"enable_thinking": "False"}, r"enable_thinking is the text 'False', which a template treats as true"),
        ({"level": {1, 2}}, r"level is a set; it must be"),
        ({"enable_thinkin": False}, r"the chat template of m has no variable enable_thinkin"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_a_model_loads(
    arguments: dict[str, Any], reason: str, switched: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        check(Weights("m", str(switched), chat_template_kwargs=arguments))


def test_a_model_asked_in_plain_text_takes_no_arguments(switched: Path) -> None:
    with pytest.raises(ValueError, match=r"m has model\.template=completion"):
        Weights("m", str(switched), template="completion", chat_template_kwargs=OFF)
