//! Who does the work of the tenants: a loop on each node that serves.
//!
//! Each second, and whenever something was committed in this process, it takes leases: of what it was told of at once,
//! then of what is due for longest. Up to 8 leases are worked on at the same time, each by a task of its own, so that a
//! tenant whose work hangs or fails delays nobody; work that waits for others, such as calling webhooks, has places of its
//! own besides. A lease is renewed while its work runs; when it is lost, the work is
//! dropped on the spot, because somebody else does it now.
//!
//! Once a day each tenant is swept: is there anything due that the index does not know of? That would be a fault of
//! ours, so what a sweep finds is logged and counted; the count should be 0.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use entity::master::WorkKind;
use futures_util::FutureExt;
use sea_orm::ActiveEnum;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    Work, cause, message,
    pulse::{Pulse, SILENT},
};
use crate::{
    auth::{Actor, secret::random_bytes},
    data::{
        TenantDb, Tenants,
        due::{DueWork, Known, LEASE, Lease, MARKED, SWEEP_EVERY},
        ids,
    },
    error::Result,
    failpoint,
    metrics::Metrics,
};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_secs(1);
/// How much is worked on at the same time.
const SLOTS: usize = 8;
/// How often it is looked for tenants that are not swept yet.
const ENROL: Duration = Duration::from_secs(60);
/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// For how long a hint is tried whose lease is not to be had. By then the mark behind it is due.
const HINTED: Duration = Duration::from_secs(30);

/// The worker of a node. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    tenants: Tenants,
    works: Vec<Arc<dyn Work>>,
    /// Tells this worker's leases from those of others.
    owner: String,
    pulse: Pulse,
    metrics: Metrics,
    late_finds: AtomicU64,
}

