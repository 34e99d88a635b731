//! The random numbers of a gate, drawn on the host from keys: few, and the same for every device.

use sbmoe_kernels::Key;

use super::{BlockConfig, Gate, TrainGate};

/// The random numbers of one batch; empty where the mode needs none.
#[derive(Debug, Clone, Default)]
pub struct Draws {
    /// ε, `[rows, experts]`, standard normal, already multiplied by the noise scale.
    pub noise: Vec<f32>,
    /// r, `[rows, experts]`, uniform in `[0, 1)`.
    pub uniform: Vec<f32>,
}

impl Draws {
    /// What a training step of `rows` texts needs; `step` names the run and the step, a row is a text's place.
    pub fn for_training(gate: TrainGate, noise_scale: f64, rows: usize, experts: usize, step: Key) -> Self {
        let table = |purpose: &str, draw: &dyn Fn(Key) -> f64| {
            let key = step.purpose(purpose);
            let cell = |row: usize, expert: usize| draw(key.with(row as u64).with(expert as u64)) as f32;
            (0..rows)
                .flat_map(|row| (0..experts).map(move |expert| (row, expert)))
                .map(|(r, e)| cell(r, e))
                .collect()
        };
        let noisy = noise_scale > 0.0 && !matches!(gate, TrainGate::Random | TrainGate::Uniform);
        Self {
            noise: if noisy { table("gate noise", &|key| noise_scale * key.normal()) } else { Vec::new() },
            uniform: if gate == TrainGate::Random { table("random gate", &Key::uniform) } else { Vec::new() },
        }
    }

    /// What a block needs in use: numbers for [`Gate::Random`] alone.
    pub fn in_use(config: &BlockConfig, gate: Gate, texts: &[u64]) -> Self {
        match gate {
            Gate::Random => Self::for_use(config.seed, texts, config.experts),
            Gate::Top1 | Gate::All | Gate::Uniform => Self::default(),
        }
    }

    /// What the random gate needs in use: `texts` are the texts' own keys ([`text_key`]), so that a text is routed alike
    /// whatever surrounds it.
    pub fn for_use(seed: u64, texts: &[u64], experts: usize) -> Self {
        let family = Key::new(seed).purpose("random gate in use");
        let row = |text: &u64| {
            let key = family.with(*text);
            (0..experts).map(move |expert| key.with(expert as u64).uniform() as f32)
        };
        Self { noise: Vec::new(), uniform: texts.iter().flat_map(row).collect() }
    }
}

/// The key of a text: a hash of its token ids.
pub fn text_key(ids: &[u32]) -> u64 {
    ids.iter().fold(Key::new(ids.len() as u64), |key, id| key.with(u64::from(*id))).bits()
}
