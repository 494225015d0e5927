//! How the application is: for `/health`, and for Prometheus.

use std::time::Duration;

use entity::master::{JobStatus, WorkKind};
use sea_orm::ActiveEnum;

use super::App;
use crate::{
    error::{Error, Result},
    integrations::nats::Link,
    jobs::{JobPage, SILENT},
    metrics::State,
};

/// How the parts of the application are.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the master database answers within a second.
    pub master: bool,
    /// How many migrations it lacks, where that could be asked.
    pub pending_migrations: Option<usize>,
    /// How many tenant databases are open.
    pub open_tenants: usize,
    /// How many connections of the tenants' budget are free.
    pub free_connections: usize,
    /// The loops that this node runs in the background.
    pub loops: Vec<Loop>,
    /// How the connection to the other nodes is; none on a node that has no bus.
    pub bus: Option<Link>,
}

/// A loop in the background.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// What it is called.
    pub name: &'static str,
    /// How long ago it last did what it should.
    pub age: Duration,
}

impl Loop {
    /// Whether it does what it should.
    #[must_use]
    pub fn well(&self) -> bool {
        self.age <= SILENT
    }
}

/// The most jobs that are counted as waiting or given up.
const COUNTED: u64 = 10_000;

impl App {
    /// Whether the master database answers, how the tenants' connections are used, and how the loops are.
    pub async fn health(&self) -> Health {
        let master = tokio::time::timeout(Duration::from_secs(1), self.master().ping()).await;
        let pending = match &master {
            Ok(Ok(_)) => self.master().pending_migrations().await.ok(),
            _ => None,
        };
        let (open_tenants, free_connections) = self.identity().tenants().usage();
        Health {
            master: matches!(master, Ok(Ok(_))),
            pending_migrations: pending,
            open_tenants,
            free_connections,
            loops: self.loops(),
            bus: self.link(),
        }
    }

    fn loops(&self) -> Vec<Loop> {
        let of = |name, age: Option<Duration>| age.map(|age| Loop { name, age });
        let loops = [
            of("worker", self.worker().age()),
            of("job_clock", self.jobs().clock_age()),
            of("job_runner", self.jobs().runner_age()),
        ];
        loops.into_iter().flatten().collect()
    }

    /// All figures in the text format of Prometheus.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn figures(&self) -> Result<String> {
        let mut states = self.states();
        self.queue_states(&mut states).await?;
        self.metrics().text(&states).map_err(Error::internal)
    }

    fn states(&self) -> Vec<State> {
        let (open, free) = self.identity().tenants().usage();
        let mut states = vec![
            ("rapport_tenant_databases_open", None, number(open)),
            ("rapport_tenant_connections_free", None, number(free)),
            ("rapport_subscribers", None, f64::from(self.connections().count())),
            ("rapport_late_finds", None, number(usize::try_from(self.worker().late_finds()).unwrap_or(usize::MAX))),
        ];
        states.extend(
            self.loops()
                .into_iter()
                .map(|of| ("rapport_loop_age_seconds", Some(("loop", of.name.to_owned())), of.age.as_secs_f64())),
        );
        states
    }

    async fn queue_states(&self, states: &mut Vec<State>) -> Result<()> {
        let now = self.master().clock().now();
        let mut lag = 0.0f64;
        for queue in self.jobs().queues().await? {
            let kind = Some(("kind", queue.kind.to_value()));
            let waited = queue.oldest_due_at.map_or(0.0, |due| (now - due).as_seconds_f64().max(0.0));
            if matches!(queue.kind, WorkKind::Notification | WorkKind::Webhook) {
                lag = lag.max(waited);
            }
            states.push(("rapport_work_due", kind.clone(), number(usize::try_from(queue.due).unwrap_or(0))));
            states.push(("rapport_work_leased", kind.clone(), number(usize::try_from(queue.leased).unwrap_or(0))));
            states.push(("rapport_work_failing", kind.clone(), number(usize::try_from(queue.failing).unwrap_or(0))));
            states.push(("rapport_work_oldest_due_seconds", kind, waited));
        }
        states.push(("rapport_outbox_lag_seconds", None, lag));
        let statuses = [JobStatus::Queued, JobStatus::Running, JobStatus::Failed, JobStatus::Dead];
        let page = JobPage { statuses: statuses.to_vec(), limit: COUNTED, ..JobPage::default() };
        let jobs = self.jobs().list(&page).await?;
        for status in statuses {
            let count = jobs.iter().filter(|job| job.status == status).count();
            states.push(("rapport_jobs_waiting", Some(("status", status.to_value())), number(count)));
        }
        Ok(())
    }
}

/// A count as a figure: beyond 2^32 it is no longer exact, and nobody counts so far.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
