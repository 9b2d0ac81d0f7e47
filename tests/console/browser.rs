//! A headless Chromium, driven over its DevTools protocol: as much of it as these tests need.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Five times what the slowest step takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the page.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A browser with one page.
pub struct Browser {
    process: Child,
    folder: PathBuf,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// What the page complained about: errors in its console, exceptions, requests that failed.
    pub complaints: Vec<String>,
    /// Every address that it asked for something.
    pub asked: Vec<String>,
}

impl Browser {
    /// Starts it; a missing Chromium fails the test.
    pub async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-chromium-{:016x}", rand::random::<u64>()));
        let mut process = Command::new(std::env::var("NAKKU_TEST_CHROMIUM").unwrap_or_else(|_| "chromium".into()))
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", folder.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium starts; bash deploy/servers/run install installs it");
        let mut said = BufReader::new(process.stderr.take().expect("its standard error")).lines();
        let line = said.by_ref().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("DevTools listening on ws://").map(|rest| rest.split('/').next().unwrap_or("").to_owned())
        });
        let address = line.expect("chromium says where it listens");
        // It must not block on a full pipe.
        std::thread::spawn(move || said.for_each(drop));
        let targets: Value = reqwest::get(format!("http://{address}/json/list")).await.unwrap().json().await.unwrap();
        let page = targets.as_array().unwrap().iter().find(|target| target["type"] == "page").expect("a page");
        let (socket, _) = connect_async(page["webSocketDebuggerUrl"].as_str().unwrap()).await.expect("a connection");
        let mut browser = Self { process, folder, socket, last_id: 0, complaints: Vec::new(), asked: Vec::new() };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Calls a method and waits for its answer; events that come meanwhile are noted.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({ "id": id, "method": method, "params": parameters }).to_string();
        self.socket.send(Message::text(message)).await.expect("chromium listens");
        let answer = tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.socket.next().await.expect("chromium lives").expect("a message");
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["id"] == id {
                    return message;
                }
                self.note(&message);
            }
        });
        let answer = answer.await.unwrap_or_else(|_| panic!("no answer to {method}"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    fn note(&mut self, event: &Value) {
        let of = &event["params"];
        let complaint = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => Some(of["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if of["type"] == "error" || of["type"] == "warning" => {
                Some(of["args"].to_string())
            }
            "Log.entryAdded" if of["entry"]["level"] == "error" => Some(of["entry"].to_string()),
            _ => None,
        };
        self.complaints.extend(complaint);
        if event["method"] == "Network.requestWillBeSent" {
            self.asked.extend(of["request"]["url"].as_str().map(str::to_owned));
        }
    }

    /// What an expression of the page comes to; promises are waited for.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Whether an expression of the page becomes true within a time.
    pub async fn becomes(&mut self, expression: &str, within: Duration) -> bool {
        let begun = Instant::now();
        while self.evaluate(&format!("Boolean({expression})")).await != true {
            if begun.elapsed() > within {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Waits until an expression of the page is true.
    pub async fn until(&mut self, what: &str, expression: &str) {
        if !self.becomes(expression, PATIENCE).await {
            let text = self.evaluate("document.body.innerText").await;
            panic!("{what}: not within {PATIENCE:?}; the page says:\n{}", text.as_str().unwrap_or_default());
        }
    }

    /// How large the window is and which colours are preferred.
    pub async fn look_like(&mut self, width: u32, height: u32, colours: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Opens an address and waits until it is loaded.
    pub async fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address })).await;
        self.until("the page is loaded", "document.readyState === 'complete'").await;
    }

    /// Presses a key with a text.
    pub async fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        // What the browser itself does about a key goes by its code.
        let code = if key == "Escape" { 27 } else { 0 };
        let event = |what: &str| json!({ "type": what, "key": key, "windowsVirtualKeyCode": code });
        let mut down = event("keyDown");
        down["text"] = text.into();
        self.call("Input.dispatchKeyEvent", down).await;
        self.call("Input.dispatchKeyEvent", event("keyUp")).await;
    }

    /// Keeps a picture of what is seen.
    pub async fn keep_picture(&mut self, file: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let picture = BASE64_STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base 64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for pictures");
        std::fs::write(file, picture).expect("the picture is kept");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
