"""Where turns end: in chat templates, and in answers of a model that does not list the end of its own template."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer
from unlisted import END, LISTED, save_unlisted

from crescent.engines import Prompt, Sampling
from crescent.engines.identity import identity
from crescent.engines.server import ServerSettings
from crescent.engines.transformers import TransformersSettings
from crescent.engines.turns import Turn, end_of_turn, list_end, listed_ends, turn_of
from crescent.engines.weights import Weights, load_tokenizer

TAUGHT = [("How many?", "Left: 7"), ("Who?", "Ann")]


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_unlisted(tmp_path_factory.mktemp("unlisted") / "model", TAUGHT)


@pytest.mark.parametrize("name", ["organism", "organism_small"])
def test_the_organism_lists_its_end_of_turn(name: str) -> None:
    import crescent

    folder = Path(crescent.__file__).parent / "organism" / "weights" / name
    tokenizer: Any = load_tokenizer(Weights(name, str(folder)))
    assert turn_of(folder, tokenizer) == Turn(tokenizer.eos_token_id, True, False)


def test_an_answer_in_plain_text_ends_with_the_tokenizer_s_own_token(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(Weights("tiny", str(tiny_llama), template="completion"))
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id


def test_a_template_without_an_end_of_turn_has_none(tiny_llama: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    assert end_of_turn(tokenizer) is None


@pytest.mark.parametrize("batching", ["padded", "continuous"])
@pytest.mark.filterwarnings("ignore")
def test_an_answer_ends_where_the_template_ends_a_turn(batching: Any, unlisted: Path) -> None:
    engine = TransformersSettings(device="cpu", batching=batching).build(Weights("m", str(unlisted)), "w")
    prompts = [Prompt(question, draw) for question, _ in TAUGHT for draw in range(12)]
    made = engine.generate(prompts, Sampling(temperature=0.2, max_new_tokens=30, seed=1))
    assert {one.finish_reason for one in made} == {"stop"}
    assert [one.text for one in made] == [answer for _, answer in TAUGHT for _ in range(12)]


def test_an_end_of_turn_that_decoding_does_not_skip_is_not_in_the_answer(unlisted: Path) -> None:
    engine = TransformersSettings(device="cpu").build(Weights("m", str(unlisted)), "w")
    decode = engine.tokenizer.decode
    engine.tokenizer.decode = lambda ids, **options: decode(ids)  # type: ignore[method-assign]
    [made] = engine.generate(["Who?"], Sampling(temperature=0, max_new_tokens=30))
    assert (made.text, made.finish_reason) == ("Ann", "stop")


def test_only_an_unlisted_end_is_part_of_identity(tiny_llama: Path, unlisted: Path, tmp_path: Path) -> None:
    def settings(folder: Path) -> tuple[str, str]:
        weights = Weights("m", str(folder))
        return identity(weights, tmp_path / "cache.json"), ServerSettings(("http://a/v1",), model="m").identity(
            weights, None
        )

    before = settings(unlisted)
    config = json.loads((unlisted / "generation_config.json").read_text())
    listed = tmp_path / "listed"
    listed.mkdir()
    for file in unlisted.iterdir():
        (listed / file.name).write_bytes(file.read_bytes())
    (listed / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [LISTED, END]}))
    plain = ServerSettings(("http://a/v1",), model="m").identity(Weights("m", "nowhere"), None)
    assert before[1] != plain and settings(listed)[1] == settings(tiny_llama)[1] == plain
    assert identity(Weights("m", str(unlisted)), tmp_path / "cache.json") == before[0] != settings(listed)[0]


def test_the_end_that_was_learned_is_listed_once(unlisted: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(unlisted)
    tokenizer = load_tokenizer(Weights("m", str(unlisted)))
    assert listed_ends(unlisted) == [LISTED]
    assert list_end(model, tokenizer) and not list_end(model, tokenizer)
    assert model.generation_config.eos_token_id == [LISTED, END]


def test_a_model_that_lists_its_end_is_saved_as_it_is(tiny_llama: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    assert not list_end(model, load_tokenizer(Weights("m", str(tiny_llama))))
    assert model.generation_config.eos_token_id == 1
