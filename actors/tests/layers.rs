//! Holds the shape of the whole repository: which layer knows which, what a service folder looks like, and
//! what no file may contain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers from the bottom. A package knows only those below it.
const LAYERS: [&str; 5] = ["nakku-cluster", "nakku-actors", "nakku-gateway", "nakku-benches", "nakku"];
/// Files that every entity has, in the order in which they are read.
const ENTITY_FILES: [&str; 8] =
    ["mod.rs", "command.rs", "event.rs", "state.rs", "decide.rs", "outstanding.rs", "public.rs", "tests.rs"];
/// The longest source file, in lines.
const LINES_MAX: usize = 500;
/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

#[test]
fn dependencies_point_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let own = rank(name).unwrap_or_else(|| panic!("{name} is in no layer"));
        for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
            let known = dependency["name"].as_str().expect("a dependency has a name");
            assert!(rank(known).is_none_or(|below| below < own), "{name} knows {known}");
            let outside = ["axum", "hyper", "reqwest", "sqlx", "redis", "rdkafka", "actix"];
            let touches_the_world = outside.iter().any(|one| known.starts_with(one));
            assert!(name != "nakku-actors" || !touches_the_world, "the services know {known}");
        }
    }
    assert_eq!(packages.len(), LAYERS.len(), "every layer is a package");
}

#[test]
fn services_hold_no_sql_and_open_no_sockets() {
    let sql = ["SELECT ", "INSERT INTO", "DELETE FROM", "CREATE TABLE", "CREATE INDEX", "ALTER TABLE", "DROP TABLE"];
    let world = ["axum", "sqlx", "tokio::net", "std::net", "std::fs", "tokio::fs", "std::process"];
    for (path, text) in sources(&root().join("actors/src")) {
        for forbidden in sql.iter().chain(&world) {
            assert!(!text.contains(forbidden), "{} holds {forbidden:?}", path.display());
        }
    }
}

#[test]
fn decisions_read_no_clock_and_draw_no_chance_of_their_own() {
    let forbidden = ["::now()", "SystemTime", "Instant", "rand::", "thread_rng", "tokio::", "std::env"];
    for folder in entities() {
        for file in ["state.rs", "decide.rs", "outstanding.rs", "public.rs"] {
            let path = folder.join(file);
            let text = read(&path);
            for one in forbidden {
                assert!(!text.contains(one), "{} holds {one:?}", path.display());
            }
        }
    }
}

#[test]
fn service_folders_are_alike() {
    let entities = entities();
    assert!(entities.len() >= 9, "{entities:?}");
    for folder in &entities {
        for file in ENTITY_FILES {
            assert!(folder.join(file).is_file(), "{} has no {file}", folder.display());
        }
    }
    let services: Vec<&PathBuf> = entities.iter().filter(|folder| folder.parent() == Some(&services())).collect();
    for folder in &services {
        assert!(folder.join("schema/0001_initial.sql").is_file(), "{} has no schema", folder.display());
    }
    let in_code: BTreeSet<_> = nakku_actors::services().iter().map(|service| service.name.to_owned()).collect();
    let in_folders: BTreeSet<_> =
        services.iter().filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect();
    assert_eq!(in_code, in_folders, "every service folder is one of the services");
}

#[test]
fn schemas_have_a_table_for_every_entity_and_names_of_their_own() {
    let mut indexes: BTreeMap<String, &str> = BTreeMap::new();
    for service in nakku_actors::services_with(nakku_actors::Options { webhooks: true }) {
        let sql: String = service.migrations.iter().map(|migration| migration.sql).collect();
        for of_kind in &service.types {
            let table = format!("{{prefix}}{}_state", of_kind.kind().entity);
            assert!(sql.contains(&format!("CREATE TABLE {table} (")), "{} has no {table}", service.name);
            assert!(sql.contains(&format!("ON {table} (wake_at)")), "{table} has no index for timers");
            for column in of_kind.table().columns {
                assert!(sql.contains(&format!("    {} ", column.name)), "{table} has no column {}", column.name);
            }
        }
        for line in sql.lines().filter_map(|line| line.strip_prefix("CREATE INDEX ")) {
            let name = line.split(' ').next().unwrap_or_default();
            let before = indexes.insert(name.to_owned(), service.name);
            assert_eq!(before, None, "{name} is in {} too", service.name);
        }
    }
}

#[test]
fn no_source_file_is_too_long() {
    for (path, text) in sources(&root()) {
        let relative = path.strip_prefix(root()).unwrap_or(&path);
        let excused = LONGER.iter().any(|(file, _)| Path::new(file) == relative);
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX || excused, "{} has {lines} lines", relative.display());
    }
}

#[test]
fn nothing_refers_to_the_outside_of_the_repository() {
    let outside = concat!("..", "/shared");
    for path in files(&root(), &mut |_| true) {
        // What is no text refers to nothing.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        assert!(!text.contains(outside), "{} refers to {outside}", path.display());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

fn services() -> PathBuf {
    root().join("actors/src")
}

/// The folder of every entity: whatever has a decision.
fn entities() -> Vec<PathBuf> {
    let decisions = files(&services(), &mut |path| path.ends_with("decide.rs"));
    decisions.iter().filter_map(|path| path.parent().map(Path::to_owned)).collect()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let paths = files(folder, &mut |path| path.extension().is_some_and(|extension| extension == "rs"));
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file that fits, without what is built or hidden.
fn files(folder: &Path, fits: &mut dyn FnMut(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".ci") {
                    folders.push(path);
                }
            } else if fits(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
