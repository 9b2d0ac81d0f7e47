//! What is wrong when a node does not start: it says so in one line, says what to do, and exits with 1. It does not end
//! before it has looked properly, and does not go on half-way.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor};

#[path = "../cluster/tests/support/servers.rs"]
mod servers;

/// Five times what the slowest refusal takes.
const PATIENCE: Duration = Duration::from_secs(100);
/// Secrets that only these tests know.
const SECRET: &str = "4c1f0d7e9b3a58626f7d1e0c9b8a7f6e5d4c3b2a19080706";

/// A node that is not going to start, with its settings.
struct Attempt {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Attempt {
    /// On a database of its own, with ports that the system chooses.
    fn on(database: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-bad-start-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mut attempt = Self { variables: Vec::new(), arguments: vec!["node".to_owned()], folder };
        for setting in ["CLUSTER_COOKIE", "AUTH_JWT_SECRET", "AUTH_ADMIN_TOKEN"] {
            attempt.set(setting, SECRET);
        }
        attempt.set("NODE_NAME", "node-1");
        attempt.set("NODE_ROLES", "gateway,cart");
        attempt.set("DATABASES_PATIENCE_MS", "2000");
        attempt.set("LINKS_TLS", "off");
        attempt.set("DATABASES_DEFAULT", database);
        for listener in ["GATEWAY", "LINKS", "ADMIN"] {
            attempt.set(&format!("LISTEN_{listener}"), "127.0.0.1:0");
        }
        attempt.set("SERVICE_PORTS_HOST", "127.0.0.1");
        attempt.set("SERVICE_PORTS_CART", "0");
        attempt
    }

    fn set(&mut self, setting: &str, value: &str) {
        let variable = format!("NAKKU_{setting}");
        self.variables.retain(|(name, _)| *name != variable);
        self.variables.push((variable, value.to_owned()));
    }

    fn with(mut self, setting: &str, value: &str) -> Self {
        self.set(setting, value);
        self
    }

    fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Runs it to its end; it must not take longer than [`PATIENCE`].
    fn run(self) -> (Output, Duration) {
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nakku"));
        command.args(&self.arguments).env_clear().current_dir(&self.folder).envs(self.variables.iter().cloned());
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        while process.try_wait().expect("its state can be read").is_none() {
            if began.elapsed() > PATIENCE {
                let _ = process.kill();
                let output = process.wait_with_output().expect("it has ended");
                panic!("it goes on:\n{}", String::from_utf8_lossy(&output.stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = process.wait_with_output().expect("it has ended");
        std::fs::remove_dir_all(&self.folder).expect("the folder is there");
        (output, began.elapsed())
    }

    /// Its last line, once it has exited with 1.
    fn line(self) -> String {
        let (output, _) = self.run();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("nakku: ")).collect();
        assert_eq!(lines.len(), 1, "one line says what is wrong:\n{said}");
        assert!(said.trim_end().ends_with(lines[0]), "nothing comes behind it:\n{said}");
        assert!(!said.contains("panicked") && !said.contains("hunter2"), "{said}");
        lines[0].to_owned()
    }
}

fn contains(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is missing in: {line}");
    }
}

async fn mariadb() -> &'static str {
    tokio::task::spawn_blocking(servers::mariadb_url).await.expect("MariaDB starts")
}

/// The server's address, for a user and a password.
fn as_user(url: &str, user: &str) -> String {
    url.replace("root@", &format!("{user}@"))
}

async fn execute(url: &str, statements: &[&str]) {
    let pool = sqlx::MySqlPool::connect(url).await.expect("the database answers");
    for statement in statements {
        pool.execute(AssertSqlSafe(*statement)).await.expect(statement);
    }
}

#[tokio::test]
async fn a_wrong_password() {
    let url = as_user(mariadb().await, "nakku:hunter2");
    let line = Attempt::on(&url).line();
    contains(&line, &["mysql://nakku:***@127.0.0.1", "Access denied", "check user and password"]);
}

#[tokio::test]
async fn a_missing_database_that_it_may_not_create() {
    let url = mariadb().await;
    execute(url, &["CREATE USER IF NOT EXISTS 'poor'@'%' IDENTIFIED BY 'hunter2'"]).await;
    let line = Attempt::on(&as_user(url, "poor:hunter2")).line();
    contains(&line, &["Access denied", "nakku_cluster", r"GRANT ALL ON `nakku\_%`.*"]);
}

#[tokio::test]
async fn a_database_that_is_away() {
    let began = Instant::now();
    // Nobody listens on it, since whoever asked the system for it has gone.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let url = format!("mysql://nakku:hunter2@127.0.0.1:{port}");
    let line = tokio::task::spawn_blocking(move || Attempt::on(&url).line()).await.expect("it ends");
    contains(&line, &["is unavailable", "waited 2000 ms", "check the address under databases"]);
    assert!(began.elapsed() > Duration::from_secs(1), "it has waited for the database before it gave up");
}

#[tokio::test]
async fn a_seed_of_a_cluster_that_is_not_there() {
    let folder = std::env::temp_dir().join(format!("nakku-bad-seed-{:016x}", rand::random::<u64>()));
    let url = format!("sqlite:{}/nakku.db", folder.display());
    let attempt = Attempt::on(&url).arguments(&["--seed", "127.0.0.1:1"]);
    let line = tokio::task::spawn_blocking(move || attempt.line()).await.expect("it ends");
    contains(&line, &["holds no cluster to join", "databases.cluster", "127.0.0.1:1"]);
    std::fs::remove_dir_all(folder).expect("it is there");
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let line = Attempt::on("sqlite:nakku.db").with("LISTEN_ADMIN", &address).line();
    contains(&line, &["listen.admin is", &address, "another process listens there", "set listen.admin"]);
}

#[tokio::test]
async fn a_cluster_that_has_moved_on() {
    let folder = std::env::temp_dir().join(format!("nakku-bad-level-{:016x}", rand::random::<u64>()));
    let url = format!("sqlite:{}/nakku.db", folder.display());
    let store = nakku_cluster::store::open(&url).await.expect("an address");
    let cluster: &dyn nakku_cluster::store::ClusterStore = store.as_ref();
    cluster.migrate_cluster().await.expect("its tables are made");
    let view = r#"{"version":1,"cluster":"nakku","feature_level":99,"members":[]}"#;
    assert!(cluster.swap_view(0, view.as_bytes()).await.expect("it answers"));
    let line = Attempt::on(&url).line();
    contains(&line, &["feature level 99", "this version supports", "upgrade it"]);
    std::fs::remove_dir_all(folder).expect("it is there");
}

#[tokio::test]
async fn settings_that_are_not_the_clusters() {
    let folder = std::env::temp_dir().join(format!("nakku-bad-shards-{:016x}", rand::random::<u64>()));
    let url = format!("sqlite:{}/nakku.db", folder.display());
    let store = nakku_cluster::store::open(&url).await.expect("an address");
    let cluster: &dyn nakku_cluster::store::ClusterStore = store.as_ref();
    cluster.migrate_cluster().await.expect("its tables are made");
    let other = nakku_cluster::topology::ServiceTopology::spread(8, ["default-1"]);
    let topology = nakku_cluster::topology::Topology::new("nakku", other);
    cluster.found(&topology.to_json()).await.expect("it is founded");
    let line = Attempt::on(&url).line();
    contains(&line, &["default.shard_count is 32 here", "was founded with 8"]);
    std::fs::remove_dir_all(folder).expect("it is there");
}

/// A file system of 128 KiB, for root only; it goes with the value.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("nakku-tiny-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(&folder).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_full_disk() {
    let Some(disk) = TinyDisk::mount() else {
        eprintln!("not tried: only root may mount a small disk");
        return;
    };
    let line = Attempt::on(&format!("sqlite:{}/nakku.db", disk.0.display())).line();
    contains(&line, &["full", "free some space where the file is"]);
}

#[tokio::test]
async fn tls_of_a_database_that_another_authority_signed() {
    let [url, authority] = tokio::task::spawn_blocking(servers::mariadb_tls).await.expect("MariaDB with TLS starts");
    // It is found to be right with its own authority.
    let migrate = |url: &str| {
        let mut attempt = Attempt::on(url);
        attempt.arguments = vec!["migrate".to_owned(), "--json".to_owned()];
        attempt
    };
    let (output, _) = migrate(&url).run();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = std::env::temp_dir().join(format!("nakku-bad-ca-{:016x}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let other = folder.join("other.pem");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(Vec::new()).and_then(|one| one.self_signed(&key));
    std::fs::write(&other, certificate.expect("a certificate").pem()).expect("it is written");
    let wrong = url.replace(&authority, &other.display().to_string());
    contains(&Attempt::on(&wrong).line(), &["certificate", "check ssl-ca and ssl-mode in the address"]);
    let plain = url.split('?').next().expect("an address").to_owned() + "?ssl-mode=disabled";
    contains(&Attempt::on(&plain).line(), &["refused", "127.0.0.1"]);
    std::fs::remove_dir_all(folder).expect("it is there");
}
