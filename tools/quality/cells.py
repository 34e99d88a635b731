"""Runs one system on one collection with one seed, and gives its scores, seconds and what it kept."""

import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from beir_folder import read_qrels

OURS = {"frozen": ["--freeze-encoder"], "linear": ["--freeze-encoder", "--block", "linear"], "full": []}
SYSTEMS = ["encoder", *OURS, "peer"]


@dataclass
class Settings:
    """What all cells of a work folder share."""

    sbmoe: Path
    model: str
    peer: Path | None
    work: Path
    max_length: int
    pairs: int
    negatives: str | None
    threads: int
    epochs: int | None
    switches: list[str]
    keep_runs: bool


def reduced(collection: Path, settings: Settings) -> Path:
    """A copy of the collection with at most so many training queries, the same for every system and seed."""
    folder = settings.work / "data" / collection.name
    qrels = folder / "qrels"
    if qrels.exists():
        return folder
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        source = collection / name if (collection / name).exists() else collection / f"{name}.gz"
        (partial / source.name).symlink_to(source.resolve())
    for split in ("dev", "test"):
        if (collection / "qrels" / f"{split}.tsv").exists():
            (partial / "qrels" / f"{split}.tsv").symlink_to((collection / "qrels" / f"{split}.tsv").resolve())
    if settings.negatives:
        source = collection / settings.negatives
        if not source.exists():
            sys.exit(f"{source} is missing; mine negatives first, or leave out --negatives")
        (partial / "negatives.jsonl").symlink_to(source.resolve())
    train = read_qrels(collection / "qrels" / "train.tsv")
    drawn = random.Random(0).sample(sorted(train), min(settings.pairs, len(train)))
    lines = [f"{query}\t{document}\t{grade}\n" for query in sorted(drawn) for document, grade in train[query].items()]
    (partial / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")
    partial.rename(folder)
    return folder


def run(command: list) -> tuple[str, float]:
    """Standard output and seconds of a command."""
    start = time.perf_counter()
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with exit code {result.returncode}:\n{result.stderr[-3000:]}")
    return result.stdout, time.perf_counter() - start


def last_object(text: str) -> dict:
    """The JSON object at the end of a text, on one line or on several."""
    lines = text.rstrip().splitlines()
    for first in range(len(lines) - 1, -1, -1):
        if lines[first].startswith("{"):
            try:
                return json.loads("\n".join(lines[first:]))
            except json.JSONDecodeError:
                continue
    sys.exit(f"expected a JSON object at the end of: {text[-500:]!r}")


def encoder_index(collection: Path, data: Path, settings: Settings) -> tuple[Path, float]:
    """The index of the encoder as it came, and the seconds that it took; made once a collection."""
    index, took = settings.work / "encoder" / collection.name, settings.work / "encoder" / f"{collection.name}.json"
    if not took.exists():
        shutil.rmtree(index, ignore_errors=True)
        command = [settings.sbmoe, "encode", "--model", settings.model, "--corpus", data, "--out", index, "--keep-pooled"]
        command += ["--similarity", "cos", "--max-length", settings.max_length, "--threads", settings.threads]
        _, seconds = run(command)
        took.write_text(json.dumps(seconds))
    return index, json.loads(took.read_text())


def scores(
    index: Path, model: str | Path, similarity: list[str], data: Path, folder: Path, settings: Settings
) -> dict[str, float]:
    """nDCG@10 of each test query."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.trec"
    command = [settings.sbmoe, "search", "--index", index, "--model", model, "--queries", data, "--split", "test"]
    run([*command, *similarity, "--k", 100, "--threads", settings.threads, "--out", file])
    out, _ = run([settings.sbmoe, "evaluate", "--qrels", data, "--run", file, "-m", "nDCG@10", "--complete", "--per-query"])
    values = {}
    for line in out.splitlines():
        _, query, value = line.split("\t")
        values[query] = float(value)
    mean = values.pop("all")
    if not values or abs(sum(values.values()) / len(values) - mean) > 1e-3:
        sys.exit(f"{file}: the mean of {len(values)} queries is not that of the evaluation, {mean}")
    return values


def ours(system: str, seed: int, data: Path, collection: Path, settings: Settings) -> dict:
    """Trains, encodes, searches and judges.

    A system's seeds share the vectors that its first run stores beside it, and with a frozen encoder the index is made from
    the encoder's.
    """
    folder = settings.work / "runs" / collection.name / system / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [settings.sbmoe, "train", "--data", data, "--model", settings.model, "--out", folder, "--json"]
    command += ["--max-length", settings.max_length, "--seed", seed, "--threads", settings.threads]
    command += ["--epochs", settings.epochs] if settings.epochs else []
    out, wall = run([*command, *OURS[system], *settings.switches])
    report = last_object(out)
    model, index = folder / "model", folder / "index"
    command = [settings.sbmoe, "encode", "--model", model, "--out", index, "--threads", settings.threads]
    if OURS[system]:
        pooled, encoding = encoder_index(collection, data, settings)
        _, seconds = run([*command, "--from", pooled])
        encoding += seconds
    else:
        _, encoding = run([*command, "--corpus", data, "--max-length", settings.max_length])
    values = scores(index, model, [], data, folder, settings)
    if not settings.keep_runs:
        shutil.rmtree(folder)
    fields = {name: report.get(name) for name in ("kept", "baseline", "best", "steps")}
    return {"scores": values, "seconds": report.get("seconds", wall), "wall": wall, "encoding": encoding, **fields}


def peer(seed: int, data: Path, collection: Path, settings: Settings) -> dict:
    """The peer's program by `peer.py`."""
    if settings.peer is None:
        sys.exit("the system `peer` needs --peer FILE")
    out = settings.work / "runs" / collection.name / "peer" / f"seed-{seed}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, Path(__file__).with_name("peer.py"), settings.peer, out]
    command += ["--model", settings.model, "--data", data, "--max-length", settings.max_length, "--seed", seed]
    command += ["--threads", settings.threads, *(["--epochs", settings.epochs] if settings.epochs else [])]
    _, wall = run(command)
    report = json.loads(out.read_text())
    kept = f"epoch {report['epoch']}" if report["epoch"] else "encoder"
    return {**{name: report[name] for name in ("scores", "seconds", "encoding", "alone")}, "wall": wall, "kept": kept}


def cell(system: str, seed: int, collection: Path, settings: Settings) -> dict:
    """One line of cells.jsonl: who, `ndcg` and `unseen` (means), `scores` by query, seconds, what was kept."""
    data = reduced(collection, settings)
    if system == "encoder":
        index, seconds = encoder_index(collection, data, settings)
        folder = settings.work / "runs" / collection.name / "encoder"
        values = scores(index, settings.model, ["--similarity", "cos"], data, folder, settings)
        found = {"scores": values, "seconds": 0.0, "encoding": seconds, "kept": "encoder"}
    elif system == "peer":
        found = peer(seed, data, collection, settings)
    else:
        found = ours(system, seed, data, collection, settings)
    seen = {d for grades in read_qrels(data / "qrels" / "train.tsv").values() for d, grade in grades.items() if grade > 0}
    test = read_qrels(data / "qrels" / "test.tsv")
    unseen = [v for q, v in found["scores"].items() if not any(d in seen for d, grade in test[q].items() if grade > 0)]
    who = {"collection": collection.name, "system": system, "seed": seed}
    means = {"ndcg": mean(list(found["scores"].values())), "unseen": mean(unseen), "unseen_queries": len(unseen)}
    return {**who, **means, **found}


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
