//! Defaults, file, environment and flags laid over each other; later ones win.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::table::{FILE_SUFFIX, Setting, TABLE, VARIABLE_PREFIX, find};
use super::tree::Settings;
use super::value::nearest;

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What `nakku dev` changes about the defaults: name and text.
    pub dev: Vec<(&'static str, String)>,
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Variables, also those that are not ours.
    pub environment: Vec<(String, String)>,
    /// Name and text of each flag.
    pub flags: Vec<(String, String)>,
    /// Files of secrets are not read: for commands that need none, wherever they run.
    pub without_secrets: bool,
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Nobody.
    Default,
    /// `nakku dev`.
    Dev,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// A file that a variable names.
    SecretFile(String),
    /// A flag.
    Flag,
}

/// What is in force, and who set it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Typed.
    pub settings: Settings,
    /// By name, in the table's own terms.
    pub values: BTreeMap<&'static str, (Value, Layer)>,
}

/// Why settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there or can't be read.
    #[error("can't read the settings file {file}: {cause}; check --config or NAKKU_CONFIG")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        cause: String,
    },
    /// The file is not TOML.
    #[error("{file} is not TOML: {cause}")]
    Broken {
        /// Which.
        file: String,
        /// Where and why, in one line.
        cause: String,
    },
    /// There is no such setting.
    #[error("{source_name} sets {name}, which is no setting; {hint}")]
    Unknown {
        /// Who says so.
        source_name: String,
        /// What it names.
        name: String,
        /// The nearest one, or where all are listed.
        hint: String,
    },
    /// The value is of the wrong kind or out of bounds.
    #[error("{source_name} sets {name} wrongly: it {cause}")]
    Invalid {
        /// Who says so.
        source_name: String,
        /// Which setting.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// A secret's file can't be read.
    #[error("{variable} names {file}, which can't be read: {cause}; put the secret there, or name another file")]
    SecretFile {
        /// The variable.
        variable: String,
        /// What it names.
        file: String,
        /// Why not.
        cause: String,
    },
    /// A secret stands in the environment and in a file.
    #[error("{variable} and {variable}_FILE are both set; unset one of them")]
    Twice {
        /// The variable that holds the secret itself.
        variable: String,
    },
    /// The settings contradict each other or lack something.
    #[error("{0}")]
    Unfit(String),
}

impl Sources {
    /// The environment of this process, and the file that it or the caller names.
    pub fn here(config: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = environment.iter().find(|(name, value)| name == "NAKKU_CONFIG" && !value.is_empty());
        let file = config.or_else(|| named.map(|(_, value)| PathBuf::from(value)));
        Self { file, environment, flags, ..Self::default() }
    }

    /// Lays all over each other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(&self) -> Result<Loaded, SettingsError> {
        let mut values = BTreeMap::new();
        for setting in TABLE {
            set(&mut values, setting.name, setting.default, Layer::Default)?;
        }
        for (name, text) in &self.dev {
            set(&mut values, name, text, Layer::Dev)?;
        }
        if let Some(file) = &self.file {
            read_file(&mut values, file)?;
        }
        let mut files = Vec::new();
        for (variable, text) in &self.environment {
            match setting_of_variable(variable)? {
                Some(Named::Value(setting)) => {
                    set(&mut values, setting.name, text, Layer::Variable(variable.clone()))?;
                }
                Some(Named::File(setting)) if !text.is_empty() => files.push((setting, variable, text)),
                Some(Named::File(_)) | None => {}
            }
        }
        for (setting, variable, file) in files {
            let own = setting.variable();
            if self.environment.iter().any(|(name, text)| *name == own && !text.is_empty()) {
                return Err(SettingsError::Twice { variable: own });
            }
            if !self.without_secrets {
                let text = read_secret(variable, file)?;
                set(&mut values, setting.name, &text, Layer::SecretFile(variable.clone()))?;
            }
        }
        for (name, text) in &self.flags {
            set(&mut values, name, text, Layer::Flag)?;
        }
        let settings = typed(&values)?;
        Ok(Loaded { settings, values })
    }
}

impl Layer {
    /// One word, for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dev => "dev",
            Self::File(_) => "file",
            Self::Variable(_) => "environment",
            Self::SecretFile(_) => "secret file",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Dev => f.write_str("nakku dev"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(variable) | Self::SecretFile(variable) => f.write_str(variable),
            Self::Flag => f.write_str("a flag"),
        }
    }
}

type Values = BTreeMap<&'static str, (Value, Layer)>;

