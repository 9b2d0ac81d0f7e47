//! The web console in a real browser, on a real cluster of three processes: every view is opened, an entity is
//! passivated, a shard is moved, a node is killed and seen to go. Pictures are kept under `target/console`.
//!
//! - `browser`: a headless Chromium
//! - `support`, `dev`: the cluster

mod browser;
mod dev;
#[path = "../support/dev.rs"]
#[allow(dead_code, reason = "made for all tests that look at such a cluster")]
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use self::browser::{Browser, PATIENCE};
use self::dev::Dev;

/// An account of the demo shop.
const ADMIN: (&str, &str) = ("admin@nakku.example", "nakku-demo");
/// Name and what is there once it shows something.
const VIEWS: [(&str, &str); 13] = [
    ("overview", ".box .cell"),
    ("nodes", "td [aria-label^='Drain']"),
    ("shards", "td [aria-label^='Move']"),
    ("types", "tbody tr"),
    ("top", "tbody tr, .empty"),
    ("entity", "input[name=kind]"),
    ("tail", "tbody tr"),
    ("trace", "input[name=trace]"),
    ("infrastructure", "td .badge.good"),
    ("tree", ".branch"),
    ("moves", "tbody tr"),
    ("graphs", "path.line[d^=M]"),
    ("letters", "tbody tr, .empty"),
];
/// Widths of a desk's screen and of a phone's.
const SIZES: [(&str, u32, u32); 2] = [("1280", 1280, 860), ("390", 390, 844)];
/// How often an entity is passivated until it is seen so.
const PASSIVATIONS_MAX: usize = 5;
/// How long that may take each time.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_view_shows_a_living_cluster_and_what_is_done_is_seen() {
    let mut dev = Dev::start().await;
    let mut browser = Browser::start().await;
    let console = format!("{}/console", dev.admin());
    browser.look_like(1280, 860, "light").await;
    browser.open(&console).await;
    log_in(&mut browser).await;

    for (name, shows) in VIEWS {
        dev.order();
        browser.evaluate(&format!("location.hash = '#/{name}'")).await;
        browser.until(name, &format!("document.querySelector('.view.{name}')?.querySelector({})", json!(shows))).await;
        for colours in ["light", "dark"] {
            for (size, width, height) in SIZES {
                browser.look_like(width, height, colours).await;
                // The console redraws graphs and trees by itself; the next frame has the new size.
                browser.evaluate("new Promise(requestAnimationFrame)").await;
                let spills = browser.evaluate("document.documentElement.scrollWidth - innerWidth").await;
                assert!(spills.as_i64().unwrap_or(0) <= 0, "{name} is {spills} px wider than {width}");
                browser.keep_picture(&picture(&format!("{name}-{size}-{colours}"))).await;
            }
        }
        browser.look_like(1280, 860, "light").await;
    }
    nameless_controls(&mut browser).await;

    browser.evaluate("document.activeElement.blur()").await;
    browser.press("?").await;
    browser.until("help opens by its key", "document.querySelector('dialog[open] kbd')").await;
    browser.evaluate("document.querySelector('dialog').close()").await;
    browser.until("help is closed", "!document.querySelector('dialog')").await;
    browser.press("o").await;
    browser.until("a key opens a view", "document.querySelector('.view.overview .box')").await;

    dialogs(&mut browser).await;
    follow_a_trace(&mut dev, &mut browser).await;
    passivate_idle(&mut browser).await;
    profile(&dev, &mut browser).await;
    passivate(&mut dev, &mut browser).await;
    move_shard(&mut browser).await;
    kill(&dev, &mut browser).await;

    let elsewhere: Vec<&String> = browser.asked.iter().filter(|url| !url.starts_with(&dev.admin())).collect();
    assert!(elsewhere.iter().all(|url| *url == "about:blank"), "asked elsewhere: {elsewhere:?}");
    assert!(browser.complaints.is_empty(), "the browser complained: {:#?}", browser.complaints);
    go_stale_and_recover(&mut browser).await;
    log_out(&mut browser).await;
}

async fn log_in(browser: &mut Browser) {
    browser.until("the form is there", "document.querySelector('.log-in input[name=email]')").await;
    browser.keep_picture(&picture("log-in")).await;
    browser
        .evaluate(&format!(
            "(() => {{ const form = document.querySelector('.log-in form');
               form.elements.email.value = {}; form.elements.password.value = {}; form.requestSubmit(); }})()",
            json!(ADMIN.0),
            json!(ADMIN.1)
        ))
        .await;
    browser
        .until(
            "somebody is logged in",
            &format!("document.querySelector('#operator').textContent === {}", json!(ADMIN.0)),
        )
        .await;
    let hidden = browser.evaluate("document.cookie").await;
    assert_eq!(hidden, "", "scripts don't see the cookie");
}

