"""Writes what transformers and sentence-transformers make of the settings beside a tokenizer.

Made with Python 3.11, torch 2.15.0, transformers 5.24.0, sentence-transformers 6.2.0:

    python tools/golden_tokenizer_settings.py crates/model/tests/data/tokenizer/settings.json

Each case is a folder's files, whether the folder asks for lower-casing, and the token numbers of every text.
"""

import json
import pathlib
import sys
import tempfile

from sentence_transformers.sentence_transformer.modules import Transformer
from transformers import BertConfig, BertModel

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "The the Caf\u00e9 caf\u00e9 cafe Cafe moon Moon ##light [ ] ent ENT mask MASK ( ) . , \u65e5 \u65e5\u672c ##\u672c \u672c Word word \u03c3 \u03c2 ##\u03c3 ##\u03c2 \u03bf ##s".split()
VOCABULARY = SPECIAL + WORDS
TEXTS = [
    "The Caf\u00e9, the CAF\u00c9 cafe\u0301",
    "\u65e5\u672c Moon",
    "Moonlight [MASK] moon[SEP] [mask]",
    "the [ENT] moon [/ENT]light",
    "the [ent] Word words, a word.",
    "wordMASK  [MASK]  moon",
    "\u039f\u03a3 \u03c3\u03a3",
    "x" * 60 + " moon " + "moonlight" * 7,
    "",
]


def added(number, content, **flags):
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **plain, **flags}


def file(lowercase, strip_accents=None, chinese=True, clean=True, tokens=(), longest=100, **parts):
    """A `tokenizer.json`."""
    number = {token: place for place, token in enumerate(VOCABULARY)}
    special = {token: {"id": token, "ids": [number[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    template = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": clean,
        "handle_chinese_chars": chinese,
        "strip_accents": strip_accents,
        "lowercase": lowercase,
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(number[token], token) for token in SPECIAL] + list(tokens),
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": special},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": longest,
            "vocab": number,
        },
    }
    return {**content, **parts}


def cases():
    count = len(VOCABULARY)
    vocabulary = "\n".join(VOCABULARY) + "\n"
    bert = {"tokenizer_class": "BertTokenizer"}
    other = {"tokenizer_class": "PreTrainedTokenizerFast"}
    yield "the file lower-cases, the settings do not", False, {"tokenizer.json": file(True), "tokenizer_config.json": {"do_lower_case": False}}
    yield "the settings are silent", False, {"tokenizer.json": file(False, False, False), "tokenizer_config.json": bert}
    yield "there are no settings", False, {"tokenizer.json": file(False, False, False)}
    yield "another class", False, {"tokenizer.json": file(False, False, False), "tokenizer_config.json": {**other, "do_lower_case": True}}
    yield "accents", False, {"tokenizer.json": file(False), "tokenizer_config.json": {**bert, "do_lower_case": False, "strip_accents": True}}
    yield "cjk", False, {"tokenizer.json": file(True), "tokenizer_config.json": {"tokenizer_class": "BertTokenizerFast", "tokenize_chinese_chars": False}}
    yield "words", False, {"tokenizer.json": file(True, longest=50, pre_tokenizer={"type": "WhitespaceSplit"}), "tokenizer_config.json": bert}
    yield "long words of another class", False, {"tokenizer.json": file(True, longest=50), "tokenizer_config.json": other}
    entities = {"[ENT]": count, "[/ENT]": count + 1}
    listed = {"additional_special_tokens": ["[ENT]", "[/ENT]"], "cls_token": "[CLS]", "mask_token": {**added(0, "[MASK]", lstrip=True)}}
    del listed["mask_token"]["id"]
    yield "special tokens of a list", False, {"vocab.txt": vocabulary, "added_tokens.json": entities, "special_tokens_map.json": listed}
    yield "added tokens of a list", False, {"vocab.txt": vocabulary, "added_tokens.json": {**entities, "words": count + 2}}
    decoder = {}
    for number, content, flags in [(4, "[MASK]", {"lstrip": True}), (count, "[ENT]", {}), (count + 1, "Word", {"single_word": True, "normalized": True, "special": False})]:
        decoder[str(number)] = added(number, content, **flags)
        del decoder[str(number)]["id"]
    del decoder[str(count + 1)]
    yield "added tokens of the settings", False, {"vocab.txt": vocabulary, "added_tokens.json": {"x": 99}, "tokenizer_config.json": {**bert, "added_tokens_decoder": decoder}}
    yield "added tokens beside a file", False, {"tokenizer.json": file(True), "added_tokens.json": entities, "tokenizer_config.json": bert}
    word = added(count, "WORDS", normalized=True, special=False)
    yield "added tokens of the file", False, {"tokenizer.json": file(False, tokens=[word]), "tokenizer_config.json": bert}
    cased = {**bert, "do_lower_case": False}
    yield "the folder lower-cases", True, {"tokenizer.json": file(False), "tokenizer_config.json": cased}
    yield "the folder lower-cases a vocabulary", True, {"vocab.txt": vocabulary, "tokenizer_config.json": cased, "added_tokens.json": {**entities, "Word": VOCABULARY.index("Word")}}
    yield "the folder lower-cases what does so", True, {"tokenizer.json": file(True), "tokenizer_config.json": bert}
    sequence = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "StripAccents"}]}
    yield "the folder lower-cases a sequence", True, {"tokenizer.json": file(False, normalizer=sequence), "tokenizer_config.json": other}
    yield "the folder lower-cases nothing", True, {"tokenizer.json": file(False, normalizer=None), "tokenizer_config.json": other}


def numbers(lower_case, files):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config = BertConfig(vocab_size=64, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
        BertModel(config).save_pretrained(folder)
        for path, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / path).write_text(text, encoding="utf-8")
        tokenizer = Transformer(str(folder), max_seq_length=512, do_lower_case=lower_case).tokenizer
        return [tokenizer(text)["input_ids"] for text in TEXTS]


if __name__ == "__main__":
    made = []
    for name, lower_case, files in cases():
        ids = numbers(lower_case, files)
        written = {path: content if isinstance(content, str) else json.dumps(content) for path, content in files.items()}
        made.append({"name": name, "lower_case": lower_case, "files": written, "ids": ids})
    content = json.dumps({"texts": TEXTS, "cases": made}, indent=1) + "\n"
    pathlib.Path(sys.argv[1]).write_text(content, encoding="utf-8")