impl Worker {
    /// A worker that does these kinds of work.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(tenants: Tenants, works: Vec<Arc<dyn Work>>) -> Result<Self> {
        Self::counted(tenants, works, Metrics::default())
    }

    /// The same, whose work is counted.
    ///
    /// # Errors
    /// As [`Worker::new`].
    pub fn counted(tenants: Tenants, works: Vec<Arc<dyn Work>>, metrics: Metrics) -> Result<Self> {
        let owner = HEXLOWER.encode(&random_bytes::<8>()?);
        Ok(Self(Arc::new(Inner {
            tenants,
            works,
            owner,
            pulse: Pulse::default(),
            metrics,
            late_finds: AtomicU64::new(0),
        })))
    }

    /// Works until it is told to stop, then finishes what it has begun. Whoever drops the future instead cuts off what
    /// runs; it is done again when the leases have ended.
    pub async fn run(&self, stop: CancellationToken) {
        let due = self.due();
        self.0.pulse.beat();
        due.hear(true);
        self.closing(false);
        let mut shift = Shift::default();
        let mut clock = tokio::time::interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ticked = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = clock.tick() => true,
                () = due.hinted() => false,
                Some(_) = shift.running.join_next(), if !shift.running.is_empty() => false,
            };
            match self.take(&mut shift, ticked).await {
                Ok(()) => self.0.pulse.beat(),
                Err(error) => tracing::error!(error = cause(&error), "it could not be asked what is due"),
            }
        }
        due.hear(false);
        self.closing(true);
        while shift.running.join_next().await.is_some() {}
        self.closing(false);
        self.0.pulse.stop();
    }

    /// Does all that is due now, until nothing is. For tests, which move the clock.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn drain(&self) -> Result<()> {
        self.due().enrol_for_sweep().await?;
        let mut kinds = self.kinds();
        kinds.push(WorkKind::Sweep);
        loop {
            let leases = self.due().claim(&self.0.owner, &kinds, SLOTS as u64).await?;
            if leases.is_empty() {
                return Ok(());
            }
            let mut shift = Shift::default();
            for lease in leases {
                self.begin(&mut shift, lease);
            }
            while shift.running.join_next().await.is_some() {}
        }
    }

    /// Whether the loop does what it should; none on a node that has no loop.
    #[must_use]
    pub fn healthy(&self) -> Option<bool> {
        self.age().map(|age| age <= SILENT)
    }

    /// How long ago the loop last did what it should; none on a node that has no loop.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.pulse.age()
    }

    /// How much sweeps have found that the index did not know of.
    #[must_use]
    pub fn late_finds(&self) -> u64 {
        self.0.late_finds.load(Ordering::Relaxed)
    }

    fn due(&self) -> &DueWork {
        self.0.tenants.due()
    }

    fn kinds(&self) -> Vec<WorkKind> {
        self.0.works.iter().map(|work| work.kind()).collect()
    }

    fn closing(&self, closing: bool) {
        self.0.works.iter().for_each(|work| work.closing(closing));
    }

    /// The places that most kinds share, and then those that one kind has for itself.
    fn places(&self) -> Vec<Places> {
        let works = &self.0.works;
        let shared: Vec<_> = works.iter().filter(|work| work.slots().is_none()).collect();
        let prompt = shared.iter().filter(|work| !work.patient()).map(|work| work.kind()).collect();
        let kinds = shared.iter().map(|work| work.kind()).chain([WorkKind::Sweep]).collect();
        let own = works.iter().filter_map(|work| {
            let most = work.slots()?;
            Some(Places { kinds: vec![work.kind()], prompt: vec![work.kind()], most })
        });
        std::iter::once(Places { kinds, prompt, most: SLOTS }).chain(own).collect()
    }

    /// The kinds of work that can wait for their turn, sweeps among them.
    fn patient(&self) -> Vec<WorkKind> {
        let patient = self.0.works.iter().filter(|work| work.patient()).map(|work| work.kind());
        patient.chain([WorkKind::Sweep]).collect()
    }

    /// Takes leases for the slots that are free.
    async fn take(&self, shift: &mut Shift, ticked: bool) -> Result<()> {
        // What has ended leaves its slot, whatever woke the loop.
        while shift.running.try_join_next().is_some() {}
        let kinds = self.kinds();
        for hint in self.due().hints() {
            if kinds.contains(&hint.1) {
                shift.hints.insert(hint, Instant::now());
            }
        }
        // Work that somebody is at has perhaps looked already: what the hint is about may come too late for it.
        shift.hints.retain(|_, since| since.elapsed() < HINTED);
        let places = self.places();
        let hints: Vec<_> = shift.hints.keys().copied().collect();
        for (tenant_id, kind) in hints {
            let free = places.iter().find(|of| of.kinds.contains(&kind)).map_or(0, |of| shift.free(of));
            // What runs here looks again by itself when it ends, or when it does not look any more.
            if free == 0 || shift.is_running(tenant_id, kind) {
                continue;
            }
            if let Some(lease) = self.due().claim_hinted(&self.0.owner, tenant_id, kind).await? {
                shift.hints.remove(&(tenant_id, kind));
                self.begin(shift, lease);
            }
        }
        for of in &places {
            for lease in self.due().claim(&self.0.owner, &of.prompt, shift.free(of) as u64).await? {
                shift.hints.remove(&(lease.tenant_id, lease.kind));
                self.begin(shift, lease);
            }
        }
        // A worker without work has nothing to sweep for.
        if !ticked || kinds.is_empty() {
            return Ok(());
        }
        if shift.enrolled.is_none_or(|at| at.elapsed() >= ENROL) {
            self.due().enrol_for_sweep().await?;
            shift.enrolled = Some(Instant::now());
        }
        // One tenant a second: a sweep opens its database, and is in no hurry.
        let one = u64::from(places.first().is_some_and(|shared| shift.free(shared) > 0));
        for lease in self.due().claim(&self.0.owner, &self.patient(), one).await? {
            self.begin(shift, lease);
        }
        Ok(())
    }

    fn begin(&self, shift: &mut Shift, lease: Lease) {
        shift.handles.retain(|_, handle| !handle.is_finished());
        let key = (lease.tenant_id, lease.kind);
        // After a long pause of the process a lease of ours can have ended unnoticed, and be ours again.
        if let Some(earlier) = shift.handles.remove(&key) {
            earlier.abort();
        }
        let span = tracing::info_span!("work", kind = ?lease.kind, tenant = ids::encode("tenant", lease.tenant_id));
        let worker = self.clone();
        let handle = shift.running.spawn(async move { worker.perform(&lease).await }.instrument(span));
        shift.handles.insert(key, handle);
    }

    /// Does the work of a lease and gives the lease back.
    async fn perform(&self, lease: &Lease) {
        let done = tokio::select! {
            done = self.work(lease) => done,
            () = self.lost(lease) => {
                tracing::warn!("the lease was lost; the work was dropped");
                return;
            }
        };
        failpoint::pass("work.done");
        let kind = lease.kind.to_value();
        self.0.metrics.work(&kind, if done.is_ok() { "ok" } else { "failed" });
        let given_back = match done {
            // What is due already goes to the end of the queue: a tenant with much to do leaves room for others.
            Ok(next) => {
                let now = self.0.tenants.master().clock().now();
                self.due().finish(lease, next.map(|next| next.max(now))).await
            }
            Err(reason) => {
                tracing::error!(error = reason, failures = lease.failures + 1, "work failed; it is tried again");
                self.due().failed(lease, &reason).await
            }
        };
        match given_back {
            Ok(true) => {}
            Ok(false) => tracing::warn!("the lease had ended before the work was done"),
            Err(error) => tracing::error!(error = cause(&error), "the lease could not be given back; it will end"),
        }
    }

    /// Does the work in the tenant's database, as the platform. A panic is a failure like others.
    async fn work(&self, lease: &Lease) -> Result<Option<DateTime<Utc>>, String> {
        let work = async {
            let tenant = self.0.tenants.open(lease.tenant_id).await?;
            let db = tenant.for_actor(Arc::new(Actor::system(lease.tenant_id)), None);
            match self.0.works.iter().find(|work| work.kind() == lease.kind) {
                Some(work) => work.run(&db).await,
                None => self.sweep(&db).await,
            }
        };
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => done.map_err(|error| cause(&error)),
            Err(panic) => Err(format!("it panicked: {}", message(&*panic))),
        }
    }

    /// Renews the lease for as long as it can; resolves when it is lost.
    async fn lost(&self, lease: &Lease) {
        let long = LEASE.to_std().unwrap_or(RENEW);
        let mut held = Instant::now();
        loop {
            tokio::time::sleep(RENEW).await;
            let asked = Instant::now();
            match self.due().renew(lease).await {
                Ok(true) => held = asked,
                Ok(false) => return,
                Err(_) if held.elapsed() >= long => return,
                Err(error) => tracing::warn!(error = cause(&error), "a lease could not be renewed"),
            }
        }
    }

    /// Looks for what is due without the index knowing.
    async fn sweep(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        let tenant_id = db.tenant().id();
        for work in &self.0.works {
            let kind = work.kind();
            // Before and after: what comes or goes meanwhile is known at one of the two times.
            let before = self.due().known(tenant_id, kind).await?;
            let Some(next) = work.next(db).await? else { continue };
            let after = self.due().known(tenant_id, kind).await?;
            let by = next.max(db.clock().now()) + MARKED;
            if [before, after].iter().any(|known| covers(known, by)) {
                continue;
            }
            self.due().lower(tenant_id, &[kind], next).await?;
            self.0.late_finds.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(missed = ?kind, due = %next, "something was due that nobody was told of");
        }
        Ok(Some(db.clock().now() + SWEEP_EVERY))
    }
}

