//! Which parameters are trained, at which rate: every parameter is in exactly one group.

use sbmoe_model::architecture::Architecture;
use sbmoe_model::moe::TrainGate;
use sbmoe_model::parameters::ParameterId;

use crate::TrainConfig;

/// What happens to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Trained at the encoder's rate.
    Encoder,
    /// Trained at the block's rate.
    Block,
    /// Stays: a frozen encoder, a gate that the training mode does not use, a noise head without gradient.
    Untrained,
}

/// The group of every parameter.
#[derive(Debug, Clone)]
pub struct Groups {
    of: Vec<Group>,
    rates: [f64; 2],
}

impl Groups {
    /// The groups of `architecture` under `config`.
    ///
    /// The noise head stays where the loss does not reach it, as in the paper's code, where it is in no group; the gate
    /// of the paper's mode is trained although only weight decay moves it.
    pub fn new(architecture: &Architecture, config: &TrainConfig) -> Self {
        let encoder = if config.freeze_encoder { Group::Untrained } else { Group::Encoder };
        let mut of = vec![encoder; architecture.encoder_parameters()];
        of.resize(architecture.layout.parameters().len(), Group::Block);
        if let Some(block) = &architecture.block {
            let noise_learns =
                block.config().gate_noise > 0.0 && (block.gate_learns() || config.balance != 0.0);
            let gate_is_used = !matches!(block.config().train_gate, TrainGate::Random | TrainGate::Uniform);
            let stays = |ids: &[ParameterId], of: &mut Vec<Group>| {
                for id in ids {
                    of[id.index()] = Group::Untrained;
                }
            };
            if !noise_learns || !gate_is_used {
                stays(&block.noise_ids(), &mut of);
            }
            if !gate_is_used {
                stays(&block.gate_ids(), &mut of);
            }
        }
        Self { of, rates: [config.encoder_learning_rate, config.learning_rate] }
    }

    /// The group of one parameter.
    pub fn of(&self, id: ParameterId) -> Group {
        self.of[id.index()]
    }

    /// Whether a parameter is trained.
    pub fn trains(&self, id: ParameterId) -> bool {
        self.of(id) != Group::Untrained
    }

    /// The learning rate of a group before its schedule; 0 for [`Group::Untrained`].
    pub fn rate(&self, group: Group) -> f64 {
        match group {
            Group::Encoder => self.rates[0],
            Group::Block => self.rates[1],
            Group::Untrained => 0.0,
        }
    }

    /// Each group with its number of tensors and of elements, those without any left out.
    pub fn counts(&self, architecture: &Architecture) -> Vec<(Group, usize, usize)> {
        let count = |group: Group| {
            let own = architecture.layout.ids().filter(|id| self.of(*id) == group);
            let (tensors, elements) =
                own.fold((0, 0), |(n, sum), id| (n + 1, sum + architecture.layout.get(id).len()));
            (group, tensors, elements)
        };
        [Group::Encoder, Group::Block, Group::Untrained]
            .map(count)
            .into_iter()
            .filter(|(_, n, _)| *n > 0)
            .collect()
    }
}
