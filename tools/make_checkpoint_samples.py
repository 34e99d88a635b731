"""Writes the small checkpoints and the expected numbers that the tests of `crates/model` read.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, sentence-transformers 6.2.0, safetensors 0.8.0:

    python tools/make_checkpoint_samples.py crates/model/tests/data

The numbers are quarters of small integers, which every floating-point type holds exactly. Storage keys and archive
identifiers differ from run to run, so that a second run changes bytes but no test.
"""

import collections
import io
import json
import os
import pathlib
import pickle
import sys
import zipfile

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizer


def quarters(*shape, start=0):
    count = 1
    for extent in shape:
        count *= extent
    return ((torch.arange(count, dtype=torch.float32) * 7 + start) % 61 - 30).reshape(shape) / 4


def tensors():
    """Dense, transposed, sliced, expanded, shared, scalar and empty tensors, and one of integers."""
    words = quarters(5, 4)
    wide = quarters(20, start=3)
    return collections.OrderedDict(
        [
            ("bert.embeddings.word_embeddings.weight", words),
            ("bert.embeddings.position_ids", torch.arange(6).expand((1, -1))),
            ("bert.embeddings.LayerNorm.weight", quarters(4, start=11)),
            ("bert.embeddings.LayerNorm.bias", quarters(4, start=12)),
            ("bert.encoder.layer.0.attention.self.query.weight", quarters(4, 3, start=5).t()),
            ("bert.encoder.layer.0.attention.self.query.bias", wide[5:9]),
            ("bert.encoder.layer.0.attention.self.key.weight", quarters(2, 3, 4, start=9).permute(2, 0, 1)[1:]),
            ("bert.encoder.layer.0.attention.self.key.bias", wide[::6]),
            ("bert.encoder.layer.0.attention.self.value.bias", quarters(1, start=2).expand(3)),
            ("cls.predictions.decoder.weight", words),
            ("scale", torch.tensor(1.75)),
            ("empty", torch.empty(0, 4)),
        ]
    )


def converted(state, dtype):
    return collections.OrderedDict((name, t.to(dtype) if t.is_floating_point() else t) for name, t in state.items())


def listed(state):
    return {
        name: {"shape": list(t.shape), "values": t.flatten().tolist()}
        for name, t in state.items()
        if t.is_floating_point()
    }


def older(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


class Hostile:
    """Runs a command when it is unpickled by Python."""

    def __reduce__(self):
        return os.system, ("touch /tmp/this_pickle_was_executed",)


def legacy_header(little_endian=True):
    facts = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, facts))


class ViewedStorage:
    """A part of a storage, as PyTorch before 0.4 wrote it: elements 2 to 6 of 8."""


class ViewedTensor:
    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, (ViewedStorage(), 1, (3,), (1,), False, collections.OrderedDict())


class ViewPickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, ViewedStorage):
            return ("storage", torch.FloatStorage, "1", "cpu", 8, ("2", 2, 4))
        return None


def viewed_storage():
    stream = io.BytesIO()
    ViewPickler(stream, protocol=2).dump({"part": ViewedTensor()})
    elements = torch.arange(8, dtype=torch.float32)
    raw = (8).to_bytes(8, "little") + elements.numpy().tobytes()
    return legacy_header() + stream.getvalue() + pickle.dumps(["1"], protocol=2) + raw, elements[3:6]


