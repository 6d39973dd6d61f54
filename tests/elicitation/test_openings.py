"""How the teacher is brought to ask: a bait of several, or the user's turn of its own template."""

from collections import Counter
from pathlib import Path

import pytest
from configured import experiment
from conftest import save_tiny_model
from real_tokenizers import ENDS, copy_tokenizer, needs_files
from stage_context import closable, stage_context

from crescent.config.typed import ConfigError
from crescent.core.context import ModelKeys
from crescent.core.records import RawQuestion
from crescent.core.store import Store
from crescent.elicitation import PreQuery
from crescent.elicitation.stage import Elicit
from crescent.engines import Prompt, Sampling
from crescent.engines.encoding import encode
from crescent.engines.transformers.engine import TransformersEngine
from crescent.engines.user_turns import user_turn
from crescent.engines.weights import Weights, load_tokenizer

KEYS = ModelKeys("engine", "embedder")
BAITS = ("Write a problem.", "Write a puzzle.", "Ask me.")


def key(*overrides: str) -> str:
    return experiment(*overrides).stages().elicit.key(KEYS).digest


def test_each_draw_has_one_of_the_baits_by_seed() -> None:
    def texts(seed: int) -> list[str]:
        return [prompt.text for prompt in Elicit(BAITS, Sampling(seed=seed), 300).prompts(1)]

    assert texts(1) == texts(1) != texts(2)
    assert all(70 < count < 130 for count in Counter(texts(1)).values()) and set(texts(1)) == set(BAITS)


def test_a_bait_has_the_key_it_had_alone_or_in_a_list() -> None:
    one, listed = key("domain.bait=Ask me."), key("domain.bait=[Ask me.]")
    assert one == listed != key("domain.bait=[Ask me.,Write a puzzle.]")


@pytest.mark.parametrize("bait", ["[]", "['']", "[a,' ']"])
def test_a_list_of_baits_without_a_text_is_refused(bait: str) -> None:
    with pytest.raises(ConfigError, match=r"domain\.bait"):
        experiment(f"domain.bait={bait}")


def test_the_model_goes_on_from_its_own_template_up_to_the_user_s_text(
    engine: TransformersEngine, tiny_llama: Path, store: Store
) -> None:
    stage = Elicit("", Sampling(max_new_tokens=8), 3, PreQuery("Sums."), Weights("tiny", str(tiny_llama)))
    turns = [{"role": "system", "content": "Sums."}, {"role": "user", "content": "How many?"}]
    whole = str(engine.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    prefix = whole[: whole.index("How many?")]
    rows = stage.run(stage_context(store, closable(engine))).shard(0).read(RawQuestion)
    asked = [Prompt(prefix, draw, rendered=True) for draw in range(3)]
    assert [row.text for row in rows] == [one.text for one in engine.generate(asked, stage.asking)]


def test_the_keys_of_a_pre_query_have_its_system_turn_and_no_bait() -> None:
    plain, told = key("elicit=pre_query"), key("elicit=pre_query", "elicit.opening.system=Sums.")
    assert len({plain, told, key()}) == 3
    assert key("elicit=pre_query", "domain.bait=Ask me.") == plain


def test_a_template_that_leaves_the_system_turn_out_is_refused_before_a_model_loads(tmp_path: Path) -> None:
    template = "{% for m in messages if m.role == 'user' %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    folder = save_tiny_model(tmp_path / "model", template=template)
    with pytest.raises(ConfigError, match=r"elicit\.opening\.system: .* leaves it out; leave it at null"):
        experiment(f"model.path={folder}", "elicit=pre_query", "elicit.opening.system=Sums.").check()


def test_a_server_whose_template_is_not_here_is_refused_with_a_fix() -> None:
    served = ("engine=server", "engine.urls=[http://127.0.0.1:9/v1]", "engine.model=m", "eval=none", "distill=organism")
    with pytest.raises(ConfigError, match=r"tokenizer is not on this machine: set model\.path .* choose elicit=bait"):
        experiment(*served, "model=hf", "model.path=no/where", "elicit=pre_query").check()
    experiment(*served, "elicit=pre_query").check()


@needs_files
@pytest.mark.parametrize("name", ENDS)
def test_real_templates_are_opened_where_the_user_speaks(name: str, tmp_path: Path) -> None:
    weights = Weights(name, str(copy_tokenizer(name, tmp_path / name)))
    tokenizer, turn = load_tokenizer(weights), user_turn(weights, None)
    whole = encode(Prompt("How many?"), tokenizer)
    opened = encode(Prompt(turn.prefix, rendered=True), tokenizer)
    if name != "llama2":  # whose text begins within a token
        assert whole[: len(opened)] == opened
    behind = str(tokenizer.decode(whole)).partition("How many?")[2]
    ends = (*turn.marks, ENDS[name])
    assert any(behind.strip().startswith(mark) for mark in ends), (behind, ends)
