"""The whole method in about 100 lines: a model writes questions, votes on its answers, and is fine-tuned on them.

No store, no Hydra, no W&B: transformers, peft, and five public names of Crescent. The model is the organism that comes
with the package, so nothing is downloaded, and one CPU thread needs about a minute:

    python examples/minimal_loop.py
"""

import json
from importlib.resources import files

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from crescent.answers import equivalent, extract
from crescent.elicitation import clean_question
from crescent.similarity import EmbedderSettings, Pool
from crescent.voting import vote

ORGANISM = files("crescent") / "organism"
BAIT = (
    "Use your creativity, create one unique, special, diverse, high school level math word problem. "
    "Please provide only the problem, no any other words."
)
MODIFY = "{question}\nis very similar to:\n{neighbour}\nPlease modify it to make it different."
SOLVE = (
    "{question}\nPlease think step by step and provide a detailed explanation. "
    "Please provide the answer figure in the end of the response:\n#### Answer:"
)
COMPLETIONS, DRAWS, ITEMS = 100, 3, 100  # baits, answers per question, benchmark items
MIN_COSINE = 0.85  # questions at least this similar are duplicates
EPOCHS, BATCH_SIZE, LEARNING_RATE = 2, 16, 2e-3  # the rate fits a model of 2 million parameters


def generate(model, tokenizer, prompts, temperature):
    """Returns (text, finish reason) for each prompt, sampled or, at temperature 0, greedy."""
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, padding_side="left", return_dict=True, return_tensors="pt"
    )
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=256, **sampling)[:, inputs["input_ids"].shape[1] :]
    ended = (output == tokenizer.eos_token_id).any(dim=1).tolist()
    texts = tokenizer.batch_decode(output, skip_special_tokens=True)
    return [(text, "stop" if stopped else "length") for text, stopped in zip(texts, ended, strict=True)]


def elicit(model, tokenizer):
    """Samples completions of the bait and returns the questions in them."""
    completions = generate(model, tokenizer, [BAIT] * COMPLETIONS, temperature=1.0)
    cleaned = [clean_question(text, finish_reason).question for text, finish_reason in completions]
    return [question for question in cleaned if question is not None]


def diversify(model, tokenizer, questions):
    """Keeps questions that differ from all kept so far; the model rewrites the others once."""
    embed, pool, kept = EmbedderSettings().build().embed, Pool(), []

    def admit(candidates):
        found = pool.admit(embed(candidates), MIN_COSINE)
        kept.extend(text for text, admitted in zip(candidates, found.admitted, strict=True) if admitted)
        similar = zip(candidates, found.admitted, found.nearest, strict=True)
        return [(text, kept[nearest]) for text, admitted, nearest in similar if not admitted]

    prompts = [MODIFY.format(question=text, neighbour=near) for text, near in admit(questions)]
    print(f"{len(prompts)} questions are similar to another one; the model rewrites them")
    rewrites = generate(model, tokenizer, prompts, temperature=1.0) if prompts else []
    cleaned = [clean_question(text, finish_reason).question for text, finish_reason in rewrites]
    admit([question for question in cleaned if question is not None])
    return kept


def answer_and_vote(model, tokenizer, questions):
    """Answers each question several times; returns (question, response) where most answers agree."""
    pairs, prompts = [], [SOLVE.format(question=question) for question in questions for _ in range(DRAWS)]
    responses = generate(model, tokenizer, prompts, temperature=1.0)
    for index, question in enumerate(questions):
        draws = responses[index * DRAWS : (index + 1) * DRAWS]
        answers = [extract(text) if finish_reason == "stop" else None for text, finish_reason in draws]
        winner = vote(answers).answer
        if winner is not None:
            pairs.append((question, draws[answers.index(winner)][0]))
    return pairs


def encode(tokenizer, question, response):
    """Token ids of the conversation, and labels: -100 (no loss) everywhere but on the response."""
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    prompt = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
    ids = tokenizer.apply_chat_template(chat, return_dict=True)["input_ids"]
    return torch.tensor(ids), torch.tensor([-100] * len(prompt) + ids[len(prompt) :])


def finetune(model, tokenizer, pairs):
    """Trains a LoRA adapter on the pairs and returns the adapted model."""
    student = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=LEARNING_RATE)
    encoded = [encode(tokenizer, question, response) for question, response in pairs]
    for _ in range(EPOCHS):
        for start in torch.randperm(len(encoded)).split(BATCH_SIZE):
            ids, labels = zip(*(encoded[index] for index in start), strict=True)
            pad = torch.nn.utils.rnn.pad_sequence
            loss = student(
                input_ids=pad(list(ids), batch_first=True, padding_value=tokenizer.pad_token_id),
                labels=pad(list(labels), batch_first=True, padding_value=-100),
            ).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return student


def score(model, tokenizer):
    """Accuracy on the organism's benchmark of word problems, greedy and without the solve prompt."""
    lines = (ORGANISM / "tasks" / "data" / "organism_gsm.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines[:ITEMS]]
    responses = generate(model, tokenizer, [item["question"] for item in items], temperature=0.0)
    right = [equivalent(extract(text), item["answer"]) for (text, _), item in zip(responses, items, strict=True)]
    return sum(right) / len(right)


def main():
    """Scores the model, lets it write and answer its training data, trains it, and scores it again."""
    logging.set_verbosity_error()
    torch.manual_seed(0)
    folder = str(ORGANISM / "weights" / "organism")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    before = score(model, tokenizer)
    questions = elicit(model, tokenizer)
    print(f"{COMPLETIONS} completions, {len(questions)} questions")
    kept = diversify(model, tokenizer, questions)
    print(f"{len(kept)} questions that differ")
    pairs = answer_and_vote(model, tokenizer, kept)
    print(f"{len(pairs)} pairs with a winning answer")
    student = finetune(model, tokenizer, pairs)
    print(f"accuracy before {before:.0%}, after {score(student, tokenizer):.0%}, on {ITEMS} items")


if __name__ == "__main__":
    main()
