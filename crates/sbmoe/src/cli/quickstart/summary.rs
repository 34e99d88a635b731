//! A quickstart's report for people: the comparison, the answers, what to type next.

use std::path::Path;

use crate::cli::shell::quoted;
use crate::cli::table::{Align, Table};
use crate::quickstart::{Answer, Comparison, MEASURES, QuickstartReport};

/// The report as lines; commands begin with `program`.
pub(super) fn summary(report: &QuickstartReport, program: &str) -> Vec<String> {
    let QuickstartReport { queries, documents, .. } = report;
    let mut lines = vec![String::new(), format!("{queries} test queries over {documents} passages:")];
    lines.extend(scores(report).lines().map(|line| format!("  {line}")));
    lines.extend(report.comparisons.iter().map(compared));
    if report.kept_encoder {
        lines.push(
            "  (No trained state was better than the encoder beyond the noise of the held-out questions: it was kept as it \
             came.)"
                .to_owned(),
        );
    }
    for answer in &report.answers {
        lines.push(String::new());
        lines.extend(answered(answer));
    }
    lines.push(String::new());
    lines.extend(next(report, &quoted(program)));
    lines
}

/// One row a system.
fn scores(report: &QuickstartReport) -> Table {
    let columns = MEASURES.map(|measure| (measure, Align::Right));
    let mut table = Table::new([("retriever", Align::Left)].into_iter().chain(columns));
    for system in &report.systems {
        let scores = MEASURES.map(|measure| format!("{:.4}", system.scores[measure]));
        table.push([system.name.to_owned()].into_iter().chain(scores));
    }
    table
}

/// What the block gained, and on how many queries: a mean alone hides how few decide it.
fn compared(comparison: &Comparison) -> String {
    let Comparison { against, measure, difference, better, worse, equal } = comparison;
    format!(
        "  the trained model, against {against}: {measure} {difference:+.4} (queries: {better} better, {worse} worse, {equal} equal)"
    )
}

/// A question with its hits: rank, score, expert, title, and the beginning of the text.
fn answered(answer: &Answer) -> Vec<String> {
    let expert = |expert: Option<u16>| expert.map(|expert| format!("  expert {expert}")).unwrap_or_default();
    let mut lines = vec![format!("\"{}\"{}", answer.question, expert(answer.expert))];
    for (rank, hit) in (1..).zip(&answer.hits) {
        lines.push(format!("  {rank}  {:.4}{}  {}  [{}]", hit.score, expert(hit.expert), hit.title, hit.id));
        lines.push(format!("     {}", hit.snippet));
    }
    lines
}

/// What to type next.
fn next(report: &QuickstartReport, program: &str) -> Vec<String> {
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut lines =
        vec![format!("done in {:.0} s; everything is in `{}`", report.seconds, report.work.display())];
    let mut command =
        |what: &str, command: String| lines.extend([format!("{what}:"), format!("  {command}")]);
    let runs: Vec<String> = report.systems.iter().map(|system| path(&system.run)).collect();
    let measures = MEASURES.join(" ");
    let collection = path(&report.collection);
    command(
        "the same figures, from the run files",
        format!("{program} evaluate --qrels {collection} --run {} -m {measures}", runs.join(" ")),
    );
    if let Some(trained) = report.systems.last() {
        let (index, model) = (path(&trained.index), quoted(&trained.model));
        command(
            "a question of your own",
            format!(
                "{program} search --index {index} --model {model} --queries 'what colours the ice deep inside a glacier'"
            ),
        );
    }
    command(
        "your own collection, a folder with corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv",
        format!("{program} data check DIR"),
    );
    let encoder = quoted(&report.encoder.name);
    lines.push(format!("  {program} train --data DIR --model {encoder} --out runs/mine --freeze-encoder"));
    lines
}
