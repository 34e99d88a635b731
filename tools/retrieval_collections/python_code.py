"""Code search: the first sentence of a function's docstring asks for the function's source without its docstring."""

import ast
import re
import textwrap
import warnings
from pathlib import Path

from .fetch import wheel
from .folder import Document, Sizes, write

WHEELS = {
    "astropy==6.1.7": "fcd99e627692f8e58bb3097d330bfbd109a22e00dab162a67f203b0a0601ad2c",
    "django==5.1.4": "236e023f021f5ce7dee5779de7b286565fdea5f4ab86bae5338e3f7b69896cf0",
    "networkx==3.4.2": "df5d4365b724cf81b8c6a7312509d0c22386097011ad1abe274afd5e9d3bbc5f",
    "pandas==2.2.3": "c124333816c3a9b03fbeef3a9f230ba9a737e9e5bb4060aa2107a86cc0a497fc",
    "scikit-image==0.24.0": "fa27b3a0dbad807b966b8db2d78da734cb812ca4787f7fbb143764800ce2fa9c",
    "scikit-learn==1.5.2": "f8b0ccd4a902836493e026c03256e8b206656f91fbcc4fde28c57a5b752561f1",
    "scipy==1.14.1": "fef8c87f8abfb884dac04e97824b61299880c43f4ce675dd2cbeadd3c9b466d2",
    "sqlalchemy==2.0.36": "2519f3a5d0517fc159afab1015e54bb81b4406c278749779be57a569d8d1bb0d",
    "statsmodels==0.14.4": "e332c2d9b806083d1797231280602340c5c913f90d4caa0213a6a54679ce9331",
    "sympy==1.13.3": "54612cf55a62755ee71824ce692986f23c88ffa77207b30c1368eda4a7060f73",
}
ABOUT = f"""Code search: the first sentence of a function's docstring -> its source without the docstring.
Source: {', '.join(WHEELS)}, from the Python package index.
Licence: those of the packages: MIT (SQLAlchemy) and BSD-3-Clause (the others).
Split: by the first two names of the module (scipy.stats), by a hash of the group's name; groups that share near
copies count as one. The judgments say that a docstring's own function answers it; other functions may as well.
"""


def first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph)[0].rstrip(".")
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", sentence).replace("`", "")


def functions(tree: ast.AST, prefix: str = ""):
    """Every function of classes and modules with its dotted name, not those inside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{node.name}", node


def source_without_docstring(lines: list[str], node: ast.FunctionDef) -> str:
    docstring = node.body[0]
    kept = lines[node.lineno - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
    return textwrap.dedent("\n".join(line for line in kept if line.strip()))


def documents(downloads: Path) -> list[Document]:
    found = {}
    for package, digest in WHEELS.items():
        archive = wheel(package, digest, downloads)
        for name in sorted(archive.namelist()):
            parts = Path(name).with_suffix("").parts
            if not name.endswith(".py") or any(re.search("test|extern|vendor|_version", part) for part in parts):
                continue
            text = archive.read(name).decode("utf-8")
            lines = text.split("\n")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
            for function, node in functions(tree):
                docstring = ast.get_docstring(node)
                if not docstring or len(node.body) < 2:
                    continue
                query = first_sentence(docstring)
                source = source_without_docstring(lines, node)
                if 4 <= len(query.split()) and len(query) <= 200 and source.count("\n") >= 3:
                    identity = ".".join(parts) + ":" + function
                    found[identity] = Document(identity, ".".join(parts[:2]), source, queries=[query])
    return list(found.values())


def make(folder: Path, downloads: Path) -> None:
    write(folder, documents(downloads), Sizes(documents=4000, train=2000, dev=300, test=500), ABOUT)