/// How many tenants' work of these kinds is done at the same time.
struct Places {
    kinds: Vec<WorkKind>,
    /// Those of them that are begun as soon as they are due.
    prompt: Vec<WorkKind>,
    most: usize,
}

/// What a loop holds.
#[derive(Default)]
struct Shift {
    running: JoinSet<()>,
    /// The tasks of what runs.
    handles: HashMap<(Uuid, WorkKind), AbortHandle>,
    /// What was committed in this process and is not worked on yet, and since when.
    hints: HashMap<(Uuid, WorkKind), Instant>,
    /// When it was last looked for tenants that are not swept yet.
    enrolled: Option<Instant>,
}

impl Shift {
    /// How many of these places are free.
    fn free(&self, of: &Places) -> usize {
        let takes = |kind: WorkKind| of.kinds.contains(&kind);
        let running = self.handles.iter().filter(|((_, kind), handle)| takes(*kind) && !handle.is_finished());
        of.most.saturating_sub(running.count())
    }

    fn is_running(&self, tenant_id: Uuid, kind: WorkKind) -> bool {
        self.handles.get(&(tenant_id, kind)).is_some_and(|handle| !handle.is_finished())
    }
}

/// Whether somebody will have looked by this time.
fn covers(known: &Known, by: DateTime<Utc>) -> bool {
    known.leased || known.failing || known.due_at.is_some_and(|due| due <= by)
}
