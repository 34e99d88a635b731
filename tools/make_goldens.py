"""Makes the numbers that the Rust tests expect (README.md in this folder names every tensor).

    python tools/make_goldens.py           writes the files
    python tools/make_goldens.py --check   makes them anew and compares them with the files
"""

import argparse
from pathlib import Path

import torch

from golden_adapter import make_adapter
from golden_bert import make_bert
from golden_block import make_block
from golden_objective import make_loss, make_optimizer
from golden_steps import make_steps

GOLDENS = {
    "crates/model/tests/golden/bert": make_bert,
    "crates/model/tests/golden/block": make_block,
    "crates/model/tests/golden/adapter": make_adapter,
    "crates/train/tests/golden/steps": make_steps,
    "crates/train/tests/golden/loss": make_loss,
    "crates/train/tests/golden/optimizer": make_optimizer,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the repository")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    # One thread adds in one order: the same bytes on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for stem, make in GOLDENS.items():
        golden = make()
        if arguments.check:
            print(f"{stem}: same, largest difference {golden.check(arguments.root / stem):.1e}")
        else:
            print(f"{stem}: {len(golden.tensors)} tensors, {golden.save(arguments.root / stem)} bytes")


if __name__ == "__main__":
    main()
