"""Retention: the anchor's divergence and its memory, and which sequences are trained on behind others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CHATML, save_tokenizer
from test_objective import DPO, PAIRS, SETTINGS, examples, gradients, trained_a_little

from crescent.core.records import QAPair
from crescent.engines.weights import Weights, load_tokenizer
from crescent.training import head
from crescent.training.batching import Packed
from crescent.training.data import Example, encode_pairs
from crescent.training.methods import Full
from crescent.training.objective import SFT
from crescent.training.retention import Anchor, Shots

ANCHORED = replace(SETTINGS, objective=SFT, retain=Anchor(0.5))
BOTH = replace(SETTINGS, objective=DPO, retain=Anchor(0.5))
OPENS = CHATML.replace("<|assistant|>\n{% endif %}", "<|assistant|>\n<think>\n{% endif %}")
SHOTS = Shots(share=1.0, shots=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def divergence(folder: Path) -> float:
    """KL(before || now) in nats per target token, sequence by sequence, in float64."""
    model, total, targets = trained_a_little(folder).double(), 0.0, 0
    with torch.no_grad():
        for one in (part for example in examples(folder) for part in example.sequences):
            ids, at = torch.tensor([one.ids]), slice(one.prompt_tokens - 1, -1)
            now = model(input_ids=ids).logits[0, at].log_softmax(-1)
            with model.disable_adapter():
                before = model(input_ids=ids).logits[0, at].log_softmax(-1)
            total += (before.exp() * (before - now)).sum().item()
            targets += one.target_tokens
    return total / targets


def test_the_anchor_adds_its_weight_times_the_divergence(tiny_llama: Path) -> None:
    expected = divergence(tiny_llama)
    loss, *_, kl = gradients(tiny_llama, BOTH)[0]
    without = gradients(tiny_llama, SETTINGS)[0][0]
    assert expected > 0.01 and kl == pytest.approx(expected, rel=1e-4)
    assert loss == pytest.approx(without + 0.5 * expected, rel=1e-4)


@pytest.mark.parametrize("settings", [ANCHORED, BOTH])
@pytest.mark.parametrize("changed", [{}, {"batching": Packed(1)}, {"micro_batch_tokens": 1}])
def test_neither_chunks_nor_the_layout_change_it(
    settings: Any, changed: dict[str, Any], tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected = gradients(tiny_llama, settings)
    monkeypatch.setattr(head, "CHUNK_BYTES", 5 * 400 * 4)
    parts, found = gradients(tiny_llama, replace(settings, **changed))
    assert parts == pytest.approx(whole, rel=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_an_anchor_needs_an_adapter_to_switch_off() -> None:
    with pytest.raises(ValueError, match=r"retain=anchor compares .* use train=lora"):
        replace(ANCHORED, method=Full())


def encoded(
    tokenizer: Any, retain: Shots, max_length: int = 512, pairs: list[QAPair] = PAIRS, **more: Any
) -> list[Example]:
    return encode_pairs(pairs, tokenizer, max_length, retain=retain, **more).examples


def tokenizer_of(folder: Path, template: str | None = CHATML) -> Any:
    save_tokenizer(folder, template)
    return load_tokenizer(Weights("x", str(folder), template="chat" if template else "completion"))


@pytest.mark.parametrize("template", [CHATML, OPENS, None])
def test_a_pair_comes_behind_others_as_earlier_turns_and_only_its_answer_counts(
    template: str | None, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(tmp_path, template)
    thinking = [replace(pair, response=f"<think>Hm.</think>{pair.response}") for pair in PAIRS]
    plain = encode_pairs(thinking, tokenizer, 512, contrasts=True).examples
    for alone, behind in zip(plain, encoded(tokenizer, SHOTS, pairs=thinking, contrasts=True), strict=True):
        assert [one.ids[one.prompt_tokens :] for one in behind.sequences] == [
            one.ids[one.prompt_tokens :] for one in alone.sequences
        ]
        [prompt] = {tokenizer.decode(one.ids[: one.prompt_tokens]) for one in behind.sequences}
        assert prompt.count("Tom has") == 3 and prompt.count("####") == 2 and "Hm." not in prompt
        assert prompt.startswith("<s>") and prompt.count("<s>") == 1


def test_there_are_fewer_turns_where_the_length_leaves_no_room(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    longest = max(one.longest for one in encode_pairs(PAIRS, tokenizer, 512).examples)
    limit = max(one.longest for one in encoded(tokenizer, SHOTS)) - 1
    made = encoded(tokenizer, SHOTS, max_length=limit)
    turns = [tokenizer.decode(one.ids).count("Tom has") for one in made]
    assert set(turns) == {2, 3} and all(one.longest <= limit for one in made) and len(made) == len(PAIRS)
    assert encoded(tokenizer, SHOTS, max_length=longest) == encode_pairs(PAIRS, tokenizer, longest).examples


def test_the_share_is_seeded_and_does_not_depend_on_the_order(tmp_path: Path) -> None:
    tokenizer, half = tokenizer_of(tmp_path), Shots(share=0.5, shots=1)

    def behind(pairs: list[QAPair], seed: int) -> set[str]:
        made = encoded(tokenizer, half, pairs=pairs, seed=seed)
        return {one.question_id for one in made if tokenizer.decode(one.ids).count("Tom has") > 1}

    assert 0 < len(behind(PAIRS, 0)) < len(PAIRS)
    assert behind(PAIRS, 0) == behind(PAIRS[::-1], 0) != behind(PAIRS, 1)


def test_texts_that_spell_control_tokens_are_no_earlier_turns_either(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    unsafe = replace(PAIRS[0], question_id="unsafe", question="Tom has <|end|> apples.")
    found = encode_pairs([unsafe, *PAIRS], tokenizer, 512, retain=Shots(1.0, 12))
    assert found.unsafe == ["unsafe"] and found.with_shots == len(PAIRS)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Shots(0.0, 2), r"retain\.share is 0\.0"),
        (lambda: Shots(0.5, 0), r"retain\.shots is 0"),
        (lambda: Anchor(0.0), r"retain\.weight is 0\.0"),
    ],
)
def test_bad_settings_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
