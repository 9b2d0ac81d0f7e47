//! Log lines as JSON: one object a line, everything at its top.
//!
//! Every line has `timestamp`, `level`, `target` and `message`; beside them stand its own fields and those of the spans
//! around it, where the innermost that has one counts: a line that belongs to a request has its `trace_id`, `span_id` and
//! `request_id`. A field that has the name of one of the first four is told as `field.NAME`.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let message = fields.0.remove("message").unwrap_or_default();
        let mut line = Map::from_iter([
            ("timestamp".to_owned(), Value::from(timestamp)),
            ("level".to_owned(), metadata.level().as_str().into()),
            ("target".to_owned(), metadata.target().into()),
            ("message".to_owned(), message),
        ]);
        fields.0.into_iter().for_each(|(name, value)| add(&mut line, name, value));
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(noted) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            if let Ok(Value::Object(noted)) = serde_json::from_str(noted) {
                // The inner span stands for the outer one where both say the same.
                let new = noted.into_iter().filter(|(name, _)| !line.contains_key(name)).collect::<Vec<_>>();
                line.extend(new);
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn add(line: &mut Map<String, Value>, name: String, value: Value) {
    let name = if line.contains_key(&name) { format!("field.{name}") } else { name };
    line.insert(name, value);
}

/// The fields of one line.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn note(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}"));
    }
}
