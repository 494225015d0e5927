//! Log lines: text for people, one JSON object a line for programs, always on the standard error output.
//!
//! What a line is about comes from the spans that it stands in: the transport opens one span a request with
//! `request_id`, `tenant` and `operation`, a job one with `job` and `tenant`. The JSON form lays the fields of all
//! enclosing spans flat beside those of the event (the innermost wins), so that `tenant = "…"` finds every line of a
//! tenant, whatever module wrote it.
//!
//! Rules: a line reads alone; an error is logged once, where it is turned into an answer; no personal data, no
//! tokens, no bodies: ids name records and people.

use std::{fmt, io, io::IsTerminal};

use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::config::{LogFormat, Logging};

/// Starts logging for the whole process, panics included. Call it once, first thing.
///
/// # Errors
/// When the filter is not one, or logging was started before.
pub fn init(logging: &Logging) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::builder().parse(&logging.filter)?;
    tracing::subscriber::set_global_default(subscriber(logging.format, filter, io::stderr))?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%location, reason = panic.payload_as_str().unwrap_or_default(), %backtrace, "panic");
    }));
    Ok(())
}

fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            Box::new(builder.with_ansi(colours).finish())
        }
        LogFormat::Json => Box::new(builder.fmt_fields(JsonFields::new()).event_format(JsonLine).finish()),
    }
}

/// One event as one JSON object: time, level, message and origin first, then the fields.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            // The registry keeps a span's fields as the JSON text that JsonFields made of them.
            if let Some(formatted) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(Value::Object(of_span)) = serde_json::from_str(&formatted.fields)
            {
                fields.extend(of_span);
            }
        }
        event.record(&mut Fields(&mut fields));
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = Line { time, event, message: fields.remove("message"), fields };
        writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

struct Line<'a, 'e> {
    time: String,
    event: &'a Event<'e>,
    message: Option<Value>,
    fields: Map<String, Value>,
}

impl serde::Serialize for Line<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const OWN: [&str; 4] = ["time", "level", "message", "target"];
        let metadata = self.event.metadata();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("level", metadata.level().as_str())?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("target", metadata.target())?;
        for (name, value) in self.fields.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Collects an event's fields.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = EnvFilter::builder().parse("info").unwrap();
        tracing::subscriber::with_default(subscriber(format, filter, move || writer.clone()), work);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn work() {
        let request =
            tracing::info_span!("request", request_id = "r1", tenant = "t1", operation = tracing::field::Empty);
        let _request = request.enter();
        request.record("operation", "Customers");
        let statement = tracing::info_span!("statement", table = "customer");
        let _statement = statement.enter();
        tracing::debug!("left out by the filter");
        tracing::info!(rows = 3, level = "not ours", "read {}", "customers");
    }

    #[test]
    fn a_json_line_has_the_fields_of_all_its_spans_laid_flat() {
        let text = logged(LogFormat::Json, work);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Map<String, Value> = serde_json::from_str(text.trim()).unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(line["time"].as_str().unwrap()).is_ok());
        let rest: Vec<_> = line.iter().filter(|(name, _)| *name != "time").map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            rest,
            [
                r#"level="INFO""#,
                r#"message="read customers""#,
                r#"operation="Customers""#,
                r#"request_id="r1""#,
                "rows=3",
                r#"table="customer""#,
                r#"target="rapport::logging::tests""#,
                r#"tenant="t1""#,
            ]
        );
    }

    #[test]
    fn a_text_line_names_its_spans() {
        let text = logged(LogFormat::Text, work);
        assert!(text.contains("INFO request{request_id=\"r1\" tenant=\"t1\" operation=\"Customers\"}"), "{text}");
        assert!(text.trim_end().ends_with("read customers rows=3 level=\"not ours\""), "{text}");
    }
}
