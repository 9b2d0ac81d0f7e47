//! `nakku restore`: what a folder holds back into databases.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use nakku_cluster::restore::{CLUSTER, Origin, Restore, RestoreError, Target};
use nakku_cluster::store::{self, SqlStore, Store, schema};

use super::BackupError;
use super::manifest::{Manifest, TableFile};
use super::rows::{RowReader, measure};
use crate::compose;
use crate::settings::Settings;

/// What was put back.
#[derive(Debug)]
pub struct Restored {
    /// Of the backup.
    pub manifest: Manifest,
    /// The new incarnation of each service.
    pub incarnations: BTreeMap<String, u64>,
}

/// Reads a folder's manifest and holds every file against it.
///
/// # Errors
/// [`BackupError::Damaged`] when one is not as it was written.
pub fn verify(folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder)?;
    for file in &manifest.files {
        let path = Manifest::path(folder, file);
        let found = measure(&path).map_err(|error| BackupError::file(&path, error))?;
        if (found.bytes, &found.sha256) != (file.bytes, &file.sha256) {
            let reason = format!("its SHA-256 is {}, not {}", found.sha256, file.sha256);
            return Err(BackupError::Damaged { path: path.display().to_string(), reason });
        }
    }
    Ok(manifest)
}

/// Puts a backup back that was verified.
///
/// # Errors
/// A [`BackupError`]. From the first row on the databases are marked, and no node starts on them until a restore has
/// ended well.
pub async fn load(
    settings: &Settings,
    folder: &Path,
    manifest: Manifest,
    replace: bool,
) -> Result<Restored, BackupError> {
    let services = compose::services(settings);
    check_schemas(&manifest, &services)?;
    let (configured, addresses) = compose::topology(settings, &services);
    manifest.topology.accepts(&configured).map_err(RestoreError::Topology)?;
    let mut by_location: HashMap<String, Arc<SqlStore>> = HashMap::new();
    let mut servers = BTreeMap::new();
    for (name, address) in &addresses {
        servers.insert(name.clone(), open(&mut by_location, address).await?);
    }
    let cluster = open(&mut by_location, &settings.cluster_database()).await?;
    let origin = Origin { topology: manifest.topology.clone(), incarnations: manifest.incarnations.clone() };
    let mut restore = Restore::begin(Target { cluster, servers, services }, origin, replace).await?;
    for file in &manifest.files {
        put_back(&mut restore, folder, file).await?;
    }
    let incarnations = restore.finish().await?;
    Ok(Restored { manifest, incarnations })
}

async fn put_back(restore: &mut Restore, folder: &Path, file: &TableFile) -> Result<(), BackupError> {
    let path = Manifest::path(folder, file);
    let mut reader =
        RowReader::open(&path, file.table.columns.len()).map_err(|error| BackupError::file(&path, error))?;
    let damaged = |reason: String| BackupError::Damaged { path: path.display().to_string(), reason };
    let mut table = restore.table(&file.database, &file.table).await?;
    let mut rows = 0;
    while let Some(row) = reader.next().map_err(|error| damaged(error.to_string()))? {
        restore.row(&mut table, row).await?;
        rows += 1;
    }
    if rows != file.rows {
        return Err(damaged(format!("it has {rows} rows, not {}", file.rows)));
    }
    Ok(restore.end(table).await?)
}

/// Nothing that this program does not know: it would be lost.
fn check_schemas(manifest: &Manifest, services: &[nakku_cluster::Service]) -> Result<(), BackupError> {
    let newest = |name: &str| match name {
        CLUSTER => Some((schema::CLUSTER_VERSION, 0)),
        name => {
            let service = services.iter().find(|service| service.name == name)?;
            Some((schema::SERVICE_VERSION, service.migrations.last().map_or(0, |migration| migration.version)))
        }
    };
    for (database, found) in &manifest.schemas {
        let what = match newest(database) {
            None => format!("a database nakku_{database}"),
            Some((own, service)) if found.store > own || found.service > service => {
                format!("schema {}.{} of nakku_{database}", found.store, found.service)
            }
            Some(_) => continue,
        };
        return Err(BackupError::TooNew { version: manifest.nakku_version.clone(), what });
    }
    Ok(())
}

async fn open(known: &mut HashMap<String, Arc<SqlStore>>, address: &str) -> Result<Arc<SqlStore>, BackupError> {
    let opened = store::open(address).await?;
    let location = opened.location().to_owned();
    Ok(Arc::clone(known.entry(location).or_insert(opened)))
}
