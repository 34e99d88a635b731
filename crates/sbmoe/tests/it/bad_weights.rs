//! Weights that would run something when Python reads them, and data without queries: refused by every command that
//! reads them, with exit code 2, the file's name and a remedy, and nothing left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{fails, sbmoe, succeeds};
use crate::tiny_model::Place;

/// Pickles as PyTorch writes them, each with something in it that is not data: (sample, what the error names).
const HOSTILE: [(&str, &[&str]); 3] = [
    ("forbidden_opcode.bin", &["the instruction `INST` (0x69) at byte "]),
    ("forbidden_global.bin", &["asks to import `posix.system` at byte "]),
    ("whole_module.bin", &["asks to import `torch.nn.modules.linear.Linear` at byte "]),
];

impl Place {
    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Puts a sample in the place of the model's weights.
    fn put(&self, name: &str) {
        let weights = self.model.join("model.safetensors");
        if weights.exists() {
            fs_err::remove_file(weights).unwrap();
        }
        fs_err::copy(hostile(name), self.model.join("pytorch_model.bin")).unwrap();
    }

    /// A command with the model, ready for further arguments.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = sbmoe();
        command.arg(name).arg("--model").arg(&self.model).args(arguments);
        command
    }

    fn training(&self) -> Command {
        let mut command = self.command("train", &["--experts", "2", "--epochs", "1"]);
        command.arg("--data").arg(&self.data).arg("--out").arg(self.out());
        command
    }

    #[track_caller]
    fn refuses(&self, command: &mut Command, facts: &[&str]) {
        let message = fails(command);
        for fact in facts {
            assert!(message.contains(fact), "`{fact}` is not in {message}");
        }
        assert!(!self.out().exists(), "{command:?} left something behind: {message}");
    }
}

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/checkpoint").join(name)
}

#[test]
fn no_command_reads_weights_that_ask_for_more_than_data() {
    let place = Place::new();
    let index = place.folder.path().join("index");
    let mut encode = place.command("encode", &["--corpus"]);
    succeeds(encode.arg(&place.data).arg("--out").arg(&index));
    for (name, facts) in HOSTILE {
        place.put(name);
        let facts = [facts, &["pytorch_model.bin", "nothing was executed", "safetensors"]].concat();
        let mut encode = place.command("encode", &["--corpus"]);
        place.refuses(encode.arg(&place.data).arg("--out").arg(place.out()), &facts);
        let mut search = place.command("search", &["--queries", "what feeds on frogs", "--force", "--index"]);
        place.refuses(search.arg(&index).arg("--out").arg(place.out()), &facts);
        place.refuses(&mut place.training(), &facts);
        place.refuses(place.training().arg("--freeze-encoder"), &facts);
    }
}

#[test]
fn a_checkpoint_to_import_is_read_as_carefully() {
    let place = Place::new();
    for (name, facts) in HOSTILE {
        let mut import = place.command("import", &["--checkpoint"]);
        let facts = [facts, &[name, "nothing was executed", "safetensors"]].concat();
        place.refuses(import.arg(hostile(name)).arg("--out").arg(place.out()), &facts);
    }
}

#[test]
fn training_without_queries_is_refused() {
    let check = |arguments: &[&str], content: &str| {
        let place = Place::new();
        fs_err::write(place.data.join("queries.jsonl"), content).unwrap();
        place.refuses(place.training().args(arguments), &["queries.jsonl", "query `q1`"]);
    };
    for arguments in [&[][..], &["--freeze-encoder"], &["--preset", "paper", "--max-length", "32"]] {
        check(arguments, "");
        check(arguments, "\n\n");
    }
}
