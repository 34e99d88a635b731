//! Names of measures, read and written.
//!
//! Two spellings are read: ir_measures' `name(parameter=value)@cutoff` and trec_eval's `name_cutoff` or
//! `name.cutoff`. Letters' case is ignored. Only the first is written.

use std::{fmt, num::NonZeroU32, str::FromStr};

use super::{Family, Gain, Measure};
use crate::qrels::{GRADES, Grade};

/// A name that is no measure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// No measure has that name.
    #[error("there is no measure `{name}`: the measures are {}", known_measures())]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The parts are not where they belong.
    #[error("`{text}` is not written as a measure is: `nDCG@10` or `AP(rel=2)@100`")]
    Malformed {
        /// The text that was given.
        text: String,
    },
    /// The measure is defined at a cutoff only.
    #[error("`{measure}` needs a cutoff, such as `{measure}@10`")]
    CutoffMissing {
        /// The measure's name.
        measure: &'static str,
    },
    /// The measure looks at the whole ranking.
    #[error("`{measure}` takes no cutoff")]
    CutoffRefused {
        /// The measure's name.
        measure: &'static str,
    },
    /// The cutoff is no whole number of at least 1.
    #[error("the cutoff of `{measure}` is `{cutoff}`: it must be a whole number of at least `1`")]
    CutoffInvalid {
        /// The measure's name.
        measure: &'static str,
        /// What was given.
        cutoff: String,
    },
    /// The measure has no such parameter.
    #[error("`{measure}` has no parameter `{parameter}`: it takes {}", known.join(", "))]
    ParameterUnknown {
        /// The measure's name.
        measure: &'static str,
        /// What was given.
        parameter: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// The parameter cannot have that value.
    #[error("`{measure}` cannot have `{parameter}={value}`: it must be {expected}")]
    ParameterInvalid {
        /// The measure's name.
        measure: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cutoff {
    Needed,
    Allowed,
    Refused,
}

/// How a family is spelled.
struct Spelling {
    family: Family,
    name: &'static str,
    /// Other names, among them trec_eval's for the measure without cutoff.
    aliases: &'static [&'static str],
    /// What trec_eval calls the measure with a cutoff.
    trec_cut: Option<&'static str>,
    cutoff: Cutoff,
    has_relevance: bool,
}

static SPELLINGS: [Spelling; 12] = {
    use Cutoff::{Allowed, Needed, Refused};
    use Family as F;
    const fn spelling(
        family: F,
        name: &'static str,
        aliases: &'static [&'static str],
        trec_cut: Option<&'static str>,
        cutoff: Cutoff,
    ) -> Spelling {
        let has_relevance = !matches!(family, F::Ndcg(_) | F::Judged);
        Spelling { family, name, aliases, trec_cut, cutoff, has_relevance }
    }
    [
        spelling(F::Ndcg(Gain::Linear), "nDCG", &[], Some("ndcg_cut"), Allowed),
        spelling(F::Precision, "P", &["Precision"], Some("P"), Needed),
        spelling(F::Recall, "R", &["Recall"], Some("recall"), Needed),
        spelling(F::AveragePrecision, "AP", &["MAP"], Some("map_cut"), Allowed),
        spelling(F::ReciprocalRank, "RR", &["MRR", "recip_rank"], None, Allowed),
        spelling(F::Success, "Success", &[], Some("success"), Needed),
        spelling(F::RPrecision, "Rprec", &[], None, Refused),
        spelling(F::Bpref, "Bpref", &[], None, Refused),
        spelling(F::Judged, "Judged", &[], None, Allowed),
        spelling(F::SetPrecision, "SetP", &["set_P"], None, Refused),
        spelling(F::SetRecall, "SetR", &["set_recall"], None, Refused),
        spelling(F::SetF, "SetF", &["set_F"], None, Refused),
    ]
};

/// The measures there are, as a list for messages.
pub fn known_measures() -> String {
    let ours = SPELLINGS.iter().map(|spelling| match spelling.cutoff {
        Cutoff::Needed => format!("`{}@k`", spelling.name),
        Cutoff::Allowed => format!("`{}[@k]`", spelling.name),
        Cutoff::Refused => format!("`{}`", spelling.name),
    });
    let trec = SPELLINGS.iter().filter_map(|spelling| spelling.trec_cut.map(|name| format!("`{name}_k`")));
    let plain = ["`ndcg`", "`map`", "`recip_rank`", "`set_P`", "`set_recall`", "`set_F`"].map(str::to_owned);
    let trec: Vec<String> = trec.chain(plain).collect();
    format!(
        "{}, with `(rel=2)` for another level of relevance, and trec_eval's {}",
        ours.collect::<Vec<_>>().join(", "),
        trec.join(", ")
    )
}

pub(super) fn with_cutoff(family: Family, cutoff: Option<u32>) -> Result<Measure, MeasureError> {
    let Spelling { name: measure, cutoff: rule, .. } = *spelling(family);
    match (rule, cutoff) {
        (Cutoff::Needed, None) => Err(MeasureError::CutoffMissing { measure }),
        (Cutoff::Refused, Some(_)) => Err(MeasureError::CutoffRefused { measure }),
        (_, None) => Ok(Measure { family, relevance: 1, cutoff: None }),
        (_, Some(cutoff)) => match NonZeroU32::new(cutoff) {
            Some(cutoff) => Ok(Measure { family, relevance: 1, cutoff: Some(cutoff) }),
            None => Err(MeasureError::CutoffInvalid { measure, cutoff: cutoff.to_string() }),
        },
    }
}

