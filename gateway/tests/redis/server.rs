//! Redis servers that a test starts, harms and ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nakku_gateway::{RedisSettings, Secret, SharedSettings};

/// Five times what the slowest wait here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What `nakku` and everybody else may do on a Redis of production, `PASSWORD` standing for the password. Here keys of
/// tests take the place of those of a cluster called `nakku`.
const USERS: &str = include_str!("../../../deploy/servers/redis.acl");
/// Of all users here.
pub const PASSWORD: &str = "of-one-test-only";
/// Has a server know its users.
const PROTECTED: &[&str] = &["--aclfile", "FOLDER/users.acl"];
/// How the test itself is let in, which may do everything.
const ADMIN: &[&str] = &["--user", "admin", "-a", PASSWORD, "--no-auth-warning"];

/// One server on a free port of the loopback, without persistence. Ends with the value.
#[derive(Debug)]
pub struct Server {
    process: Option<Child>,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    /// What `redis-cli` needs to be let in.
    login: Vec<String>,
}

/// Three masters that share the slots, without replicas.
#[derive(Debug)]
pub struct Servers {
    pub masters: Vec<Server>,
}

impl Server {
    /// A plain one.
    pub async fn start() -> Self {
        Self::with(&[], &[]).await
    }

    /// One on which only the user `nakku` may do what gateways do, and nobody more than that.
    pub async fn protected() -> Self {
        Self::with(PROTECTED, ADMIN).await
    }

    /// One with further arguments; `PORT` and `FOLDER` stand for its own.
    pub async fn with(arguments: &[&str], login: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("nakku-redis-{port}-{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(&folder).expect("a folder for the server");
        let users = USERS.replace("~nakku:*", "~test-*").replace("PASSWORD", PASSWORD);
        let users = format!("{users}user admin on >{PASSWORD} ~* &* +@all\n");
        std::fs::write(folder.join("users.acl"), users).expect("the folder takes a file");
        let own =
            |text: &&str| text.replace("PORT", &port.to_string()).replace("FOLDER", &folder.display().to_string());
        let mut server = Self {
            process: None,
            port,
            arguments: arguments.iter().map(own).collect(),
            login: login.iter().map(own).collect(),
            folder: folder.clone(),
        };
        server.restart().await;
        server
    }

    /// Starts it, or starts it again with nothing in it.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--dir").arg(&self.folder);
        if !self.arguments.iter().any(|argument| argument == "--port") {
            command.arg("--port").arg(self.port.to_string());
        }
        let process = command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.expect("redis-server is installed"));
        eventually("the server answers", async || self.ask(&["PING"]) == "PONG").await;
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What it answers to a command.
    pub fn ask(&self, command: &[&str]) -> String {
        let mut ask = Command::new("redis-cli");
        ask.arg("-p").arg(self.port.to_string()).args(&self.login).args(command);
        let output = ask.stderr(Stdio::null()).output().expect("redis-cli is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the server can be killed");
            process.wait().expect("the server has ended");
        }
    }

    /// Holds it, so that it takes connections and says nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().expect("kill is there").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Servers {
    /// Starts three and makes them one cluster, which goes on without a master as far as its slots are not needed.
    pub async fn start() -> Self {
        Self::with(&[], &[]).await
    }

    /// The same with users as in [`Server::protected`].
    pub async fn protected() -> Self {
        Self::with(PROTECTED, ADMIN).await
    }

    async fn with(further: &[&str], login: &[&str]) -> Self {
        let arguments = [
            "--cluster-enabled",
            "yes",
            "--cluster-config-file",
            "FOLDER/nodes.conf",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
        ];
        let arguments = [&arguments, further].concat();
        let mut masters = Vec::new();
        for _ in 0..3 {
            masters.push(Server::with(&arguments, login).await);
        }
        let addresses: Vec<String> = masters.iter().map(|master| format!("127.0.0.1:{}", master.port)).collect();
        let mut create = Command::new("redis-cli");
        create.args(login).args(["--cluster", "create"]).args(&addresses).args([
            "--cluster-replicas",
            "0",
            "--cluster-yes",
        ]);
        let created = create.output().expect("redis-cli is installed");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let servers = Self { masters };
        servers.whole().await;
        servers
    }

    /// Waits until every master knows every slot served.
    pub async fn whole(&self) {
        let is_whole = |master: &Server| {
            let info = master.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
        };
        eventually("the cluster is whole", async || self.masters.iter().all(is_whole)).await;
    }

    /// Where they are.
    pub fn urls(&self) -> Vec<String> {
        self.masters.iter().map(Server::url).collect()
    }
}

/// The same, let in as `nakku` on servers that know their users.
pub fn settings_of_nakku(urls: Vec<String>) -> SharedSettings {
    let named = |url: String| url.replace("redis://", "redis://nakku@");
    let mut settings = settings(urls.into_iter().map(named).collect());
    if let Some(redis) = &mut settings.redis {
        redis.password = Some(Secret::new(PASSWORD));
    }
    settings
}

/// What a gateway shares on these servers, under a prefix that no other test has. The deadline is that of a machine
/// on which much runs at once.
pub fn settings(urls: Vec<String>) -> SharedSettings {
    let prefix = format!("test-{:016x}", rand::random::<u64>());
    let redis = RedisSettings { prefix, deadline: Duration::from_secs(2), ..RedisSettings::new(urls) };
    SharedSettings { redis: Some(redis), ..SharedSettings::default() }
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Of the ports below those that the kernel hands out, one that is free and whose partner for a cluster's bus is too.
fn free_port() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let candidates = (0..1_000).map(|_| rand::random_range(12_000..22_000));
    let mut free = candidates.filter(|port: &u16| is_free(*port) && is_free(port + 10_000));
    free.next().expect("a free port")
}
