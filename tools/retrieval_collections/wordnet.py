"""Senses of words: an example sentence of WordNet asks for the sense that it shows."""

import re
from pathlib import Path

from .fetch import debian_package
from .folder import Document, Sizes, write

PACKAGE = "wordnet-base=1:3.0-37"
DIGEST = "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"
ABOUT = f"""Senses of words: an example sentence -> the sense of a word that it shows, as words and definition.
Source: WordNet 3.0 in Debian's {PACKAGE}, by APT.
Licence: WordNet 3.0 licence (Princeton University): use, copies, changes and distribution for any purpose, with its
notice. WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.
Split: by the first word of a sense, by a hash of it; senses with nearly the same definition count as one group.
"""


def documents(files: Path) -> list[Document]:
    found = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (files / f"usr/share/wordnet/data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            numbers, gloss = line.split(" | ", 1)
            fields = numbers.split(" ")
            count = int(fields[3], 16)
            lemmas = [re.sub(r"\(.*\)$", "", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
            examples = re.findall(r'"([^"]+)"', gloss)
            definition = gloss.split('"')[0].strip(" ;\t")
            queries = [example.strip() for example in examples[:1] if len(example.split()) >= 4]
            text = f"{', '.join(lemmas)}: {definition}"
            found.append(Document(f"{part}-{fields[0]}", lemmas[0].lower(), text, queries=queries))
    return found


def make(folder: Path, downloads: Path) -> None:
    found = [document for document in documents(debian_package(PACKAGE, DIGEST, downloads)) if document.queries]
    write(folder, found, Sizes(documents=6000, train=1000, dev=300, test=500), ABOUT)
