//! `nakku backup`: everything that the databases of a cluster hold as of one moment, into a folder.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nakku_cluster::restore::CLUSTER;
use nakku_cluster::store::schema::{self, Kept};
use nakku_cluster::store::snapshot::{self, Moment, Snapshot, Table, Wanted};
use nakku_cluster::store::{self, SqlStore, Store};
use nakku_cluster::topology::Topology;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::BackupError;
use super::manifest::{FILE, FORMAT, Manifest, Schema, TableFile};
use super::rows::RowWriter;
use crate::compose;
use crate::dev::local::write_private;
use crate::settings::Settings;

/// Makes a backup into a folder that is not there yet.
///
/// # Errors
/// A [`BackupError`]; then the folder is not there.
pub async fn save(settings: &Settings, folder: &Path) -> Result<Manifest, BackupError> {
    if folder.exists() {
        return Err(BackupError::file(folder, "it is there already; name a folder that is not"));
    }
    let unfinished = Unfinished::make(folder)?;
    let manifest = write_all(settings, &unfinished.path).await?;
    unfinished.finish(folder)?;
    Ok(manifest)
}

async fn write_all(settings: &Settings, folder: &Path) -> Result<Manifest, BackupError> {
    let services = compose::services(settings);
    let (configured, addresses) = compose::topology(settings, &services);
    let mut servers = Servers::default();
    servers.want(&settings.cluster_database(), CLUSTER, CLUSTER).await?;
    for service in &services {
        for range in &configured.service(service.name).databases {
            let Some(address) = addresses.get(&range.server) else { continue };
            servers.want(address, service.name, &range.server).await?;
        }
    }
    let Moment { mut snapshots, held_up } = snapshot::take(servers.wanted()).await?;
    let taken_at = OffsetDateTime::now_utc();
    let mut manifest = Manifest {
        format: FORMAT,
        nakku_version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: configured.cluster.clone(),
        taken_at: taken_at.format(&Rfc3339).unwrap_or_default(),
        writers_held_up_ms: u64::try_from(held_up.as_millis()).unwrap_or(u64::MAX),
        topology: founded(&mut snapshots, &configured).await?,
        incarnations: BTreeMap::new(),
        schemas: BTreeMap::new(),
        files: Vec::new(),
    };
    for snapshot in &mut snapshots {
        for database in snapshot.databases().to_vec() {
            let server = servers.name(snapshot.location(), &database);
            write_database(folder, snapshot, &database, &server, &mut manifest).await?;
        }
    }
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::file(folder, error))?;
    write_private(&folder.join(FILE), &text).map_err(|error| BackupError::file(&folder.join(FILE), error))?;
    Ok(manifest)
}

/// What the cluster was founded with, which must be what the settings say: they tell where everything is.
async fn founded(snapshots: &mut [Snapshot], configured: &Topology) -> Result<Topology, BackupError> {
    let mut location = String::new();
    for snapshot in snapshots {
        if !snapshot.databases().iter().any(|database| database == CLUSTER) {
            continue;
        }
        if let Some(document) = snapshot.topology().await? {
            let founded = Topology::from_json(&document)?;
            founded.accepts(configured)?;
            return Ok(founded);
        }
        snapshot.location().clone_into(&mut location);
    }
    Err(BackupError::NoCluster { location })
}

async fn write_database(
    folder: &Path,
    snapshot: &mut Snapshot,
    database: &str,
    server: &str,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let tables = snapshot.tables(database).await?;
    if tables.is_empty() {
        return Ok(());
    }
    let versions = snapshot.schema_versions(database).await?;
    let schema = manifest.schemas.entry(database.to_owned()).or_default();
    *schema = Schema { store: schema.store.max(versions.store), service: schema.service.max(versions.service) };
    if database != CLUSTER
        && let Some(incarnation) = snapshot.incarnation(database).await?
    {
        let highest = manifest.incarnations.entry(database.to_owned()).or_default();
        *highest = (*highest).max(incarnation);
    }
    let place = PathBuf::from(format!("nakku_{database}")).join(server);
    let inside = folder.join(&place);
    private_folder(&inside)?;
    let is_kept = |table: &Table| schema::kept(database, &table.name) != Kept::ForAMoment;
    for table in tables.into_iter().filter(is_kept) {
        let name = format!("{}.rows.gz", table.name);
        let path = inside.join(&name);
        let at = |error: std::io::Error| BackupError::file(&path, error);
        let mut writer = RowWriter::create(&path).map_err(at)?;
        let rows = snapshot.rows(database, &table, |row| writer.write(row)).await?;
        let written = writer.finish().map_err(at)?;
        manifest.files.push(TableFile {
            file: place.join(name).display().to_string(),
            database: database.to_owned(),
            server: server.to_owned(),
            table,
            rows,
            bytes: written.bytes,
            sha256: written.sha256,
        });
    }
    sync_folder(&inside)
}

/// The servers by what they are: two names may mean one.
#[derive(Default)]
struct Servers {
    wanted: Vec<Wanted>,
    /// By location and database: the first name.
    names: HashMap<(String, String), String>,
}

impl Servers {
    async fn want(&mut self, address: &str, database: &str, name: &str) -> Result<(), BackupError> {
        let store = store::open(address).await?;
        let known = self.wanted.iter().position(|one| location(&one.store) == location(&store));
        let index = known.unwrap_or(self.wanted.len());
        if known.is_none() {
            self.wanted.push(Wanted { store: Arc::clone(&store), databases: Vec::new() });
        }
        let of = (location(&store).to_owned(), database.to_owned());
        if !self.names.contains_key(&of) {
            self.wanted[index].databases.push(database.to_owned());
            self.names.insert(of, name.to_owned());
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.wanted.clone()
    }

    fn name(&self, location: &str, database: &str) -> String {
        self.names.get(&(location.to_owned(), database.to_owned())).cloned().unwrap_or_default()
    }
}

fn location(store: &Arc<SqlStore>) -> &str {
    store.location()
}

/// A folder under another name until it is whole; gone if it never is.
struct Unfinished {
    path: PathBuf,
    is_whole: bool,
}

impl Unfinished {
    fn make(folder: &Path) -> Result<Self, BackupError> {
        let name = folder.file_name().ok_or_else(|| BackupError::file(folder, "it names no folder"))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = parent.join(format!("{}.unfinished-{}", name.to_string_lossy(), std::process::id()));
        private_folder(&path)?;
        Ok(Self { path, is_whole: false })
    }

    fn finish(mut self, folder: &Path) -> Result<(), BackupError> {
        sync_folder(&self.path)?;
        std::fs::rename(&self.path, folder).map_err(|error| BackupError::file(folder, error))?;
        self.is_whole = true;
        sync_folder(folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_whole {
            // What stays is no backup by its name.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn private_folder(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| BackupError::file(path, error))
}

/// The names in a folder are on disk as well.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| BackupError::file(path, error))
}
