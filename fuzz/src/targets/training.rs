//! Training: the state that a killed run goes on from, and the files and texts that configure a run.

use std::path::Path;

use sbmoe::training::{Overrides, RunConfig};
use sbmoe_kernels::{Cpu, Ops as _, Pooling};
use sbmoe_model::architecture::Architecture;
use sbmoe_model::folder::BertConfig;
use sbmoe_model::moe::BlockConfig;
use sbmoe_model::parameters::Tensors;
use sbmoe_train::{Checkpoint, Groups, Optimizer, Position, TrainConfig};

use super::{target, texts, told, words};
use crate::target::Target;

const FILE: &str = "state.safetensors";
const IDENTITY: &str = "run";

const CONFIG: &str = "experts = 4\nlr = 1e-3\nblock = \"experts\"\nfreeze_encoder = true\nseed = 42\n\
    schedule = \"linear\"\nvalidation = 0.1\nmodel = \"name\"\n";
const WORDS: &str = "true false inf nan -inf [] [a]\n {} \"\" ''' \"\"\" = . 1979-05-27T07:32:00Z 0x 1_0 rank=2\n \
    epochs=3\n warmup_steps=9\n folds=2\n block=\"linear\"\n expert_width=7\n temperature=0\n \
    gate_noise=1\n batch_size=1\n \"first/ \"shape\":[1] \\\"best\\\":null \\\"best_gain\\\":";

pub(super) fn targets() -> Vec<Target> {
    let of = |name, file, seeds, read| Target { dictionary: words(WORDS), ..target(name, file, seeds, read) };
    vec![
        of("train-state", FILE, vec![state()], read_state),
        of("train-config", "config.toml", texts(&[CONFIG]), read_config),
        of("train-set", "set", texts(&["lr=0.1\nexperts = 7\nmodel=a/b\nblock=linear", "seed=1"]), read_set),
    ]
}

/// A frozen encoder and a block of two experts: few parameters are trained.
fn architecture() -> (Architecture, Groups) {
    let bert = BertConfig {
        hidden_size: 2,
        ..BertConfig::read(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/sbmoe/tests/samples/model-version-1"
        )))
        .expect("the sample is in the repository")
    };
    let architecture = Architecture::new(bert, Pooling::Mean, Some(BlockConfig::new(2, 2)));
    let groups = Groups::new(&architecture, &config());
    (architecture, groups)
}

fn config() -> TrainConfig {
    RunConfig { freeze_encoder: true, ..RunConfig::default() }.train_config(false, 10)
}

fn state() -> Vec<u8> {
    let (ops, (architecture, groups)) = (Cpu::new(1), architecture());
    let parameters = Tensors::zeros(&ops, &architecture.layout);
    let optimizer = Optimizer::new(&ops, &architecture, &groups);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let of = (&architecture, &groups);
    Checkpoint::in_folder(folder.path())
        .save(&ops, of, &parameters, &optimizer, &Position::start(IDENTITY))
        .expect("the state can be written");
    fs_err::read(folder.path().join(FILE)).expect("it was written")
}

thread_local! {
    static RUN: (Cpu, (Architecture, Groups)) = (Cpu::new(1), architecture());
}

/// What is loaded must fit the run: a loop over it looks at nothing again.
fn read_state(folder: &Path) -> Option<()> {
    RUN.with(|(ops, (architecture, groups))| {
        let mut parameters = Tensors::zeros(ops, &architecture.layout);
        let mut optimizer = Optimizer::new(ops, architecture, groups);
        let checkpoint = Checkpoint::in_folder(folder);
        told(checkpoint.position());
        let of = (architecture, groups);
        told(checkpoint.load(ops, of, IDENTITY, &mut parameters, &mut optimizer))?;
        for tensors in [&parameters, &optimizer.first, &optimizer.second] {
            for (id, parameter) in architecture.layout.ids().zip(architecture.layout.parameters()) {
                let length = ops.download(tensors.get(id)).len();
                let is_right = length == parameter.len() || !groups.trains(id);
                assert!(is_right, "`{}` has {length} numbers", parameter.name);
            }
        }
        Some(())
    })
}

fn read_config(folder: &Path) -> Option<()> {
    resolve(&Overrides { file: Some(folder.join("config.toml")), ..Overrides::default() })
}

/// One `key=value` a line.
fn read_set(folder: &Path) -> Option<()> {
    let text = told(fs_err::read(folder.join("set")))?;
    let set = String::from_utf8_lossy(&text).lines().take(16).map(str::to_owned).collect();
    resolve(&Overrides { set, ..Overrides::default() })
}

fn resolve(overrides: &Overrides) -> Option<()> {
    let config = told(overrides.resolve())?;
    told(config.check())?;
    config.train_config(true, 100);
    config.block(8, true).map_or(Some(()), |block| told(block.check()))
}
