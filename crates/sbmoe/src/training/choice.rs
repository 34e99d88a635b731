//! The end of a run: which state becomes its model, the encoder as it came among the candidates, and what is saved.

use anyhow::Result;
use sbmoe_kernels::Cpu;
use sbmoe_model::folder::remove_saved_model;
use sbmoe_model::moe::{Side, text_key};
use sbmoe_model::retriever::Retriever;
use sbmoe_train::{Checkpoint, Gain, Groups, Inputs, Keep, Optimizer, Outcome, TrainConfig};

use super::baseline::{Baseline, mean};
use super::encoder_pass::encode;
use super::folds::Folds;
use super::inputs::normalize;
use super::journal::Journal;
use super::loop_run::{Data, LoopRun};
use super::prepared::Prepared;
use super::progress::{Observer, Progress, Stopped, tell};
use super::ranking::Ranker;
use super::report::{self, Kept, Part, TrainReport};

/// How the loop ended.
pub(super) struct Ended {
    /// The best validation score and the steps at which it was reached.
    pub(super) best: Option<(f64, u64)>,
    /// What it gains on the encoder as it came.
    pub(super) gain: Option<Gain>,
    /// Steps taken.
    pub(super) steps: u64,
    /// What the folds found, where they chose.
    pub(super) folds: Option<Folds>,
}

