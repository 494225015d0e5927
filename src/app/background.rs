//! What a node does beside answering requests: the work of the tenants, the clock of the recurring jobs and the jobs
//! themselves. This is the one place where the loops begin and end.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::jobs::Jobs;

/// The loops that run in the background. See [`App::begin_background`].
pub struct Background {
    enough: CancellationToken,
    /// The recurring jobs whose clock and runner these are.
    jobs: Jobs,
    clock: JoinHandle<()>,
    runner: JoinHandle<()>,
    worker: JoinHandle<()>,
}

impl App {
    /// Begins the loops of the background; they run until [`Background::end`].
    #[must_use]
    pub fn begin_background(&self) -> Background {
        let enough = CancellationToken::new();
        let (worker, jobs) = (self.worker().clone(), self.jobs().clone());
        let (of_worker, of_clock, of_runner) = (enough.clone(), enough.clone(), enough.clone());
        let (clock, runner) = (jobs.clone(), jobs.clone());
        Background {
            jobs,
            clock: tokio::spawn(async move { clock.run_clock(of_clock).await }),
            runner: tokio::spawn(async move { runner.run(of_runner).await }),
            worker: tokio::spawn(async move { worker.run(of_worker).await }),
            enough,
        }
    }
}

impl Background {
    /// Ends the loops: nothing new is begun, and what was begun is finished within this time. A job that is not is given
    /// back, so that another node begins it at once; work of tenants is done again when its lease has ended.
    pub async fn end(self, patience: Duration) {
        let Self { enough, jobs, clock, runner, worker } = self;
        enough.cancel();
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        for (mut task, name) in [(clock, "clock"), (runner, "runner"), (worker, "worker")] {
            if tokio::time::timeout(left(), &mut task).await.is_err() {
                task.abort();
                tracing::warn!(name, "work was cut off; it is done again");
            }
        }
        jobs.hand_back().await;
    }
}
