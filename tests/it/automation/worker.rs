//! The worker: each tenant's work by one worker at a time, and no tenant at the cost of another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use entity::master::WorkKind::{self, Email};
use futures_util::{FutureExt, future::BoxFuture};
use rapport::{
    data::{TenantDb, Tenants},
    error::{Error, Result},
    jobs::{Work, Worker},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    on_both_databases,
    support::platform::{Platform, tenant_of},
};

/// What the work of a tenant does.
#[derive(Clone, Copy, Debug, Default)]
enum Does {
    #[default]
    Succeed,
    Fail,
    Panic,
    Hang,
    TakeLong,
}

/// Work that writes down how it goes. Clones share what is written.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<HashMap<Uuid, Record>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    does: Does,
    begun: usize,
    done: usize,
    running: usize,
    most_running: usize,
    next: Option<DateTime<Utc>>,
}

impl Recorded {
    fn of(&self, id: Uuid) -> Record {
        self.0.lock().unwrap().get(&id).copied().unwrap_or_default()
    }

    fn change(&self, id: Uuid, change: impl FnOnce(&mut Record)) {
        change(self.0.lock().unwrap().entry(id).or_default());
    }

    fn tenant(&self, id: Uuid, does: Does) {
        self.change(id, |record| record.does = does);
    }

    async fn until(&self, id: Uuid, reached: impl Fn(Record) -> bool) {
        for _ in 0..1500 {
            if reached(self.of(id)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.of(id));
    }
}

/// Counts a run down however it ends.
struct Running(Recorded, Uuid);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(self.1, |record| record.running -= 1);
    }
}

impl Work for Recorded {
    fn kind(&self) -> WorkKind {
        Email
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        async move {
            let id = db.tenant().id();
            self.change(id, |record| {
                record.begun += 1;
                record.running += 1;
                record.most_running = record.most_running.max(record.running);
            });
            let _running = Running(self.clone(), id);
            match self.of(id).does {
                Does::Succeed => tokio::time::sleep(Duration::from_millis(3)).await,
                Does::Fail => return Err(Error::internal("as it was told")),
                Does::Panic => panic!("as it was told"),
                Does::Hang => std::future::pending().await,
                Does::TakeLong => tokio::time::sleep(Duration::from_millis(700)).await,
            }
            self.change(id, |record| record.done += 1);
            Ok(None)
        }
        .boxed()
    }

    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        async move { Ok(self.of(db.tenant().id()).next) }.boxed()
    }
}

/// A worker that runs until it is told to stop.
struct Started {
    worker: Worker,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(tenants: &Tenants, work: &Recorded) -> Started {
    let worker = Worker::new(tenants.clone(), vec![Arc::new(work.clone())]).unwrap();
    let (stop, running) = (CancellationToken::new(), worker.clone());
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { running.run(stop).await }
    });
    Started { worker, stop, task }
}

/// As a transaction does it.
async fn commit(platform: &Platform, id: Uuid) {
    let due = platform.tenants.due();
    due.mark(id, Email, platform.clock.now()).await.unwrap();
    due.hint(id, Email);
}

async fn tenant(platform: &Platform, slug: &str) -> Uuid {
    tenant_of(&platform.tenant(slug).await)
}