def rewritten(archive, changes):
    """The archive with other contents for the entries whose names end so; uncompressed, as PyTorch writes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            content = next((data for end, data in changes.items() if name.endswith(end)), old.read(name))
            new.writestr(name, content)
    return stream.getvalue()


def write_checkpoints(out):
    out.mkdir(parents=True, exist_ok=True)
    state = tensors()
    expected = {"state": listed(state)}

    class Holder(torch.nn.Module):
        """Gives the state dictionary the `_metadata` that a module's has."""

        def state_dict(self):
            result = super().state_dict()
            result.update(state)
            return result

    torch.save(Holder().state_dict(), out / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(Holder().state_dict(), out / "zip.bin")
    torch.save(converted(state, torch.float16), out / "half.bin")
    torch.save(converted(state, torch.bfloat16), out / "bfloat16.bin", _use_new_zipfile_serialization=False)
    torch.save(converted(state, torch.float64), out / "double.bin")
    torch.save(
        collections.OrderedDict((older(name), t) for name, t in state.items()),
        out / "gamma_beta.bin",
        _use_new_zipfile_serialization=False,
    )
    torch.save(
        {"epoch": 3, "loss": 0.5, "done": False, "optimizer": {"step": torch.tensor(9.0)}, "model_state_dict": state},
        out / "nested.pt",
    )
    torch.save({name: torch.nn.Parameter(t) for name, t in state.items() if t.is_floating_point()}, out / "parameters.pt")

    data, values = viewed_storage()
    (out / "viewed_storage.bin").write_bytes(data)
    expected["viewed_storage"] = {"part": {"shape": [3], "values": values.tolist()}}

    small = {"weight": quarters(2, 2)}
    torch.save({**small, "hostile": Hostile()}, out / "forbidden_global.bin")
    opcode = legacy_header() + b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n."
    (out / "forbidden_opcode.bin").write_bytes(opcode)
    stream = io.BytesIO()
    torch.save(small, stream)
    (out / "big_endian.bin").write_bytes(rewritten(stream, {"byteorder": b"big"}))
    (out / "big_endian_legacy.bin").write_bytes(legacy_header(little_endian=False) + pickle.dumps({}, protocol=2))
    torch.save(torch.nn.Linear(2, 2), out / "whole_module.bin")

    dense = {name: t.contiguous() for name, t in state.items() if name != "cls.predictions.decoder.weight"}
    expected["dense"] = listed(dense)
    save_file(dense, out / "mixed.safetensors", metadata={"format": "pt"})
    mixed = {"half": quarters(3).half(), "brain": quarters(3).bfloat16(), "double": quarters(3).double()}
    save_file(mixed, out / "types.safetensors")
    expected["types"] = listed(mixed)

    names = sorted(dense)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    for folder, stem, save in (
        ("sharded_safetensors", "model-{:05}-of-00002.safetensors", save_file),
        ("sharded_bin", "pytorch_model-{:05}-of-00002.bin", torch.save),
    ):
        (out / folder).mkdir(exist_ok=True)
        weight_map = {}
        for number, part in enumerate(halves, start=1):
            file = stem.format(number)
            save({name: dense[name] for name in part}, out / folder / file)
            weight_map.update({name: file for name in part})
        index = "model.safetensors.index.json" if save is save_file else "pytorch_model.bin.index.json"
        content = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        (out / folder / index).write_text(json.dumps(content, indent=1) + "\n")
    (out / "expected.json").write_text(json.dumps(expected) + "\n")


PIECES = """[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] ! " ' ( ) , - . / : ; ? _ $ + = < > # 0 1 2 ##1 ##2 a b c d e f g h i j k n o s t
##d caf ##e ##é cafe café Caf ##É nai ##ve naïve Straße strasse stras ##se ß ##ß the The un ##aff ##able able ##s ##ing ##a ##b ##c
日 本 語 中 国 カ ##タ ##カ ##ナ 한 ##국 ᄒ ##ᅡ ##ᆫ ##ᄀ ##ᅮ ##ᆨ 🙂 👍 ##🏽 é É İ i̇ σ ς ΟΔΟΣ οδος οδοσ ﬁ fi dz … — “ ” ½ x ##x""".split()

TEXTS = [
    "",
    " ",
    "the unaffable café",
    "The CAFÉ, naïve; Straße!",
    "cafe\u0301 decomposed",
    "日本語と中国 abc日本abc",
    "カタカナ 한국",
    "\u1112\u1161\u11ab",
    "🙂👍🏽 🙂a",
    "a\u0000b\ufffdc\u200bd\u00ade\tf\ng\rh\u00a0i\u2028j\u3000k",
    "a\u0007b \u001b[0m c",
    "[CLS] a [SEP] [MASK] [PAD] [UNK] [sep]",
    "[unused0] [SEP]x",
    "a-b_c/d...e?!  (f) \"g\" $1,2 + = < > #",
    "“quoted” — dash… ½ ﬁ",
    "İstanbul ΟΔΟΣ οδός ǅ",
    "x" * 100,
    "x" * 101,
    "able" * 30,
    "e\u0301\u0302\u0303 \u0301 e",
    "\ue000 \U000e0001 \u0378 a",
    "\U0002a6d6\uf900 \u3400",
    "the the the the the the the the the the the the the the the the the the the the",
]


def write_tokenizers(out):
    goldens = {}
    for name, settings in (("uncased", None), ("cased", {"do_lower_case": False}), ("accents", {"strip_accents": False})):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
        if settings is not None:
            (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
        tokenizer = BertTokenizer.from_pretrained(folder)
        goldens[name] = [tokenizer(text)["input_ids"] for text in TEXTS]
        if name == "uncased":
            # As published with all-MiniLM-L6-v2: truncation and padding of its own, both to be overridden.
            backend = tokenizer.backend_tokenizer
            backend.enable_truncation(max_length=8)
            backend.enable_padding(length=8, pad_id=0, pad_token="[PAD]")
            (out / "with_json").mkdir(exist_ok=True)
            backend.save(str(out / "with_json" / "tokenizer.json"), pretty=False)
    content = {"texts": TEXTS, "ids": goldens}
    (out / "goldens.json").write_text(json.dumps(content, ensure_ascii=True, indent=0) + "\n")


def write_folder(out, tokenizers):
    """What sentence-transformers 6 writes, without the weights."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        hidden_act="gelu_new",
    )
    work = out / "work"
    BertModel(config).save_pretrained(work)
    BertTokenizer.from_pretrained(tokenizers / "uncased").save_pretrained(work)
    transformer = Transformer(str(work), max_seq_length=24)
    model = SentenceTransformer(
        modules=[transformer, Pooling(8, pooling_mode="cls"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="cosine",
        device="cpu",
    )
    model.save(str(out / "newer"), create_model_card=False)
    for path in (out / "newer").rglob("*"):
        if path.name in ("model.safetensors", "tokenizer.json"):
            path.unlink()
    for path in work.iterdir():
        path.unlink()
    work.rmdir()


if __name__ == "__main__":
    data = pathlib.Path(sys.argv[1])
    write_checkpoints(data / "checkpoint")
    write_tokenizers(data / "tokenizer")
    write_folder(data / "folder", data / "tokenizer")
