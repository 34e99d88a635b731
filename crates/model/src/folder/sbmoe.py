"""The block of a model saved by sbmoe, as a module of sentence-transformers (inference only).

The block adds a correction c to the vector x that it is given, x' = input_scale x:

    y = x' + residual c

`kind` says what c is. `experts` is the mixture of small experts of SB-MoE (arXiv 2510.15683):

    E_i(x) = U_i relu(D_i x + b_i) + c_i        p = softmax(G_2 relu(G_1 x + g_1) + g_2)

    gate     top1     g = p at its arg max, 0 elsewhere
             all      g = p
             uniform  g = 1/n
    combine  normalize-mixture   c = m / max(|m|, 1e-6),  m = sum_i g_i E_i(x')
             normalize-experts   c = sum_i g_i E_i(x') / max(|E_i(x')|, 1e-6)
             sum                 c = m

`linear` is one linear layer, W x' + b, or with a `rank` the product of two, U (D x' + d) + u.

`sides` says which texts the block is for; those of the other side keep their x. A block for one side is told the side
by `model.encode_query` and `model.encode_document`.

Loading it needs `SentenceTransformer(folder, trust_remote_code=True)`.
"""

import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

try:  # sentence-transformers 5.4 and later
    from sentence_transformers.base.modules.module import Module
except ImportError:
    try:  # 5.0 to 5.3
        from sentence_transformers.models import Module
    except ImportError:  # before 5.0 every torch module would do
        Module = torch.nn.Module

KINDS = ("experts", "linear")
GATES = ("top1", "all", "uniform")
COMBINATIONS = ("normalize-mixture", "normalize-experts", "sum")
SIDES = ("both", "query", "document")
SMALLEST_NORM = 1e-6

# Keys that a block of the paper does not have; each is written only where it says something else.
DEFAULTS = {"kind": "experts", "rank": None, "sides": "both", "input_scale": 1.0, "residual": 1.0}


