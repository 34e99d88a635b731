"""Compare what training gains: the encoder as it came, the block on a frozen encoder, full training, and the peer's loop.

    python tools/compare_quality.py WORK --sbmoe target/release/sbmoe --model MODEL --peer PEERS/finetune.py \
        --collections DATA/scifact5 DATA/icd10 --systems encoder frozen linear full peer --seeds 1 2 3

All train on the same pairs: WORK/data/NAME is the collection with at most `--pairs` training queries, drawn once.
All choose their state on the dev judgments, and are judged by nDCG@10 of the test judgments.

    encoder  the model as it came, by cosine
    frozen   `sbmoe train --freeze-encoder`
    linear   `sbmoe train --freeze-encoder --block linear`
    full     `sbmoe train`
    peer     PEERS/finetune.py: sentence-transformers as its users train (it is not part of this project)

Every cell (collection, system, seed) leaves a line in WORK/cells.jsonl when it is done, and is skipped when it is there, so
that a stopped comparison goes on when repeated.  WORK/settings.json keeps the settings; others need another folder.
Training seconds are what the programs say of their training; the corpus's encoding stands apart.  Of a frozen encoder the
first seed computes the vectors of the corpus and the others find them, so that the longest and the shortest are shown; its
index is made from the encoder's vectors, and its seconds are those of both.
The tables go to standard output, in Markdown, and to WORK/tables.md.
"""

import argparse
import json
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from quality.cells import SYSTEMS, Settings, cell
from quality.tables import tables


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--sbmoe", type=Path)
    parser.add_argument("--model", help="a model folder that both sides read")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--collections", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--pairs", type=int, default=2000, help="training queries of a collection, at most")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--negatives", metavar="NAME", help="file of each collection with mined negatives, for ours alone")
    parser.add_argument("--threads", type=int, default=0, help="of both sides; 0 leaves it to them")
    parser.add_argument("--epochs", type=int, help="of both sides, for trials; default: each its own")
    parser.add_argument("--switches", type=shlex.split, default=[], help="further switches of `sbmoe train`, in one string")
    parser.add_argument("--keep-runs", action="store_true", help="do not delete our models and indexes")
    parser.add_argument("--only-tables", action="store_true")
    return parser.parse_args()


def check_settings(given: argparse.Namespace) -> None:
    """Cells of one folder are comparable: the same binary's path, model, pairs and switches."""
    names = ["model", "pairs", "max_length", "negatives", "epochs", "switches", "threads"]
    settings = {name: getattr(given, name) for name in names}
    file = given.work / "settings.json"
    if not file.exists():
        file.write_text(json.dumps(settings, indent=1) + "\n")
    before = json.loads(file.read_text())
    for name in names:
        if settings[name] != before.get(name):
            sys.exit(f"{file}: `{name}` was {before.get(name)!r}, now {settings[name]!r}; take another work folder")


def main() -> None:
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    file = given.work / "cells.jsonl"
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if not given.only_tables:
        if not given.sbmoe or not given.model:
            sys.exit("--sbmoe and --model are needed to run cells")
        check_settings(given)
        settings = Settings(**{field.name: getattr(given, field.name) for field in fields(Settings)})
        # The first seed of everything comes before the second of anything, so that a stopped comparison says most.
        plan = [(s, seed, c) for seed in given.seeds for c in given.collections for s in given.systems]
        for system, seed, collection in plan:
            seed = 0 if system == "encoder" else seed
            if any((one["collection"], one["system"], one["seed"]) == (collection.name, system, seed) for one in done):
                continue
            done.append(cell(system, seed, collection, settings))
            with file.open("a") as lines:
                lines.write(json.dumps(done[-1]) + "\n")
            print(f"{collection.name} {system} {seed}: nDCG@10 {done[-1]['ndcg']:.4f}", file=sys.stderr, flush=True)
    text = tables(done, [collection.name for collection in given.collections], bool(given.negatives))
    (given.work / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
