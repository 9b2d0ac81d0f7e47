//! `nakku backup` and `nakku restore`: all databases of a cluster together, into a folder and back.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::arguments::SettingsArguments;
use super::outcome::{Done, Wrong};
use super::show;
use crate::backup::manifest::Manifest;
use crate::backup::{load, save};

/// `nakku backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The folder to make; it must not be there yet
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nakku restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The folder of a backup
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Give up what the databases hold now; to be confirmed by the name of the cluster in the backup
    #[arg(long, value_name = "CLUSTER")]
    pub replace: Option<String>,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is in one database.
#[derive(Debug, Serialize)]
struct Line {
    database: String,
    server: String,
    tables: usize,
    rows: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
}

/// Makes a backup while nodes go on.
pub async fn backup(arguments: &Backup) -> Done {
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let manifest = save::save(&loaded.settings, &arguments.folder).await.map_err(Wrong::failed)?;
    let lines = lines(&manifest, |database| manifest.incarnations.get(database).copied());
    print(arguments.json, &lines)?;
    if !arguments.json {
        let Manifest { cluster, taken_at, writers_held_up_ms, .. } = &manifest;
        show::line(&format!(
            "\ncluster {cluster} as of {taken_at}; writers waited {writers_held_up_ms} ms at most; it is in {}",
            arguments.folder.display()
        ))?;
    }
    Ok(())
}

/// Puts a backup back.
pub async fn restore(arguments: &RestoreArguments) -> Done {
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let manifest = load::verify(&arguments.folder).map_err(Wrong::failed)?;
    if let Some(named) = arguments.replace.as_ref().filter(|named| **named != manifest.cluster) {
        return Err(Wrong::Usage(format!(
            "the backup is of cluster {:?}, not {named:?}; --replace names the cluster in the backup",
            manifest.cluster
        )));
    }
    let replace = arguments.replace.is_some();
    let restored = load::load(&loaded.settings, &arguments.folder, manifest, replace).await.map_err(Wrong::failed)?;
    let lines = lines(&restored.manifest, |database| restored.incarnations.get(database).copied());
    print(arguments.json, &lines)?;
    if !arguments.json {
        let Manifest { cluster, taken_at, .. } = &restored.manifest;
        show::line(&format!("\ncluster {cluster} is as it was at {taken_at}; nodes may start"))?;
    }
    Ok(())
}

fn lines(manifest: &Manifest, incarnation: impl Fn(&str) -> Option<u64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for file in &manifest.files {
        let known = lines.iter_mut().find(|line| (&line.database, &line.server) == (&file.database, &file.server));
        match known {
            Some(line) => {
                line.tables += 1;
                line.rows += file.rows;
                line.bytes += file.bytes;
            }
            None => lines.push(Line {
                database: file.database.clone(),
                server: file.server.clone(),
                tables: 1,
                rows: file.rows,
                bytes: file.bytes,
                incarnation: incarnation(&file.database),
            }),
        }
    }
    lines
}

fn print(json: bool, lines: &[Line]) -> Done {
    let rows = lines.iter().map(|line| {
        vec![
            format!("nakku_{}", line.database),
            line.server.clone(),
            line.tables.to_string(),
            line.rows.to_string(),
            line.bytes.to_string(),
            line.incarnation.map(|incarnation| incarnation.to_string()).unwrap_or_default(),
        ]
    });
    show::rows(json, &lines, &["database", "server", "tables", "rows", "bytes", "incarnation"], rows)
}
