"""Package descriptions: a Debian package's one-line synopsis asks for its long description."""

import re
import sys
from collections import defaultdict
from pathlib import Path

from .fetch import debian_list, sha256
from .folder import Document, Sizes, write

# The lists of Debian 12.15, after which the main archive of this release is not meant to change.
DIGESTS = {
    "main_i18n_Translation-en": "62f59c3cdca9786e4f7adf9002f9f5729a684adcb4667e58e448dec9b5a46c7f",
    "main_binary-amd64_Packages": "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f",
}
ABOUT = """Package descriptions: the one-line synopsis of a Debian package -> its long description, without the synopsis.
Source: the English descriptions of Debian 12 (bookworm), main, amd64, by APT.
{digests}
Licence: the descriptions are part of Debian's packages, all free by the Debian Free Software Guidelines.
Split: by source package, names without digits, by a hash of the group's name; groups that share near copies count as
one. One binary package a source, and no -dev, -doc, -dbg and the like where there is another.
"""
VARIANT = re.compile(r"-(dev|doc|docs|dbg|dbgsym|common|data|bin|tests?|examples?|dkms|l10n|utils|tools)$|^(lib.*\d|gir1\.2-)")


def stanzas(text: str):
    """Fields of each stanza; continuation lines keep their line ends."""
    for stanza in text.split("\n\n"):
        fields = {}
        for line in stanza.split("\n"):
            if line.startswith(" ") and fields:
                fields[name] += "\n" + line[1:]
            elif ": " in line:
                name, fields[name] = line.split(": ", 1)
        if fields:
            yield fields


def prose(lines: list[str]) -> str:
    """Paragraphs of a long description, whose lines start with a blank and whose empty lines are dots."""
    return re.sub(r"\n{2,}", "\n", "\n".join("" if line.strip() == "." else line.strip() for line in lines)).strip()


def documents(lists: dict[str, str]) -> list[Document]:
    translation, packages = (lists[name] for name in DIGESTS)
    descriptions = {}
    for fields in stanzas(translation):
        synopsis, *lines = fields["Description-en"].split("\n")
        descriptions[fields["Description-md5"]] = synopsis, prose(lines)
    sources = defaultdict(list)
    for fields in stanzas(packages):
        source = fields.get("Source", fields["Package"]).split(" ")[0]
        if fields.get("Description-md5") in descriptions:
            sources[source].append(fields)
    found = []
    for source, binaries in sorted(sources.items()):
        name = lambda fields: fields["Package"]
        best = min(binaries, key=lambda f: (name(f) != source, bool(VARIANT.search(name(f))), len(name(f)), name(f)))
        synopsis, text = descriptions[best["Description-md5"]]
        text = text.replace(synopsis, "").strip()
        synopsis = re.sub(r"\s*\((?=[^)]*(metapackage|transitional|dummy|version|API))[^)]*\)", "", synopsis).strip()
        if re.search("transitional|dummy|metapackage|meta-package", f"{synopsis} {text}".lower()):
            continue
        if len(text) >= 150 and len(synopsis.split()) >= 3:
            group = re.sub(r"[\d.]+", "", source)
            found.append(Document(name(best), group, text, queries=[synopsis]))
    return found


def make(folder: Path, downloads: Path) -> None:
    lists = {name: debian_list(downloads, name) for name in DIGESTS}
    digests = {name: sha256(text.encode()) for name, text in lists.items()}
    for name in DIGESTS:
        if digests[name] != DIGESTS[name]:
            print(f"{folder.name}: {name} is another than Debian 12.15's; numbers may differ a little", file=sys.stderr)
    about = ABOUT.format(digests="\n".join(f"SHA-256 of {name}: {digest}" for name, digest in digests.items()))
    write(folder, documents(lists), Sizes(documents=5000, train=1500, dev=300, test=500), about)
