"""Collections derived from others: the same texts with other judgments for training, validation and test."""

import random
from pathlib import Path

from beir_folder import read_lines, read_qrels

from .folder import place, save
from .near import components


def texts(source: Path) -> tuple[list[dict], dict[str, str]]:
    documents = read_lines(source / "corpus.jsonl")
    corpus = [{"_id": str(d["_id"]), "title": d.get("title") or "", "text": d["text"]} for d in documents]
    return corpus, {str(query["_id"]): query["text"] for query in read_lines(source / "queries.jsonl")}


def rows(qrels: dict[str, dict[str, int]], queries: list[str]) -> list[tuple[str, str, int]]:
    return [(query, document, grade) for query in queries for document, grade in qrels[query].items()]


def pubmedqa(source: Path, folder: Path) -> None:
    """PubMedQA, its training queries divided by a hash: 400 to train, the others to validate."""
    corpus, queries = texts(source)
    train, test = (read_qrels(source / "qrels" / f"{split}.tsv") for split in ("train", "test"))
    drawn = sorted(train, key=place)
    about = "PubMedQA: question titles -> abstracts (MIT). The 500 training queries are divided by a hash of their ids: "
    about += f"400 train, {len(drawn) - 400} dev.\n" + (source / "README.txt").read_text()
    qrels = {"train": rows(train, drawn[:400]), "dev": rows(train, drawn[400:]), "test": rows(test, list(test))}
    save(folder, corpus, queries, qrels, about)


def scifact5(source: Path, folder: Path) -> None:
    """SciFact's judged queries divided anew, so that no document is a positive of two splits."""
    corpus, queries = texts(source)
    judged = read_qrels(source / "qrels" / "train.tsv") | read_qrels(source / "qrels" / "test.tsv")
    names = sorted(judged)
    first: dict[str, int] = {}
    pairs = [(first.setdefault(d, i), i) for i, query in enumerate(names) for d, grade in judged[query].items() if grade > 0]
    roots = components(len(names), pairs)
    qrels: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for query, root in zip(names, roots):
        share = place(names[root]) / 2**64
        qrels["train" if share < 0.6 else "dev" if share < 0.75 else "test"].append(query)
    about = "SciFact, all judged queries divided anew: queries that share a positive stay together, and a hash of the "
    about += "first one's id sends 60 % to train, 15 % to dev, 25 % to test.\n" + (source / "README.txt").read_text()
    save(folder, corpus, queries, {split: rows(judged, chosen) for split, chosen in qrels.items()}, about)


def medquad4k(source: Path, folder: Path) -> None:
    """MedQuAD, drawn: 1 000 training, 300 dev and 400 test queries over 4 000 documents, which take a minute to encode."""
    corpus, queries = texts(source)
    draw, qrels, kept = random.Random(1), {}, set()
    for split, count in (("train", 1000), ("dev", 300), ("test", 400)):
        judged = read_qrels(source / "qrels" / f"{split}.tsv")
        drawn = sorted(judged)
        draw.shuffle(drawn)
        qrels[split] = rows(judged, drawn[:count])
        kept.update(document for _, document, _ in qrels[split])
    others = [document["_id"] for document in corpus if document["_id"] not in kept]
    draw.shuffle(others)
    kept.update(others[: max(0, 4000 - len(kept))])
    asked = {query for split in qrels.values() for query, _, _ in split}
    about = "MedQuAD, drawn: 1 000 training, 300 dev, 400 test queries, their documents and others up to 4 000.\n"
    about += (source / "README.txt").read_text()
    corpus = [document for document in corpus if document["_id"] in kept]
    save(folder, corpus, {query: text for query, text in queries.items() if query in asked}, qrels, about)
