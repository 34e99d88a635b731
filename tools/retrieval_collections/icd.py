"""Medical coding: a term of the ICD-10-CM asks for the code that includes it."""

import re
import xml.etree.ElementTree as xml
from pathlib import Path

from .fetch import wheel
from .folder import Document, Sizes, write

WHEEL = "simple-icd-10-cm==1.5.0"
DIGEST = "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42"
TABLE = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"
ABOUT = f"""Medical coding: a term that ICD-10-CM lists under a code -> the code's description with those of its parents.
Source: {TABLE} in {WHEEL}, from the Python package index.
Licence: the package is MIT; the classification is a work of the US government (NCHS, CMS), in the public domain.
Split: by category (three characters), by a hash of its name; categories that share near copies count as one.
Terms made of the description's own words are left out.
"""


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - {"nos", "of", "the", "and", "or", "in", "due", "to", "with"}


def walk(node: xml.Element, parents: list[str], category: str):
    code, description = node.findtext("name"), node.findtext("desc")
    category = category or code
    terms = [note.text.strip() for kind in ("inclusionTerm", "includes") for note in node.findall(f"{kind}/note")]
    path = [re.sub(r"\s*\([A-Z]\d[^)]*\)$", "", parent) for parent in parents]
    queries = [
        term
        for term in terms
        if len(term.split()) >= 2 and not term.endswith(":") and not words(term) <= words(" ".join([description, *path]))
    ]
    queries = [re.sub(r"\s*\([A-Z]\d[^)]*\)|\s*NOS$", "", term) for term in queries]
    yield Document(code, category, "\n".join(reversed(path)), title=description, queries=queries)
    for child in node.findall("diag"):
        yield from walk(child, [*parents, description], category)


def make(folder: Path, downloads: Path) -> None:
    root = xml.fromstring(wheel(WHEEL, DIGEST, downloads).read(TABLE))
    found = []
    for chapter in root.findall("chapter"):
        for section in chapter.findall("section"):
            for diagnosis in section.findall("diag"):
                found += walk(diagnosis, [chapter.findtext("desc"), section.findtext("desc")], "")
    write(folder, found, Sizes(documents=6000, train=300, dev=200, test=500), ABOUT)
