"""Run a program that trains with PyTorch with its encoder compiled by `torch.compile`.

    python tools/time_compiled.py PEERS/train.py --model MODEL --data DATA/scifact --steps 4 --warmup 4 [--bf16]

The program's own switches follow its name; what it loads with `AutoModel.from_pretrained` is what is compiled.
"""

import runpy
import sys

import torch
from transformers import AutoModel

load = AutoModel.from_pretrained
AutoModel.from_pretrained = lambda *names, **settings: torch.compile(load(*names, **settings), dynamic=True)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
