"""Reads a BEIR folder, plain or gzipped: documents and queries in the order of their files, judgments by split."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


def open_text(path: Path) -> TextIO:
    """The file, or the one named with `.gz` added."""
    if not path.exists() and path.with_name(path.name + ".gz").exists():
        path = path.with_name(path.name + ".gz")
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")


def read_lines(path: Path) -> Iterator[dict]:
    with open_text(path) as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def read_documents(path: Path, lower: bool) -> tuple[list[str], list[str]]:
    """Ids and texts; a text is title + " " + text."""
    ids, texts = [], []
    for document in read_lines(path):
        text = f"{document.get('title') or ''} {document.get('text') or ''}".strip()
        ids.append(str(document["_id"]))
        texts.append(text.lower() if lower else text)
    return ids, texts


def read_queries(path: Path, lower: bool) -> tuple[list[str], list[str]]:
    """Ids and texts."""
    ids, texts = [], []
    for query in read_lines(path):
        ids.append(str(query["_id"]))
        texts.append(query["text"].lower() if lower else query["text"])
    return ids, texts


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grades by query id and document id; the first line is a header."""
    qrels: dict[str, dict[str, int]] = {}
    with open_text(path) as lines:
        next(lines, None)
        for line in lines:
            if line.strip():
                query, document, grade = line.rstrip("\n").split("\t")
                qrels.setdefault(query, {})[document] = int(grade)
    return qrels
