//! Answers of the admin API are as its document says: each that a test gets is held against it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;

const URL: &str = "http://127.0.0.1/openapi.json";

static DOCUMENT: LazyLock<Value> = LazyLock::new(nakku_gateway::admin::openapi::document);

thread_local! {
    static COMPILED: RefCell<(Compiler, Schemas)> = RefCell::new({
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.add_resource(URL, DOCUMENT.clone()).expect("the document is JSON");
        (compiler, Schemas::new())
    });
}

/// Panics unless the answer of a route of the admin API has a form that the document gives it.
pub fn hold(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, body: &Value) {
    if !path.starts_with("/admin/v1/") {
        return;
    }
    let Some(template) = template(path, method) else {
        // Who asks for what is not there may not be let in either.
        assert!(status.is_client_error(), "{method} {path} is not in the document and answers {status}");
        return;
    };
    let method = method.as_str().to_lowercase();
    let responses = &DOCUMENT["paths"][&template][&method]["responses"];
    let named = if responses[status.as_str()].is_object() { status.as_str() } else { "default" };
    let told = format!("{method} {template}: {status}");
    assert!(responses[named].is_object(), "{told} is not in the document");
    assert!(named != "default" || !status.is_success(), "{told} is not in the document");
    let Some(content) = responses[named].get("content").and_then(Value::as_object) else {
        assert_eq!(*body, Value::String(String::new()), "{told} has a body");
        return;
    };
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    assert!(content.contains_key(kind), "{told} comes as {kind:?}, not as one of {:?}", content.keys());
    if !kind.ends_with("json") {
        return;
    }
    let escape = |text: &str| text.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
    let pointer = format!("/paths/{}/{method}/responses/{named}/content/{}/schema", escape(&template), escape(kind));
    let schema = &content[kind]["schema"];
    assert!(schema.is_object(), "{told} has no schema");
    COMPILED.with_borrow_mut(|(compiler, schemas)| {
        let index: Result<SchemaIndex, _> = compiler.compile(&format!("{URL}#{pointer}"), schemas);
        let index = index.unwrap_or_else(|error| panic!("{told}: {error:#}"));
        if let Err(error) = schemas.validate(body, index) {
            panic!("{told}: {error:#} in {body}");
        }
    });
    // Problems have members of their own.
    if named != "default" {
        assert_eq!(undeclared(schema, body, ""), None, "{told} says more than the document: {body}");
    }
}

/// The path in the document; of several that fit, the one with the fewest parameters.
fn template(path: &str, method: &Method) -> Option<String> {
    let steps: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == steps.len() && wanted.iter().zip(&steps).all(|(one, step)| one.starts_with('{') || one == step)
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let methods = |template: &&String| paths[*template].get(method.as_str().to_lowercase()).is_some();
    paths.keys().filter(fits).filter(methods).min_by_key(|template| template.matches('{').count()).cloned()
}

fn resolved(schema: &Value) -> &Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.strip_prefix('#').expect("local")).expect("it leads somewhere"),
        None => schema,
    }
}

/// Members that a schema declares, and whether it declares any.
fn declared<'a>(schema: &'a Value, into: &mut Vec<(&'a String, &'a Value)>) {
    let schema = resolved(schema);
    into.extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten());
    for all in ["allOf", "oneOf", "anyOf"] {
        for one in schema.get(all).and_then(Value::as_array).into_iter().flatten() {
            declared(one, into);
        }
    }
}

/// Where the data says more than its schema.
fn undeclared(schema: &Value, data: &Value, at: &str) -> Option<String> {
    match data {
        Value::Object(members) => {
            let mut known = Vec::new();
            declared(schema, &mut known);
            if known.is_empty() {
                // A schema that names no members takes any.
                return None;
            }
            members.iter().find_map(|(name, member)| match known.iter().find(|(one, _)| *one == name) {
                Some((_, schema)) => undeclared(schema, member, &format!("{at}/{name}")),
                None => Some(format!("{at}/{name}")),
            })
        }
        Value::Array(items) => {
            let of = resolved(schema).get("items")?;
            items.iter().find_map(|item| undeclared(of, item, &format!("{at}[]")))
        }
        _ => None,
    }
}

/// Routes of the document that ask for a reason: `METHOD path`.
pub fn wanting_reasons() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    let wants = |operation: &Value| {
        let mut known = Vec::new();
        declared(&operation["requestBody"]["content"]["application/json"]["schema"], &mut known);
        known.iter().any(|(name, _)| *name == "reason")
    };
    operations.filter(|(_, operation)| wants(operation)).map(|(name, _)| name).collect()
}

/// Routes of the document that change something: `METHOD path`.
pub fn changing() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").iter();
    let named = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.filter(|method| *method != "get").map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    named.collect()
}

/// `METHOD path` of all that is registered below a folder, from its source.
fn registered(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeSet::new();
    for file in files {
        if file.is_dir() {
            found.extend(registered(&file));
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            found.extend(registered_in(&std::fs::read_to_string(&file).unwrap()));
        }
    }
    found
}

fn registered_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in source.split(".route(").skip(1) {
        let mut depth = 1;
        let end = call.find(|character| {
            depth += match character {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        let call = &call[..end.unwrap_or(call.len())];
        let path = match call.trim_start().strip_prefix('"') {
            Some(text) => text.split('"').next().unwrap(),
            None if call.starts_with("PATH,") => "/admin/v1/session",
            // The console's files.
            None => continue,
        };
        for method in ["get", "post", "put", "patch", "delete"] {
            if call.contains(&format!(" {method}(")) || call.contains(&format!(".{method}(")) {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let registered = registered(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/admin"));
    assert!(registered.len() > 40 && registered.contains("delete /admin/v1/session"), "{registered:#?}");
    let document = &*DOCUMENT;
    let paths = document["paths"].as_object().unwrap().iter();
    let documented: BTreeSet<String> = paths
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    let missing: Vec<_> = registered.difference(&documented).collect();
    let too_many: Vec<_> = documented.difference(&registered).collect();
    assert!(missing.is_empty() && too_many.is_empty(), "missing: {missing:#?}, not there: {too_many:#?}");
}

#[test]
fn it_is_openapi_3_1_with_both_ways_to_be_let_in() {
    let document = &*DOCUMENT;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["components"]["securitySchemes"]["session"]["name"], "nakku_admin");
}

#[test]
fn every_reference_of_both_documents_leads_somewhere() {
    for (name, document) in [("admin", &*DOCUMENT), ("public", &nakku_gateway::openapi::document())] {
        let references = references(document);
        assert!(references.len() > 10, "the {name} document refers to its schemas: {references:?}");
        let lost: Vec<_> = references.iter().filter(|one| !leads_somewhere(document, one)).collect();
        assert!(lost.is_empty(), "references of the {name} document lead nowhere: {lost:?}");
    }
    let broken = serde_json::json!({ "a": [{ "$ref": "#/b" }, { "$ref": "elsewhere#/a" }, { "$ref": "#/a/0" }] });
    let lost = references(&broken).into_iter().filter(|one| !leads_somewhere(&broken, one));
    assert_eq!(lost.collect::<Vec<_>>(), ["#/b", "elsewhere#/a"]);
}

fn leads_somewhere(document: &Value, reference: &str) -> bool {
    reference.strip_prefix('#').is_some_and(|pointer| document.pointer(pointer).is_some())
}

/// All that a document refers to.
fn references(document: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

#[test]
fn whatever_changes_something_says_what_it_answers_and_has_a_summary() {
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}: {answers:?}");
            assert!(path == "/admin/v1/openapi.json" || answers.contains_key("default"), "{method} {path}");
        }
    }
}