/// Chooses, saves the model and beside it the state that was not chosen, and completes the report.
pub(super) fn save(
    run: &mut Prepared,
    ended: &Ended,
    (baseline, data, config): (Option<&Baseline>, &Data<'_>, &TrainConfig),
    (journal, groups): (&Journal, &Groups),
    report: &mut TrainReport,
    observe: &mut Observer<'_>,
) -> Result<()> {
    let per_epoch = (data.examples.queries.len().div_ceil(config.batch_size.max(1)) as u64).max(1);
    let last = Kept::Epoch((ended.steps / per_epoch) as usize);
    report.last = journal.last_score();
    let kept = match (baseline, ended) {
        (Some(baseline), Ended { folds: Some(folds), .. }) => {
            let (seen, unseen) = baseline.groups(&folds.values);
            report.judged(baseline, folds.score, folds.gain, (seen, unseen));
            report.best_epoch = Some(folds.epoch);
            last
        }
        (Some(baseline), Ended { best: Some((score, step)), gain: Some(gain), .. }) => {
            let best = journal.best();
            report.judged(
                baseline,
                *score,
                *gain,
                best.map_or((None, None), |best| (best.seen, best.unseen)),
            );
            report.best_epoch = best.map(|best| best.epoch);
            report.best_step = Some(*step);
            if baseline.is_pooled() && config.keep == Keep::Best {
                let values = over_everything(run, data.inputs, baseline, observe)?;
                let score = mean(&values, |place| baseline.chooses[place]).unwrap_or_default();
                report.judged(baseline, score, baseline.gain(&values), baseline.groups(&values));
            }
            if config.keep == Keep::Best { Kept::Epoch((step / per_epoch) as usize) } else { last }
        }
        // Nobody judged the states.
        _ => last,
    };
    let is_worse = report.gain.is_some_and(|gain| !gain.exceeds(run.config.accept));
    if config.keep == Keep::Best && is_worse {
        keep_encoder(run, report)?;
        report.kept = Some(Kept::Encoder);
        return Ok(());
    }
    report.kept = Some(kept);
    if run.config.retrain && config.keep == Keep::Best && !run.judgments.held_back.is_empty() {
        save_trained(run, &run.folder.other(Keep::Last), report.best)?;
        report.other = Some(run.folder.other(Keep::Last));
        train_on_everything(run, data, (config, kept), observe)?;
        return save_model(run, report, report.best);
    }
    let (score, other_score) = match config.keep {
        // Without validation the last state is the only one, and nobody scored it.
        Keep::Best => (report.best, report.last),
        Keep::Last => (report.last, report.best),
    };
    save_model(run, report, score)?;
    let other = run.folder.other(config.keep);
    if report.best_step.is_none_or(|best| best == ended.steps) {
        return Ok(remove_saved_model(&other)?);
    }
    let checkpoint = run.folder.checkpoint();
    let Retriever { ops, architecture, parameters, .. } = &mut run.retriever;
    let model = (&*architecture, groups);
    match config.keep {
        Keep::Best => {
            let mut optimizer = Optimizer::new(&**ops, architecture, groups);
            checkpoint.load(&**ops, model, &run.identity, parameters, &mut optimizer)?;
        }
        Keep::Last => checkpoint.load_best(&**ops, model, parameters)?,
    }
    save_trained(run, &other, other_score)?;
    report.other = Some(other);
    Ok(())
}

fn save_model(run: &Prepared, report: &mut TrainReport, score: Option<f64>) -> Result<()> {
    save_trained(run, &run.folder.model(), score)?;
    report.model = Some(run.folder.model());
    Ok(())
}

fn save_trained(run: &Prepared, dir: &std::path::Path, score: Option<f64>) -> Result<()> {
    let documents_of = run.documents_of(&run.retriever, run.config.freeze_encoder);
    Ok(run.retriever.save(dir, &report::card(run, score), documents_of)?)
}

/// Saves the trained state as `RUN/best` and the encoder as it came as the model.
fn keep_encoder(run: &Prepared, report: &mut TrainReport) -> Result<()> {
    let best = run.folder.other(Keep::Last);
    save_trained(run, &best, report.best)?;
    remove_saved_model(&run.folder.other(Keep::Best))?;
    let encoder = run.encoder_alone()?;
    encoder.save(&run.folder.model(), &report::encoder_card(run), run.documents_of(&encoder, true))?;
    (report.model, report.other) = (Some(run.folder.model()), Some(best));
    Ok(())
}

fn remove(folder: &std::path::Path) -> Result<()> {
    if folder.is_dir() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Trains once more, from where training starts, on what was held out too, for as many epochs as were best.
fn train_on_everything(
    run: &mut Prepared,
    data: &Data<'_>,
    (config, kept): (&TrainConfig, Kept),
    observe: &mut Observer<'_>,
) -> Result<()> {
    run.reset()?;
    let training = run.judgments.training.iter().chain(&run.judgments.held_back);
    let everything = data.examples_of(training, (&run.queries, &run.documents.texts));
    let stop_after = match kept {
        Kept::Epoch(epoch) => Some(epoch),
        Kept::Encoder => None,
    };
    let config = TrainConfig { stop_after, ..config.clone() };
    let folder = run.folder.side_checkpoint();
    let loop_run = LoopRun {
        name: "training on everything".to_owned(),
        config: &config,
        validation: None,
        checkpoint: Checkpoint::in_folder(&folder),
        identity: &run.identity,
        resume: false,
    };
    let data = Data { examples: &everything, ..*data };
    let outcome = loop_run.train(&mut run.retriever, &data, observe, &mut |_| Ok(()))?;
    remove(&folder)?;
    match outcome {
        Outcome::Interrupted { .. } => Err(Stopped.into()),
        Outcome::Finished { .. } => Ok(()),
    }
}

/// What each held-out query scores over all documents with the retriever as it is.
fn over_everything(
    run: &mut Prepared,
    inputs: &Inputs,
    baseline: &Baseline,
    observe: &mut Observer<'_>,
) -> Result<Vec<f64>> {
    let Inputs::Tokens { queries, documents } = inputs else {
        unreachable!("a frozen encoder's states are ranked over everything from the beginning")
    };
    run.retriever.prepare(run.config.precision);
    let gate = run.config.gate();
    let everything = &baseline.everything;
    let mut vectors = |side, texts: &[Vec<u32>], ordinals: &[u32]| -> Result<Vec<f32>> {
        let own: Vec<Vec<u32>> = ordinals.iter().map(|&ordinal| texts[ordinal as usize].clone()).collect();
        let keys: Vec<u64> = own.iter().map(|ids| text_key(ids)).collect();
        let mut pooled = Vec::with_capacity(own.len() * run.retriever.architecture.hidden());
        let mut sink = |part: Vec<f32>| {
            pooled.extend(part);
            Ok(())
        };
        let name = match side {
            Side::Query => "judging the best state, queries",
            Side::Document => "judging the best state, all documents",
        };
        encode(&run.retriever, &own, (name, 0), observe, &mut sink)?;
        Ok(compared(&run.retriever, side, gate, &pooled, &keys))
    };
    let own_queries = vectors(Side::Query, queries, &everything.queries)?;
    let own_documents = vectors(Side::Document, documents, &everything.documents)?;
    tell(observe, Progress::StageDone)?;
    let hidden = run.retriever.architecture.hidden();
    Ranker::new(everything, &run.documents.texts, hidden, &run.retriever.ops)
        .values(&own_queries, &own_documents)
}

fn compared(
    retriever: &Retriever<Cpu>,
    side: Side,
    gate: sbmoe_model::moe::Gate,
    pooled: &[f32],
    keys: &[u64],
) -> Vec<f32> {
    let (mut vectors, _) = retriever.apply_block(pooled, side, gate, keys);
    if retriever.architecture.normalize {
        normalize(retriever.architecture.hidden(), &mut vectors);
    }
    vectors
}

impl TrainReport {
    /// Takes over what the best state scores.
    fn judged(
        &mut self,
        baseline: &Baseline,
        score: f64,
        gain: Gain,
        (seen, unseen): (Option<f64>, Option<f64>),
    ) {
        let (base_seen, base_unseen) = baseline.groups(&baseline.values);
        let count = |kind| baseline.everything.judged.iter().filter(|query| query.seen == kind).count();
        let part = |base: Option<f64>, best: Option<f64>, kind| {
            base.zip(best).map(|(baseline, best)| Part { queries: count(kind), baseline, best })
        };
        (self.best, self.gain, self.interval) = (Some(score), Some(gain), Some(gain.interval()));
        (self.seen, self.unseen) = (part(base_seen, seen, true), part(base_unseen, unseen, false));
    }
}
