"""The SB-MoE block of a model saved by sbmoe, as a module of sentence-transformers (inference only).

The block adds a mixture of small experts to the pooled vector x (arXiv 2510.15683):

    E_i(x) = U_i relu(D_i x + b_i) + c_i        p = softmax(G_2 relu(G_1 x + g_1) + g_2)

    gate     top1     g = p at its arg max, 0 elsewhere
             all      g = p
             uniform  g = 1/n
    combine  normalize-mixture   y = x + m / max(|m|, 1e-6),  m = sum_i g_i E_i(x)
             normalize-experts   y = x + sum_i g_i E_i(x) / max(|E_i(x)|, 1e-6)
             sum                 y = x + m

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

GATES = ("top1", "all", "uniform")
COMBINATIONS = ("normalize-mixture", "normalize-experts", "sum")
SMALLEST_NORM = 1e-6


class SBMoE(Module):
    """Applies the block to `features["sentence_embedding"]`, `[texts, hidden]`."""

    config_keys = ["hidden", "experts", "expert_width", "gate", "train_gate", "combine", "gate_noise", "seed"]

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
    ):
        super().__init__()
        if gate == "random":
            raise ValueError(
                "this model is used with the gate `random`, whose draws are keyed by sbmoe's own generator and cannot be "
                "reproduced here; save it with the gate `top1`, `all` or `uniform`, or encode with sbmoe"
            )
        if gate not in GATES:
            raise ValueError(f"the gate `{gate}` is unknown to this sbmoe.py; it knows {', '.join(GATES)}")
        if combine not in COMBINATIONS:
            raise ValueError(f"combine `{combine}` is unknown to this sbmoe.py; it knows {', '.join(COMBINATIONS)}")
        self.hidden = hidden
        self.experts = experts
        self.expert_width = expert_width
        self.gate = gate
        self.train_gate = train_gate
        self.combine = combine
        self.gate_noise = gate_noise
        self.seed = seed
        linear = torch.nn.Linear
        self.layers = torch.nn.ModuleDict(
            {
                "experts": torch.nn.ModuleList(
                    torch.nn.ModuleDict({"down": linear(hidden, expert_width), "up": linear(expert_width, hidden)})
                    for _ in range(experts)
                ),
                "gate": torch.nn.ModuleDict(
                    {"hidden": linear(hidden, hidden // 2), "output": linear(hidden // 2, experts)}
                ),
                "noise": linear(hidden, experts),
            }
        )

    def forward(self, features, **kwargs):
        x = features["sentence_embedding"]
        weights = self._weights(x)
        outputs = torch.stack([self._expert(expert, x) for expert in self.layers["experts"]], dim=1)
        if self.combine == "normalize-experts":
            outputs = outputs / outputs.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
        mixture = (weights.unsqueeze(-1) * outputs).sum(dim=1)
        if self.combine == "normalize-mixture":
            mixture = mixture / mixture.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
        features["sentence_embedding"] = x + mixture
        return features

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
        return {key: getattr(self, key) for key in self.config_keys}

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