on_both_databases! {
    async fn two_workers_never_do_the_same_work_at_the_same_time(platform) {
        let other = platform.node(Vec::new()).await;
        let work = Recorded::default();
        let mut tenants = Vec::new();
        for slug in ["one", "two", "three"] {
            tenants.push(tenant(&platform, slug).await);
        }
        let workers = [start(&platform.tenants, &work), start(&other.tenants, &work)];
        for round in 0..60 {
            for id in &tenants {
                let node = if round % 2 == 0 { &platform } else { &other };
                // Each mark is written, so that both nodes see that there is something to do.
                node.tenants.due().lower(*id, &[Email], node.clock.now()).await.unwrap();
                node.tenants.due().hint(*id, Email);
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        let begun: Vec<_> = tenants.iter().map(|id| work.of(*id).begun).collect();
        for id in &tenants {
            work.until(*id, |record| record.running == 0 && record.done > 5).await;
            assert_eq!(work.of(*id).most_running, 1, "{begun:?}");
            // What was marked last is done, too.
            commit(&platform, *id).await;
            let before = work.of(*id).done;
            work.until(*id, |record| record.done > before).await;
        }
        for worker in workers {
            worker.stop.cancel();
            worker.task.await.unwrap();
        }
    }

    async fn a_tenant_that_fails_panics_or_hangs_delays_nobody(platform) {
        let work = Recorded::default();
        let mut broken = Vec::new();
        for (slug, does) in [("fails", Does::Fail), ("panics", Does::Panic), ("hangs", Does::Hang)] {
            let id = tenant(&platform, slug).await;
            work.tenant(id, does);
            broken.push(id);
        }
        let well = tenant(&platform, "well").await;
        let running = start(&platform.tenants, &work);
        for id in &broken {
            commit(&platform, *id).await;
        }
        for id in &broken {
            work.until(*id, |record| record.begun > 0).await;
        }
        let begin = std::time::Instant::now();
        for done in 1..=5 {
            commit(&platform, well).await;
            work.until(well, |record| record.done >= done).await;
        }
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        for id in &broken[..2] {
            let known = async || platform.tenants.due().known(*id, Email).await.unwrap();
            while known().await.leased {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(known().await.failing);
        }
        // What failed is tried again by itself, and a cure is noticed.
        work.tenant(broken[0], Does::Succeed);
        work.until(broken[0], |record| record.done > 0).await;
        assert_eq!(running.worker.healthy(), Some(true));
        running.stop.cancel();
        running.task.abort();
    }

    /// The lease runs out behind the worker's back, as after a long pause of its process.
    async fn work_whose_lease_was_lost_is_dropped(platform) {
        let work = Recorded::default();
        let id = tenant(&platform, "acme").await;
        work.tenant(id, Does::Hang);
        let running = start(&platform.tenants, &work);
        commit(&platform, id).await;
        work.until(id, |record| record.running == 1).await;
        platform.clock.advance(chrono::Duration::seconds(16));
        let other = platform.node(Vec::new()).await;
        let taken = other.tenants.due().claim("other", &[Email], 1).await.unwrap();
        if let [lease] = taken[..] {
            work.until(id, |record| record.running == 0).await;
            assert_eq!(work.of(id).most_running, 1);
            assert!(other.tenants.due().renew(&lease).await.unwrap(), "it is the other's");
        } else {
            // The worker itself was faster in taking it over; then only the old run ends.
            work.until(id, |record| record.begun >= 2 && record.running == 1).await;
        }
        running.stop.cancel();
        running.task.abort();
    }

    async fn a_worker_that_stops_finishes_what_it_began(platform) {
        let work = Recorded::default();
        let id = tenant(&platform, "acme").await;
        work.tenant(id, Does::TakeLong);
        let running = start(&platform.tenants, &work);
        commit(&platform, id).await;
        work.until(id, |record| record.running == 1).await;
        running.stop.cancel();
        running.task.await.unwrap();
        assert_eq!(work.of(id).done, 1);
        assert!(!platform.tenants.due().known(id, Email).await.unwrap().leased);
        assert_eq!(running.worker.healthy(), None);
    }

    async fn a_sweep_finds_what_nobody_was_told_of(platform) {
        let work = Recorded::default();
        let worker = Worker::new(platform.tenants.clone(), vec![Arc::new(work.clone())]).unwrap();
        let (told, untold) = (tenant(&platform, "told").await, tenant(&platform, "untold").await);
        worker.drain().await.unwrap();
        assert_eq!((work.of(told).done, worker.late_finds()), (0, 0));
        let now = platform.clock.now();
        for id in [told, untold] {
            work.change(id, |record| record.next = Some(now + chrono::Duration::days(2)));
        }
        platform.tenants.due().mark(told, Email, now + chrono::Duration::days(2)).await.unwrap();
        platform.clock.advance(chrono::Duration::hours(25));
        worker.drain().await.unwrap();
        assert_eq!(worker.late_finds(), 1);
        assert_eq!((work.of(told).done, work.of(untold).done), (0, 0), "it is due tomorrow");
        platform.clock.advance(chrono::Duration::hours(24));
        worker.drain().await.unwrap();
        assert_eq!((work.of(told).done, work.of(untold).done, worker.late_finds()), (1, 1, 1));
    }
}
