//! Where a run's values come from: defaults, a preset, a file, switches and `--set`, each over the one before.
//!
//! All of them share their key names. A key that does not exist and a value of the wrong kind are refused at once, with
//! where they came from.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, Value};

use super::config::RunConfig;
use super::preset::Preset;

/// Everything that a user says about a run.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The values to start from; the defaults when absent.
    pub preset: Option<Preset>,
    /// A file of `key = value` lines, such as the `config.toml` of another run.
    pub file: Option<PathBuf>,
    /// Values of switches, by key.
    pub switches: Map<String, Value>,
    /// `key=value` texts, the last one winning.
    pub set: Vec<String>,
}

impl Overrides {
    /// The values that result.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown key, a value that its key cannot have.
    pub fn resolve(&self) -> Result<RunConfig> {
        let start = self.preset.unwrap_or_default().config();
        let mut layers = Layers::new(&start);
        if let Some(path) = &self.file {
            let origin = Origin::File(path);
            for (key, value) in read_toml(path)? {
                layers.put(&key, value, &origin)?;
            }
        }
        for (key, value) in &self.switches {
            layers.put(key, value.clone(), &Origin::Switch)?;
        }
        for text in &self.set {
            let (key, value) = text
                .split_once('=')
                .with_context(|| format!("`--set {text}` is not of the form `key=value`"))?;
            layers.put(key.trim(), literal(value.trim()), &Origin::Set)?;
        }
        Ok(layers.config)
    }
}

/// Where a value stands.
enum Origin<'a> {
    File(&'a Path),
    Switch,
    Set,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Switch => f.write_str("the command line"),
            Self::Set => f.write_str("`--set`"),
        }
    }
}

/// The values so far, as a table and as what the table means.
struct Layers {
    table: Map<String, Value>,
    config: RunConfig,
}

impl Layers {
    fn new(config: &RunConfig) -> Self {
        let table = match serde_json::to_value(config) {
            Ok(Value::Object(table)) => table,
            other => unreachable!("a configuration is a table of plain data, not {other:?}"),
        };
        Self { table, config: config.clone() }
    }

    fn put(&mut self, key: &str, value: Value, origin: &Origin<'_>) -> Result<()> {
        if !self.table.contains_key(key) {
            return Err(unknown_key(key, origin));
        }
        let shown = value.to_string();
        self.table.insert(key.to_owned(), value);
        self.config = serde_json::from_value(Value::Object(self.table.clone()))
            .map_err(|error| anyhow!("{origin}: `{key}` cannot be `{shown}`: {error}"))?;
        Ok(())
    }
}

fn read_toml(path: &Path) -> Result<Map<String, Value>> {
    let text = fs_err::read_to_string(path)?;
    toml::from_str(&text).with_context(|| format!("`{}` is no file of `key = value` lines", path.display()))
}

/// A value as TOML writes it; a bare word is a text.
fn literal(text: &str) -> Value {
    let table: Result<Map<String, Value>, _> = toml::from_str(&format!("value = {text}"));
    match table {
        Ok(mut table) if table.len() == 1 => table.remove("value").unwrap_or_default(),
        _ => Value::String(text.to_owned()),
    }
}

fn unknown_key(key: &str, origin: &Origin<'_>) -> anyhow::Error {
    let known = RunConfig::keys();
    // Half of the letters may differ; beyond that a suggestion is a guess.
    let closest = known
        .iter()
        .map(|name| (distance(key, name), name))
        .min()
        .filter(|(distance, name)| 2 * distance <= name.len().max(key.len()));
    let suggestion = closest.map(|(_, name)| format!(" (the closest is `{name}`)")).unwrap_or_default();
    anyhow!("{origin}: there is no key `{key}`{suggestion}; the keys are `{}`", known.join("`, `"))
}

/// How many letters must be inserted, deleted or replaced to turn one word into the other (Levenshtein 1965).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> Result<RunConfig> {
        let set = texts.iter().map(|text| (*text).to_owned()).collect();
        Overrides { set, ..Overrides::default() }.resolve()
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        fs_err::write(&file, "epochs = 3\nlr = 1\nseed = 7\n").unwrap();
        let switches = Map::from_iter([("seed".to_owned(), Value::from(8))]);
        let overrides = Overrides {
            preset: Some(Preset::Paper),
            file: Some(file),
            switches,
            set: vec!["lr=0.5".to_owned()],
        };
        let config = overrides.resolve().unwrap();
        assert_eq!(config, RunConfig { epochs: Some(3), lr: 0.5, seed: 8, ..Preset::Paper.config() });
    }

    #[test]
    fn values_may_be_bare_words_or_toml() {
        let config =
            set(&["gate=top1", "lr=2", "freeze_encoder=true", "data=a folder", "model=\"org/name\""])
                .unwrap();
        assert_eq!(config.gate, Some(sbmoe_model::moe::Gate::Top1));
        assert!(config.freeze_encoder);
        assert_eq!((config.lr, config.model.as_deref()), (2.0, Some("org/name")));
        assert_eq!(config.data.as_deref(), Some(Path::new("a folder")));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_closest_one() {
        let message = set(&["encoder_ir=1"]).unwrap_err().to_string();
        assert!(message.starts_with(
            "`--set`: there is no key `encoder_ir` (the closest is `encoder_lr`); the keys are"
        ));
        assert!(message.contains("`batch_size`"));
        let message = set(&["q=1"]).unwrap_err().to_string();
        assert!(!message.contains("closest"), "{message}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_with_its_key() {
        for text in ["epochs=many", "epochs=1.5", "gate=best", "epochs=-1"] {
            let message = set(&[text]).unwrap_err().to_string();
            let key = text.split_once('=').unwrap().0;
            assert!(message.starts_with(&format!("`--set`: `{key}` cannot be")), "{message}");
        }
    }
}
