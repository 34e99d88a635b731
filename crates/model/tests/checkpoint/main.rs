//! Checkpoints, tokenizers and model folders: read as PyTorch and sentence-transformers wrote them, refused when they
//! are damaged or hostile, written so that both can be read back.
//!
//! The samples in `tests/data` are made by `tools/make_checkpoint_samples.py` and `tools/golden_tokenizer_settings.py`. Tests on a real model run when the
//! environment variable `SBMOE_TEST_MODEL` names a folder with all-MiniLM-L6-v2, or `sbmoe quickstart` has unpacked one,
//! and say so when there is none.

mod damage;
mod folders;
mod formats;
mod hostile_folders;
mod long_texts;
mod pickles;
mod real_model;
mod real_vectors;
mod samples;
mod saved;
mod selection;
mod settings;
mod tokenizer_settings;
mod tokenizers;
mod words;
