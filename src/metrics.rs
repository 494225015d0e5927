//! Figures for those who run the platform, in the text format of Prometheus (OpenMetrics).
//!
//! Whatever has something to count takes a [`Metrics`] and counts; what is a state and no count is asked for when the figures
//! are read ([`State`]). No label names a tenant, a user or a record, and each takes few values: names of operations come
//! from clients, so the first 100 are told apart and the rest are `other`.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// How many operations are told apart by their names.
const OPERATIONS: usize = 100;
/// How long such a name is at most.
const NAME: usize = 64;
/// The bounds of the buckets for how long operations take, in seconds.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// The figures of this process. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    names: Mutex<HashSet<String>>,
    operations: Family<Labels, Counter>,
    operation_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    jobs: Family<Labels, Counter>,
    job_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    work: Family<Labels, Counter>,
    emails: Family<Labels, Counter>,
    deliveries: Family<Labels, Counter>,
    states: Vec<(&'static str, Gauges)>,
}

/// A state at the moment it is asked for: the name of the figure, a label where it has one, and the value.
pub type State = (&'static str, Option<(&'static str, String)>, f64);

/// The states, with what each is.
const STATES: [(&str, &str); 11] = [
    ("rapport_tenant_databases_open", "Tenant databases that are open"),
    ("rapport_tenant_connections_free", "Connections of the budget for tenant databases that are free"),
    ("rapport_subscribers", "Sockets and event streams that are open"),
    ("rapport_loop_age_seconds", "How long ago a loop in the background last did what it should"),
    ("rapport_work_due", "Tenants in which a kind of work is due"),
    ("rapport_work_leased", "Tenants in which somebody is at a kind of work"),
    ("rapport_work_failing", "Tenants in which a kind of work waits after a failure"),
    ("rapport_work_oldest_due_seconds", "For how long the longest due work of a kind has been due"),
    ("rapport_outbox_lag_seconds", "For how long the longest waiting event has waited for a consumer"),
    ("rapport_late_finds", "Work that sweeps found and the index did not know of; should be 0"),
    ("rapport_jobs_waiting", "Jobs that wait, run or are given up, by status"),
];

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (operations, jobs, work) = (Family::default(), Family::default(), Family::default());
        let (emails, deliveries) = (Family::default(), Family::default());
        let operation_seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let job_seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register("rapport_operations", "GraphQL operations, by name and outcome", Family::clone(&operations));
        registry.register_with_unit(
            "rapport_operation",
            "How long GraphQL operations take, by name",
            Unit::Seconds,
            Family::clone(&operation_seconds),
        );
        registry.register("rapport_job_runs", "Attempts at jobs, by job and outcome", Family::clone(&jobs));
        registry.register_with_unit(
            "rapport_job",
            "How long attempts at jobs take, by job",
            Unit::Seconds,
            Family::clone(&job_seconds),
        );
        registry.register("rapport_work_runs", "Work for tenants, by kind and outcome", Family::clone(&work));
        registry.register("rapport_emails", "Attempts to send e-mail, by outcome", Family::clone(&emails));
        let help = "Attempts at deliveries of webhooks, by outcome";
        registry.register("rapport_webhook_deliveries", help, Family::clone(&deliveries));
        let states = STATES
            .map(|(name, help)| {
                let gauges = Gauges::default();
                registry.register(name, help, gauges.clone());
                (name, gauges)
            })
            .into();
        let names = Mutex::default();
        let inner = Inner {
            registry,
            names,
            operations,
            operation_seconds,
            jobs,
            job_seconds,
            work,
            emails,
            deliveries,
            states,
        };
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// An operation was answered.
    pub fn operation(&self, name: Option<&str>, well: bool, took: Duration) {
        let name = self.bounded(name.unwrap_or("anonymous"));
        let outcome = if well { "ok" } else { "error" };
        self.0.operation_seconds.get_or_create(&vec![("operation", name.clone())]).observe(took.as_secs_f64());
        self.0.operations.get_or_create(&vec![("operation", name), ("outcome", outcome.to_owned())]).inc();
    }

    /// An attempt at a job ended, after so many seconds.
    pub fn job(&self, job: &str, outcome: &str, seconds: Option<f64>) {
        if let Some(seconds) = seconds {
            self.0.job_seconds.get_or_create(&vec![("job", job.to_owned())]).observe(seconds);
        }
        self.0.jobs.get_or_create(&vec![("job", job.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    /// Work for a tenant ended.
    pub fn work(&self, kind: &str, outcome: &str) {
        self.0.work.get_or_create(&vec![("kind", kind.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    /// An attempt to send a message ended.
    pub fn email(&self, outcome: &str) {
        self.0.emails.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// An attempt at a delivery of a webhook ended.
    pub fn delivery(&self, outcome: &str) {
        self.0.deliveries.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// All figures as text, with the states of this moment.
    ///
    /// # Errors
    /// Never in practice: writing to a text does not fail.
    pub fn text(&self, states: &[State]) -> Result<String, std::fmt::Error> {
        for (name, gauges) in &self.0.states {
            gauges.clear();
            for (_, label, value) in states.iter().filter(|(of, ..)| of == name) {
                gauges.get_or_create(&label.iter().cloned().collect()).set(*value);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// The name as a label.
    fn bounded(&self, name: &str) -> String {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return name.to_owned();
        }
        if names.len() >= OPERATIONS || name.len() > NAME {
            return "other".to_owned();
        }
        names.insert(name.to_owned());
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_operations_are_bounded() {
        let metrics = Metrics::default();
        for number in 0..1000 {
            metrics.operation(Some(&format!("Query{number}")), true, Duration::from_millis(2));
        }
        metrics.operation(Some(&"x".repeat(500)), false, Duration::ZERO);
        let text = metrics.text(&[("rapport_work_due", Some(("kind", "EMAIL".to_owned())), 3.0)]).unwrap();
        let counted = text.lines().filter(|line| line.starts_with("rapport_operations_total{")).count();
        assert_eq!(counted, OPERATIONS + 2, "the first hundred, and others that went well or not");
        assert!(text.contains("rapport_operations_total{operation=\"other\",outcome=\"ok\"} 900\n"), "{text}");
        assert!(text.contains("rapport_work_due{kind=\"EMAIL\"} 3"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