/// What asks for something fits every screen, and Escape leaves it.
async fn dialogs(browser: &mut Browser) {
    for (view, button, name) in [
        ("nodes", "[aria-label='Log levels of node-1']", "log-levels"),
        ("nodes", "[aria-label='Profile node-1']", "profile"),
        ("nodes", "[aria-label='Drain node-1']", "drain"),
        ("shards", "[aria-label^=Move]", "move"),
        ("types", ".choices button", "passivate-idle"),
    ] {
        browser.evaluate(&format!("location.hash = '#/{view}'")).await;
        let button = format!("document.querySelector(\".view.{view} {button}\")");
        browser.until("there is something to press", &button).await;
        browser.evaluate(&format!("{button}.click()")).await;
        browser.until("it asks", "document.querySelector('dialog[open] input')").await;
        for colours in ["light", "dark"] {
            for (size, width, height) in SIZES {
                browser.look_like(width, height, colours).await;
                browser.evaluate("new Promise(requestAnimationFrame)").await;
                let fits = "(() => { const { left, right, top, bottom } = document.querySelector('dialog').getBoundingClientRect();
                    return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight; })()";
                assert_eq!(browser.evaluate(fits).await, true, "{name} does not fit {width} x {height}");
                browser.keep_picture(&picture(&format!("dialog-{name}-{size}-{colours}"))).await;
            }
        }
        browser.look_like(1280, 860, "light").await;
        browser.press("Escape").await;
        browser.until("it is left", "!document.querySelector('dialog')").await;
    }
}

/// It is told how many would go before they go.
async fn passivate_idle(browser: &mut Browser) {
    browser.evaluate("location.hash = '#/types?kind=product.product'").await;
    let button = "document.querySelector('.view.types .choices button')";
    browser.until("there is something to press", button).await;
    browser.evaluate(&format!("{button}.click()")).await;
    browser.until("it asks for how long", "document.querySelector('dialog[open] input[name=idle_s]')").await;
    browser
        .evaluate(
            "(() => { const form = document.querySelector('dialog form'); form.elements.idle_s.value = '0';
               form.requestSubmit(form.querySelector('.strong')); })()",
        )
        .await;
    let told = "document.querySelector('dialog')?.textContent.includes('of product.product match right now.')";
    browser.until("they are counted", told).await;
    give_reason(browser, "").await;
    let done = "document.querySelector('#notices').textContent.includes('entities leave the memory.')";
    browser.until("it is said how many went", done).await;
}

/// Fills in the dialog that is open, and confirms it.
async fn give_reason(browser: &mut Browser, choose: &str) {
    browser.until("a reason is asked for", "document.querySelector('dialog[open] input[name=reason]')").await;
    browser.keep_picture(&picture("reason")).await;
    let fill = "(() => { const form = document.querySelector('dialog form'); form.elements.reason.value = 'a test of the console';";
    browser.evaluate(&format!("{fill} {choose}; form.requestSubmit(form.querySelector('.strong')); }})()")).await;
    browser.until("it is closed", "!document.querySelector('dialog')").await;
}

/// From a command to the path of its request.
async fn follow_a_trace(dev: &mut Dev, browser: &mut Browser) {
    browser.evaluate("location.hash = '#/tail?kind=order.order'").await;
    dev.order();
    // Of a command that changes something: a reading one has no commit.
    let place = "[...document.querySelectorAll('.view.tail tbody tr')].find(row => [...row.cells].some(cell => cell.textContent.trim() === 'place'))";
    let link = &format!("{place}?.querySelector('a[href^=\"#/trace/\"]')");
    browser.until("a command has a trace", link).await;
    browser.evaluate(&format!("{link}.click()")).await;
    let shows = |what: &str| format!("document.querySelector('.view.trace tr[data-what={what}]')");
    for what in ["request", "decide", "commit"] {
        browser.until(&format!("the path has a {what}"), &shows(what)).await;
    }
    for colours in ["light", "dark"] {
        for (size, width, height) in SIZES {
            browser.look_like(width, height, colours).await;
            browser.evaluate("new Promise(requestAnimationFrame)").await;
            let spills = browser.evaluate("document.documentElement.scrollWidth - innerWidth").await;
            assert!(spills.as_i64().unwrap_or(0) <= 0, "a path is {spills} px wider than {width}");
            browser.keep_picture(&picture(&format!("one-trace-{size}-{colours}"))).await;
        }
    }
    browser.look_like(1280, 860, "light").await;
}

