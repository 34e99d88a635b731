"""Splits documents and their queries by group, and writes the BEIR folder."""

import hashlib
import json
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .near import components, near_pairs

Qrels = dict[str, list[tuple[str, str, int]]]  # by split: query, document, grade

SPLITS = ("train", "dev", "test")
LONGEST = 1200  # characters of a text
SAME = 0.7  # documents that overlap by more are one document
NEAR = 0.25  # documents that overlap by more go into one split


@dataclass
class Document:
    """A document and the queries that it answers; documents of a group go into one split."""

    id: str
    group: str
    text: str
    title: str = ""
    queries: list[str] = field(default_factory=list)


@dataclass
class Sizes:
    """Documents, and queries by split, at most; `shares` are the parts of the groups that go to train and dev."""

    documents: int
    train: int
    dev: int
    test: int
    shares: tuple[float, float] = (0.6, 0.15)


def place(text: str) -> int:
    """A number that a text fixes; it orders, draws and splits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def cut(text: str) -> str:
    """The text, at most `LONGEST` characters of whole words."""
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(None, 1)[0]


def distinct(documents: list[Document]) -> list[Document]:
    """Without near copies, and without queries that several documents answer."""
    documents = sorted(documents, key=lambda document: place(document.id))
    texts = [f"{document.title} {document.text}" for document in documents]
    gone = {j for _, j, _ in near_pairs(texts, SAME)}
    documents = [document for i, document in enumerate(documents) if i not in gone]
    number = Counter(query.lower() for document in documents for query in set(document.queries))
    for document in documents:
        document.queries = [query for query in dict.fromkeys(document.queries) if number[query.lower()] == 1]
    return documents


def split_groups(documents: list[Document], shares: tuple[float, float]) -> list[str]:
    """Each document's split, by its group's name; groups with near copies of each other count as one."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(document.group, i), i) for i, document in enumerate(documents)]
    pairs += [(i, j) for i, j, _ in near_pairs([f"{d.title} {d.text}" for d in documents], NEAR)]
    roots = components(len(documents), pairs)
    largest = max(Counter(roots).values()) / len(documents)
    if largest > 0.25:
        sys.exit(f"one group holds {largest:.0%} of the documents; take a finer one")
    names: dict[int, str] = {}
    for root, document in zip(roots, documents):
        names[root] = min(names.get(root, document.group), document.group)
    bounds = (shares[0], shares[0] + shares[1])
    return [SPLITS[sum(place(names[root]) / 2**64 >= bound for bound in bounds)] for root in roots]


def write(folder: Path, documents: list[Document], sizes: Sizes, about: str) -> None:
    """Writes the collection: the judged documents, and others up to the size, drawn by a hash of their ids."""
    documents = distinct(documents)
    splits = split_groups(documents, sizes.shares)
    qrels: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    queries: dict[str, str] = {}
    judged = set()
    for split in SPLITS:
        drawn = [
            (f"q-{document.id}-{i}", document.id, query)
            for document, of in zip(documents, splits)
            if of == split
            for i, query in enumerate(document.queries)
        ]
        drawn = sorted(drawn, key=lambda one: place(one[0]))[: getattr(sizes, split)]
        if len(drawn) < getattr(sizes, split):
            print(f"{folder.name}: {split} has {len(drawn)} queries", file=sys.stderr)
        judged |= {document for _, document, _ in drawn}
        queries |= {identity: query for identity, _, query in drawn}
        qrels[split] = [(identity, document) for identity, document, _ in drawn]
    kept = [document for document in documents if document.id in judged]
    kept += [document for document in documents if document.id not in judged][: max(0, sizes.documents - len(kept))]
    corpus = [{"_id": d.id, "title": d.title, "text": cut(d.text)} for d in sorted(kept, key=lambda d: d.id)]
    save(folder, corpus, queries, {split: [(q, d, 1) for q, d in rows] for split, rows in qrels.items()}, about)


def save(folder: Path, corpus: list[dict], queries: dict[str, str], qrels: Qrels, about: str) -> None:
    """Writes the files and README.txt, which ends with the sizes."""
    check_disjoint(qrels)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(document, ensure_ascii=False) for document in corpus]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [json.dumps({"_id": identity, "text": text}, ensure_ascii=False) for identity, text in sorted(queries.items())]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sizes = [f"{len(corpus)} documents"]
    for split, rows in qrels.items():
        lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t{grade}" for q, d, grade in sorted(rows))]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        sizes.append(f"{split} {len({q for q, _, _ in rows})} queries, {len(rows)} judgments")
    (folder / "README.txt").write_text(f"{about.strip()}\nSizes: {'; '.join(sizes)}.\n", encoding="utf-8")
    print(f"{folder}: {'; '.join(sizes)}")


def check_disjoint(qrels: Qrels) -> None:
    """No document is a positive of two splits."""
    of: dict[str, set[str]] = defaultdict(set)
    for split, rows in qrels.items():
        for _, document, grade in rows:
            if grade > 0:
                of[document].add(split)
    if shared := [document for document, splits in of.items() if len(splits) > 1]:
        sys.exit(f"{len(shared)} documents are positives of several splits, such as {shared[0]}")
