//! `/console`: the cluster as a page, from this program alone. Everything that it shows comes from `/admin/v1`.
//!
//! - `page.html`, `page.css`, `views.css`: the frame and how all of it looks
//! - `main.js`: which view is shown, keys, who is logged in
//! - `api.js`: requests and streams
//! - `dom.js`, `format.js`, `dialog.js`, `table.js`, `value.js`: what views are made of
//! - a file for each view

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Nothing from elsewhere, nothing written into the page, and no frames.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/console", HTML, include_str!("page.html")),
    ("/console/page.css", CSS, include_str!("page.css")),
    ("/console/views.css", CSS, include_str!("views.css")),
    ("/console/icon.svg", IMAGE, include_str!("icon.svg")),
    ("/console/main.js", SCRIPT, include_str!("main.js")),
    ("/console/api.js", SCRIPT, include_str!("api.js")),
    ("/console/dom.js", SCRIPT, include_str!("dom.js")),
    ("/console/format.js", SCRIPT, include_str!("format.js")),
    ("/console/dialog.js", SCRIPT, include_str!("dialog.js")),
    ("/console/table.js", SCRIPT, include_str!("table.js")),
    ("/console/value.js", SCRIPT, include_str!("value.js")),
    ("/console/overview.js", SCRIPT, include_str!("overview.js")),
    ("/console/nodes.js", SCRIPT, include_str!("nodes.js")),
    ("/console/shards.js", SCRIPT, include_str!("shards.js")),
    ("/console/types.js", SCRIPT, include_str!("types.js")),
    ("/console/top.js", SCRIPT, include_str!("top.js")),
    ("/console/entity.js", SCRIPT, include_str!("entity.js")),
    ("/console/history.js", SCRIPT, include_str!("history.js")),
    ("/console/tail.js", SCRIPT, include_str!("tail.js")),
    ("/console/trace.js", SCRIPT, include_str!("trace.js")),
    ("/console/infrastructure.js", SCRIPT, include_str!("infrastructure.js")),
    ("/console/tree.js", SCRIPT, include_str!("tree.js")),
    ("/console/moves.js", SCRIPT, include_str!("moves.js")),
    ("/console/graphs.js", SCRIPT, include_str!("graphs.js")),
    ("/console/letters.js", SCRIPT, include_str!("letters.js")),
];

/// Its routes.
pub(crate) fn routes() -> Router {
    FILES.iter().fold(Router::new(), |routes, (path, kind, content)| {
        routes.route(path, get(move || async move { file(kind, content) }))
    })
}

/// Whether one of its files has this path.
pub(crate) fn holds(path: &str) -> bool {
    FILES.iter().any(|(known, _, _)| *known == path)
}

fn file(kind: &'static str, content: &'static str) -> Response {
    // A node of another version may answer next, so nothing is kept.
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_refer_to_files_that_are_here_and_to_nothing_elsewhere() {
        for (path, _, content) in FILES {
            for elsewhere in ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("] {
                let without_namespace = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!without_namespace.contains(elsewhere), "{path} has {elsewhere}");
            }
            for import in content.lines().filter_map(|line| line.strip_prefix("import ")?.split('"').nth(1)) {
                let file = format!("/console/{}", import.trim_start_matches("./"));
                assert!(holds(&file), "{path} imports {import}");
            }
            assert!(content.lines().count() <= 500, "{path} is long");
        }
    }
}