pub(super) fn with_relevance(measure: Measure, relevance: Grade) -> Result<Measure, MeasureError> {
    let Spelling { name, has_relevance, .. } = *spelling(measure.family);
    if !has_relevance {
        return Err(parameter_unknown(measure.family, "rel"));
    }
    if !(1..=*GRADES.end()).contains(&relevance) {
        return Err(MeasureError::ParameterInvalid {
            measure: name,
            parameter: "rel",
            value: relevance.to_string(),
            expected: "a whole number from `1` to `127`",
        });
    }
    Ok(Measure { relevance, ..measure })
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = spelling(self.family).name;
        let gain = if self.family == Family::Ndcg(Gain::Exponential) { "(dcg='exp-log2')" } else { "" };
        let relevance = if self.relevance == 1 { String::new() } else { format!("(rel={})", self.relevance) };
        let cutoff = self.cutoff.map_or(String::new(), |cutoff| format!("@{cutoff}"));
        f.pad(&format!("{name}{gain}{relevance}{cutoff}"))
    }
}

impl FromStr for Measure {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        let text = text.trim();
        match trec_cut(text) {
            Some((spelling, cutoff)) => {
                with_cutoff(spelling.family, Some(parse_cutoff(spelling.name, cutoff)?))
            }
            None => parse_ir_measures(text),
        }
    }
}

/// Splits `ndcg_cut_10` or `ndcg_cut.10`.
fn trec_cut(text: &str) -> Option<(&'static Spelling, &str)> {
    let (name, cutoff) = text.rsplit_once(['_', '.'])?;
    if cutoff.is_empty() || !cutoff.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    SPELLINGS
        .iter()
        .find(|spelling| spelling.trec_cut.is_some_and(|trec| trec.eq_ignore_ascii_case(name)))
        .map(|spelling| (spelling, cutoff))
}

fn parse_ir_measures(text: &str) -> Result<Measure, MeasureError> {
    let malformed = || MeasureError::Malformed { text: text.to_owned() };
    let (head, mut cutoff) = match text.split_once('@') {
        Some((head, cutoff)) => (head.trim(), Some(cutoff.trim())),
        None => (text, None),
    };
    let (name, parameters) = match head.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.strip_suffix(')').ok_or_else(malformed)?),
        None => (head, ""),
    };
    let spelling = SPELLINGS
        .iter()
        .find(|spelling| {
            spelling.name.eq_ignore_ascii_case(name)
                || spelling.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
        .ok_or_else(|| MeasureError::Unknown { name: name.to_owned() })?;
    let mut family = spelling.family;
    let mut relevance = None;
    for parameter in parameters.split(',').filter(|parameter| !parameter.trim().is_empty()) {
        let (key, value) = parameter.split_once('=').ok_or_else(malformed)?;
        let value = value.trim().trim_matches(['\'', '"']);
        match (key.trim(), family) {
            ("rel", _) if spelling.has_relevance => relevance = Some(parse_relevance(spelling.name, value)?),
            ("dcg", Family::Ndcg(_)) => family = Family::Ndcg(parse_gain(value)?),
            ("cutoff", _) if cutoff.is_none() => cutoff = Some(value),
            (key, _) => return Err(parameter_unknown(family, key)),
        }
    }
    let cutoff = cutoff.map(|cutoff| parse_cutoff(spelling.name, cutoff)).transpose()?;
    let measure = with_cutoff(family, cutoff)?;
    relevance.map_or(Ok(measure), |relevance| with_relevance(measure, relevance))
}

fn parse_cutoff(measure: &'static str, text: &str) -> Result<u32, MeasureError> {
    text.parse().map_err(|_| MeasureError::CutoffInvalid { measure, cutoff: text.to_owned() })
}

fn parse_relevance(measure: &'static str, value: &str) -> Result<Grade, MeasureError> {
    value.parse().map_err(|_| MeasureError::ParameterInvalid {
        measure,
        parameter: "rel",
        value: value.to_owned(),
        expected: "a whole number from `1` to `127`",
    })
}

fn parse_gain(value: &str) -> Result<Gain, MeasureError> {
    match value {
        "log2" => Ok(Gain::Linear),
        "exp-log2" => Ok(Gain::Exponential),
        _ => Err(MeasureError::ParameterInvalid {
            measure: "nDCG",
            parameter: "dcg",
            value: value.to_owned(),
            expected: "`log2` or `exp-log2`",
        }),
    }
}

fn parameter_unknown(family: Family, parameter: &str) -> MeasureError {
    let Spelling { name: measure, has_relevance, cutoff, .. } = *spelling(family);
    let known = [
        (has_relevance, "`rel`"),
        (matches!(family, Family::Ndcg(_)), "`dcg`"),
        (cutoff != Cutoff::Refused, "`cutoff`"),
    ];
    MeasureError::ParameterUnknown {
        measure,
        parameter: parameter.to_owned(),
        known: known.into_iter().filter_map(|(has, name)| has.then_some(name)).collect(),
    }
}

fn spelling(family: Family) -> &'static Spelling {
    let family = if let Family::Ndcg(_) = family { Family::Ndcg(Gain::Linear) } else { family };
    SPELLINGS.iter().find(|spelling| spelling.family == family).expect("every family has a spelling")
}