class SBMoE(Module):
    """Applies the block to `features["sentence_embedding"]`, `[texts, hidden]`."""

    config_keys = ["hidden", "experts", "expert_width", "gate", "train_gate", "combine", "gate_noise", "seed", *DEFAULTS]
    # Of the arguments of `encode`, those that reach `forward`; `encode_query` and `encode_document` set the task.
    forward_kwargs = {"task"}

    def __init__(
        self,
        hidden,
        experts,
        expert_width,
        gate="top1",
        train_gate=None,
        combine="normalize-mixture",
        gate_noise=0.0,
        seed=0,
        kind=DEFAULTS["kind"],
        rank=DEFAULTS["rank"],
        sides=DEFAULTS["sides"],
        input_scale=DEFAULTS["input_scale"],
        residual=DEFAULTS["residual"],
    ):
        super().__init__()
        if gate == "random":
            raise ValueError(
                "this model is used with the gate `random`, whose draws are keyed by sbmoe's own generator and cannot be "
                "reproduced here; save it with the gate `top1`, `all` or `uniform`, or encode with sbmoe"
            )
        require_known("kind", kind, KINDS)
        require_known("gate", gate, GATES)
        require_known("combine", combine, COMBINATIONS)
        require_known("sides", sides, SIDES)
        self.hidden = hidden
        self.experts = experts
        self.expert_width = expert_width
        self.gate = gate
        self.train_gate = train_gate
        self.combine = combine
        self.gate_noise = gate_noise
        self.seed = seed
        self.kind = kind
        self.rank = rank
        self.sides = sides
        self.input_scale = input_scale
        self.residual = residual
        linear = torch.nn.Linear
        if kind == "linear":
            one = linear(hidden, hidden) if rank is None else two_layers(hidden, rank)
            self.layers = torch.nn.ModuleDict({"linear": one})
            return
        self.layers = torch.nn.ModuleDict(
            {
                "experts": torch.nn.ModuleList(two_layers(hidden, expert_width) for _ in range(experts)),
                "gate": torch.nn.ModuleDict(
                    {"hidden": linear(hidden, hidden // 2), "output": linear(hidden // 2, experts)}
                ),
                "noise": linear(hidden, experts),
            }
        )

    def forward(self, features, task=None, **kwargs):
        if self._is_for(task):
            x = features["sentence_embedding"] * self.input_scale
            correction = self._linear(x) if self.kind == "linear" else self._mixture(x)
            features["sentence_embedding"] = x + self.residual * correction
        return features

    def _is_for(self, task):
        """Whether the block is for texts of this task."""
        if self.sides == "both":
            return True
        if task not in ("query", "document"):
            raise ValueError(
                f"the block of this model is for one side (`{self.sides}`), and the task is {task!r}; encode with "
                "`model.encode_query` or `model.encode_document`, which name the side"
            )
        return task == self.sides

    def _linear(self, x):
        layer = self.layers["linear"]
        return layer(x) if self.rank is None else layer["up"](layer["down"](x))

    def _mixture(self, x):
        weights = self._weights(x)
        outputs = torch.stack([self._expert(expert, x) for expert in self.layers["experts"]], dim=1)
        if self.combine == "normalize-experts":
            outputs = outputs / outputs.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
        mixture = (weights.unsqueeze(-1) * outputs).sum(dim=1)
        if self.combine == "normalize-mixture":
            mixture = mixture / mixture.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
        return mixture

    @staticmethod
    def _expert(expert, x):
        return expert["up"](torch.relu(expert["down"](x)))

    def _weights(self, x):
        """The gate's weights, `[texts, experts]`."""
        if self.gate == "uniform":
            return x.new_full((x.shape[0], self.experts), 1.0 / self.experts)
        gate = self.layers["gate"]
        weights = torch.softmax(gate["output"](torch.relu(gate["hidden"](x))), dim=-1)
        if self.gate == "all":
            return weights
        best = weights.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(weights).scatter(-1, best, weights.gather(-1, best))

    def get_embedding_dimension(self):
        return self.hidden

    get_sentence_embedding_dimension = get_embedding_dimension

    def get_config_dict(self):
        values = {key: getattr(self, key) for key in self.config_keys}
        return {key: value for key, value in values.items() if key not in DEFAULTS or value != DEFAULTS[key]}

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        os.makedirs(output_path, exist_ok=True)
        # `modules.json` looks for this file beside itself, one folder up.
        shutil.copy(__file__, os.path.join(os.path.dirname(os.path.normpath(output_path)), "sbmoe.py"))
        with open(os.path.join(output_path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(self.get_config_dict(), file, indent=2)
        tensors = {name: tensor.contiguous() for name, tensor in self.layers.state_dict().items()}
        if safe_serialization:
            save_file(tensors, os.path.join(output_path, "model.safetensors"), metadata={"format": "pt"})
        else:
            torch.save(tensors, os.path.join(output_path, "pytorch_model.bin"))

    @classmethod
    def load(cls, model_name_or_path, subfolder="", **kwargs):
        hub = {key: kwargs[key] for key in ("token", "cache_folder", "revision", "local_files_only") if key in kwargs}

        def find(name):
            """The path of a file of the block, fetched from the hub if the model is not a folder; None if absent."""
            path = os.path.join(model_name_or_path, subfolder, name)
            if os.path.exists(path) or os.path.isdir(model_name_or_path):
                return path if os.path.exists(path) else None
            return cls.load_file_path(model_name_or_path, name, subfolder=subfolder, **hub)

        with open(find("config.json"), encoding="utf-8") as file:
            config = json.load(file)
        module = cls(**{key: value for key, value in config.items() if key in cls.config_keys})
        weights = find("model.safetensors")
        if weights is not None:
            tensors = load_file(weights)
        else:
            tensors = torch.load(find("pytorch_model.bin"), map_location="cpu", weights_only=True)
        module.layers.load_state_dict(tensors)
        return module


def two_layers(hidden, width):
    """From `hidden` down to `width` and up again."""
    linear = torch.nn.Linear
    return torch.nn.ModuleDict({"down": linear(hidden, width), "up": linear(width, hidden)})


def require_known(key, value, known):
    if value not in known:
        raise ValueError(f"{key} `{value}` is unknown to this sbmoe.py; it knows {', '.join(known)}")
