//! One training loop of a run: the run's own, one of a fold, or one on everything after the choice.

use std::io;
use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use sbmoe_kernels::Cpu;
use sbmoe_model::retriever::Retriever;
use sbmoe_train::{
    Batches, Checkpoint, Event, Examples, Inputs, Outcome, Session, Stop, TrainConfig, TrainError,
    Validation, train,
};

use super::examples::examples;
use super::inputs::rows;
use super::judgments::TrainingQuery;
use super::progress::{Observer, Progress, tell};
use super::teaching::Taught;
use super::texts::Texts;

/// What loops read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) examples: &'a Examples,
    pub(super) taught: &'a Taught,
    /// The encoder's own vectors of all queries, `[queries, hidden]`; empty where no near ones are looked for.
    pub(super) encoder_queries: &'a [f32],
    pub(super) hidden: usize,
}

impl Data<'_> {
    /// What a training on other queries of the run learns from: the same anchors, the same teacher.
    pub(super) fn examples_of<'q>(
        &self,
        training: impl Iterator<Item = &'q TrainingQuery> + Clone,
        texts: (&Texts, &Texts),
    ) -> Examples {
        let teacher = self.taught.of(training.clone(), texts);
        Examples { teacher, ..examples(training, texts, self.examples.anchors.clone()) }
    }
}

/// A loop to run.
pub(super) struct LoopRun<'a> {
    /// What a person is told that it is.
    pub(super) name: String,
    pub(super) config: &'a TrainConfig,
    pub(super) validation: Option<Validation<'a>>,
    pub(super) checkpoint: Checkpoint,
    pub(super) identity: &'a str,
    /// Whether to go on from the checkpoint.
    pub(super) resume: bool,
}

impl LoopRun<'_> {
    /// Trains the retriever's parameters. `record` keeps what happens; the first failure of it ends the run.
    ///
    /// # Errors
    /// What [`train`] refuses, and a record that cannot be kept.
    pub(super) fn train(
        self,
        retriever: &mut Retriever<Cpu>,
        data: &Data<'_>,
        observe: &mut Observer<'_>,
        record: &mut dyn FnMut(&Event) -> io::Result<()>,
    ) -> Result<Outcome> {
        let Self { name, config, validation, checkpoint, identity, resume } = self;
        let epochs = config.stop_after.unwrap_or(config.epochs).min(config.epochs);
        let total = (epochs * Batches::new(data.examples, config).per_epoch()) as u64;
        let done = if resume { checkpoint.position()?.steps } else { 0 };
        tell(observe, Progress::Stage { name, total, done })?;
        let near = (!data.encoder_queries.is_empty())
            .then(|| rows(data.encoder_queries, data.hidden, &data.examples.queries));
        let Retriever { ops, architecture, parameters, .. } = retriever;
        let session = Session {
            ops: &**ops,
            architecture: &*architecture,
            inputs: data.inputs,
            examples: data.examples,
            near: near.as_deref(),
            validation,
            config,
            checkpoint,
            identity: identity.to_owned(),
        };
        let mut failure = None;
        let outcome = train(&session, parameters, resume, &mut |event| {
            if let Err(error) = record(&event) {
                failure.get_or_insert(error);
            }
            if failure.is_some() {
                // Saved, the step would be over, and its line missing for good.
                return ControlFlow::Break(Stop::Abandon);
            }
            let told = observe(match event {
                Event::Step(step) => Progress::Step(step),
                Event::Validated(validation) => Progress::Validated(validation),
                Event::Saved { step } => Progress::Saved(step),
                Event::Warning(warning) => Progress::Warning(warning.to_string()),
            });
            told.map_break(|()| Stop::Save)
        });
        if let Some(error) = failure {
            return Err(error)
                .context("the run's journal cannot be written; make room and go on with `--resume`");
        }
        let outcome = match outcome {
            // The same steps would lead to the same numbers.
            Err(error @ TrainError::NotFinite { .. }) => return Err(error.into()),
            other => {
                other.context("training stopped; the last checkpoint stays, `--resume` goes on from it")?
            }
        };
        let _ = observe(Progress::StageDone);
        Ok(outcome)
    }
}