/// Variables with our prefix that are no settings.
const OTHER_VARIABLES: &[&str] = &["NAKKU_CONFIG", "NAKKU_ENDPOINT", "NAKKU_TOKEN"];
/// Variables that only the project's own tests read.
const TEST_PREFIX: &str = "NAKKU_TEST_";

fn set(values: &mut Values, name: &str, text: &str, layer: Layer) -> Result<(), SettingsError> {
    let setting = find(name).ok_or_else(|| unknown(&layer, name))?;
    let value = setting.kind.parse(text).map_err(|cause| invalid(&layer, name, cause))?;
    values.insert(setting.name, (value, layer));
    Ok(())
}

fn read_file(values: &mut Values, file: &Path) -> Result<(), SettingsError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| SettingsError::Unreadable { file: shown.clone(), cause: error.to_string() })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        SettingsError::Broken { file: shown.clone(), cause: format!("{place}{}", error.message().replace('\n', " ")) }
    })?;
    let layer = Layer::File(file.to_owned());
    for (section, content) in table {
        let Value::Table(entries) = content else { return Err(unknown(&layer, &section)) };
        for (key, value) in entries {
            let name = format!("{section}.{key}");
            let setting = find(&name).ok_or_else(|| unknown(&layer, &name))?;
            let value = setting.kind.check(value).map_err(|cause| invalid(&layer, &name, cause))?;
            values.insert(setting.name, (value, layer.clone()));
        }
    }
    Ok(())
}

/// The largest file of a secret, in bytes.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The content of a secret's file without the newline at its end, as Docker and Kubernetes mount it.
fn read_secret(variable: &str, file: &str) -> Result<String, SettingsError> {
    let unreadable = |cause: String| SettingsError::SecretFile { variable: variable.into(), file: file.into(), cause };
    let bytes = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if bytes > SECRET_FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {bytes} bytes, more than {SECRET_FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(unreadable("it is empty".into())) } else { Ok(text.to_owned()) }
}

/// What a variable of ours says.
enum Named {
    /// The value of a setting.
    Value(&'static Setting),
    /// The file in which it stands.
    File(&'static Setting),
}

/// The setting that a variable names; nothing when it is not ours.
fn setting_of_variable(variable: &str) -> Result<Option<Named>, SettingsError> {
    let ours = variable.starts_with(VARIABLE_PREFIX) && !variable.starts_with(TEST_PREFIX);
    if !ours || OTHER_VARIABLES.contains(&variable) {
        return Ok(None);
    }
    if let Some(setting) = TABLE.iter().find(|setting| setting.variable() == variable) {
        return Ok(Some(Named::Value(setting)));
    }
    if let Some(setting) = TABLE.iter().find(|setting| setting.file_variable().as_deref() == Some(variable)) {
        return Ok(Some(Named::File(setting)));
    }
    let names: Vec<String> =
        TABLE.iter().flat_map(|setting| [Some(setting.variable()), setting.file_variable()]).flatten().collect();
    let known = variable.strip_suffix(FILE_SUFFIX).filter(|name| names.iter().any(|one| one == name));
    let hint = match known {
        Some(name) => format!("only secrets are read from files, set {name}"),
        None => hint(nearest(variable, names.iter().map(String::as_str))),
    };
    Err(SettingsError::Unknown { source_name: "the environment".into(), name: variable.into(), hint })
}

/// A table of the values, read by serde.
fn typed(values: &Values) -> Result<Settings, SettingsError> {
    let mut tree = Table::new();
    for (name, (value, _)) in values {
        let (section, key) = name.split_once('.').unwrap_or((name, ""));
        let entries = tree.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(entries) = entries {
            entries.insert(key.to_owned(), value.clone());
        }
    }
    let mut settings =
        Settings::deserialize(Value::Table(tree)).map_err(|error| SettingsError::Unfit(error.to_string()))?;
    settings.databases.set_passwords();
    Ok(settings)
}

fn unknown(layer: &Layer, name: &str) -> SettingsError {
    let hint = hint(nearest(name, TABLE.iter().map(|setting| setting.name)));
    SettingsError::Unknown { source_name: layer.to_string(), name: name.to_owned(), hint }
}

fn hint(near: Option<&str>) -> String {
    match near {
        Some(name) => format!("did you mean {name}?"),
        None => "nakku config lists all settings".into(),
    }
}

fn invalid(layer: &Layer, name: &str, cause: String) -> SettingsError {
    SettingsError::Invalid { source_name: layer.to_string(), name: name.to_owned(), cause }
}