/// A flame graph comes as a file, of another node than the one that is asked.
async fn profile(dev: &Dev, browser: &mut Browser) {
    let folder = dev.folder().join("downloads");
    std::fs::create_dir_all(&folder).expect("a folder for files");
    browser.call("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": folder })).await;
    browser.evaluate("location.hash = '#/nodes'").await;
    let button = "document.querySelector('td [aria-label=\"Profile node-2\"]')";
    browser.until("a node can be profiled", button).await;
    browser.evaluate(&format!("{button}.click()")).await;
    // Not even a node of which nobody wants anything rests for so long.
    give_reason(browser, "form.elements.seconds.value = '5'").await;
    let notices = "document.querySelector('#notices').textContent";
    browser.until("it is there", &format!("{notices}.includes('The profile of node-2 is there.')")).await;
    let file = folder.join("node-2.svg");
    let begun = Instant::now();
    loop {
        let picture = std::fs::read_to_string(&file).unwrap_or_default();
        if picture.trim_end().ends_with("</svg>") {
            assert!(picture.contains("<title>"), "frames have names");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no picture in {}", file.display());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn passivate(dev: &mut Dev, browser: &mut Browser) {
    let user = dev.customer().await;
    browser.evaluate(&format!("location.hash = '#/entity/user.user/{user}'")).await;
    let presence = |what: &str| format!("document.querySelector('.facts-list .badge')?.textContent === '{what}'");
    browser.until("it is loaded", &presence("loaded")).await;
    browser.until("its history is shown", "document.querySelector('.history li')").await;
    let shown = browser.evaluate("document.body.innerText").await;
    assert!(!shown.as_str().unwrap().contains("Asha Rao"), "personal data is masked");
    browser.evaluate("document.querySelector('.history li summary').click()").await;
    for (size, width, height) in SIZES {
        browser.look_like(width, height, "light").await;
        browser.keep_picture(&picture(&format!("one-entity-{size}"))).await;
    }
    browser.look_like(1280, 860, "light").await;
    browser.evaluate("document.querySelector('.masked-note button').click()").await;
    give_reason(browser, "").await;
    browser.until("it is shown for a reason", "document.body.innerText.includes('Asha Rao')").await;
    // Whoever notifies the customer may ask it again at any moment, so that it is there before the page has looked.
    for _ in 0..PASSIVATIONS_MAX {
        browser.evaluate("document.querySelector('[data-act=passivate]').click()").await;
        give_reason(browser, "").await;
        if browser.becomes(&presence("passivated"), SEEN_WITHIN).await {
            return;
        }
    }
    panic!("it is passivated {PASSIVATIONS_MAX} times and always there again");
}

async fn move_shard(browser: &mut Browser) {
    browser.evaluate("location.hash = '#/shards?service=cart'").await;
    let row = "document.querySelector('tr[data-key=\"cart/0\"]')";
    browser.until("the shard is listed", row).await;
    let from = browser.evaluate(&format!("{row}.querySelector('[data-name=Node]').textContent")).await;
    browser.evaluate(&format!("{row}.querySelector('[aria-label^=Move]').click()")).await;
    browser.until("nodes can be chosen", "document.querySelector('dialog select option')").await;
    let to = browser.evaluate("document.querySelector('dialog select').value").await;
    assert_ne!(from, to);
    give_reason(browser, "").await;
    let there = format!("{row}?.querySelector('[data-name=Node]').textContent === {to}");
    browser.until("it has moved", &there).await;
    browser.keep_picture(&picture("moved")).await;
    browser.evaluate("location.hash = '#/overview'").await;
    let cell = format!("document.querySelector('[data-node={to}] [data-key=\"cart/0\"].pinned')");
    browser.until("the picture has it there", &cell).await;
}

/// The next thing to happen to the cluster is seen without a request of the reader's.
async fn kill(dev: &Dev, browser: &mut Browser) {
    browser.until("three nodes are shown", "document.querySelectorAll('.box:not(.silent)').length === 3").await;
    dev.kill("node-3");
    browser
        .until("it is seen to be silent or gone", "!document.querySelector('.box[data-node=node-3]:not(.silent)')")
        .await;
    browser.keep_picture(&picture("killed")).await;
    let gone = "!document.querySelector('.box[data-node=node-3]') && !document.querySelector('.cell[data-key].lost')";
    browser.until("the others have its shards", gone).await;
    browser.until("it is live", "document.querySelector('#freshness').textContent === 'Live'").await;
    browser.keep_picture(&picture("gone")).await;
}

/// What is shown is called old when nothing comes any more, until something does.
async fn go_stale_and_recover(browser: &mut Browser) {
    let network =
        |offline| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.call("Network.emulateNetworkConditions", network(true)).await;
    // Streams that are open stay so.
    browser.evaluate("location.hash = '#/nodes'").await;
    let stale = "document.querySelector('#freshness').textContent.startsWith('Stale since')";
    browser.until("it says that it is stale", stale).await;
    browser.keep_picture(&picture("stale")).await;
    browser.call("Network.emulateNetworkConditions", network(false)).await;
    browser.until("it is live again", "document.querySelector('#freshness').textContent === 'Live'").await;
}

async fn log_out(browser: &mut Browser) {
    browser.evaluate("document.querySelector('#log-out').click()").await;
    browser.until("the form is back", "document.querySelector('.log-in input[name=email]')").await;
    let who = browser.evaluate("fetch('/admin/v1/session').then((answer) => answer.json())").await;
    assert_eq!(who["operator"], serde_json::Value::Null);
}

/// What can be pressed or filled in has a name for those who don't see it.
async fn nameless_controls(browser: &mut Browser) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({})).await;
    let controls = ["button", "link", "textbox", "combobox"];
    for node in tree["nodes"].as_array().expect("nodes") {
        if node["ignored"] == false && controls.iter().any(|role| node["role"]["value"] == *role) {
            assert_ne!(node["name"]["value"], "", "a control without a name: {node}");
        }
    }
}

fn picture(name: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.parent().expect("the target folder").join("console").join(format!("{name}.png"))
}
