"""Small files in the formats of the general benchmarks, as the hub's data sets have them, written where a test asks."""

import json
from pathlib import Path
from typing import Any

import crescent.evaluation
from crescent.evaluation.settings import EvaluationSettings

FOLDER = str(Path(crescent.evaluation.__file__).parent / "tasks")
LETTERS = "ABCD"


def arc(number: int) -> dict[str, Any]:
    texts = [f"{number} apples", "12 apples", "nothing", "Tom"]
    choices = {"text": texts, "label": list(LETTERS)}
    return {
        "id": f"Q{number}",
        "question": f"What has Ann after {number} days?",
        "choices": choices,
        "answerKey": LETTERS[number % 4],
    }


def hellaswag(number: int) -> dict[str, Any]:
    endings = [f"gives {number} apples.", "thinks. [step]", "has Tom.", "is left."]
    return {
        "ind": number, "activity_label": "Counting apples", "ctx_a": f"Tom has {number} apples.", "ctx_b": "then he",
        "ctx": f"Tom has {number} apples. then he", "endings": endings, "source_id": "x", "split": "val",
        "split_type": "indomain", "label": str(number % 4),
    }  # fmt: skip


def winogrande(number: int) -> dict[str, Any]:
    sentence = f"Tom gave Ann {number} apples because _ was kind."
    return {"sentence": sentence, "option1": "Tom", "option2": "Ann", "answer": str(number % 2 + 1)}


def truthful(number: int) -> dict[str, Any]:
    choices = ["Nothing happens", "You get apples", f"You see {number} apples"]
    one = {"choices": choices, "labels": [1, 0, 0]}
    return {"question": f"What happens if you eat {number} apples?", "mc1_targets": one, "mc2_targets": one}


def mmlu(number: int, subject: str) -> dict[str, Any]:
    return {
        "question": f"How many apples make {number} apples?", "subject": subject,
        "choices": [str(number), "12", "none", "all"], "answer": number % 4,
    }  # fmt: skip


def gpqa(number: int) -> dict[str, Any]:
    wrong = {f"Incorrect Answer {index}": f"{number + index} J" for index in (1, 2, 3)}
    return {"Question": f"What is the energy of {number} apples?", "Correct Answer": f"{number} J", **wrong}


def ifeval(number: int) -> dict[str, Any]:
    return {
        "key": number, "prompt": f"Write about {number} apples without commas.",
        "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}],
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_all(folder: Path, subjects: list[str]) -> None:
    """Every file of the general suite: 6 items to score, 8 examples where a task has a split of them."""
    for name, make, train, test in (
        ("arc_challenge", arc, "train", "test"),
        ("hellaswag", hellaswag, "train", "validation"),
        ("winogrande", winogrande, "train", "validation"),
    ):
        write(folder / name / f"{train}.jsonl", [make(number) for number in range(100, 108)])
        write(folder / name / f"{test}.jsonl", [make(number) for number in range(6)])
    write(folder / "truthful_qa" / "validation.jsonl", [truthful(number) for number in range(6)])
    write(folder / "gpqa" / "main.jsonl", [gpqa(number) for number in range(12)])
    write(folder / "ifeval" / "train.jsonl", [ifeval(number) for number in range(6)])
    for subject in subjects:
        write(folder / "mmlu" / subject / "dev.jsonl", [mmlu(number, subject) for number in range(100, 105)])
        write(folder / "mmlu" / subject / "test.jsonl", [mmlu(number, subject) for number in range(2)])


def settings(folder: Path, *tasks: str, **options: Any) -> EvaluationSettings:
    return EvaluationSettings("general", tasks=tasks, task_folders=(FOLDER,), data=str(folder), **options)
