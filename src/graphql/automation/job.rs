//! Jobs, their throughput and the queues of work in the API.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Object, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use entity::master::{JobStatus, WorkKind, job};
use futures_util::{Stream, stream};

use super::{jobs, mended};
use crate::{
    data::ids,
    error::{Error, Result},
    graphql::{
        kit::{
            connection::PageInfo,
            error::{nullable, to_graphql},
            id::{Id, Identified},
            payload::UserError,
            select::{DEFAULT_PAGE, LARGEST_PAGE},
        },
        request::Caller,
    },
    jobs::{JobPage, Jobs},
    services::identity::{Identity, PlatformRight, Principal},
};

/// How often a job is looked at whose progress somebody follows.
const LOOK: Duration = Duration::from_secs(1);

/// The most hours of which a throughput is told.
const MOST_HOURS: i32 = 168;

/// One run of a job, with what became of it.
#[derive(Clone)]
pub struct Job(pub(super) job::Model);

impl Identified for Job {
    const PREFIX: &'static str = "job";
}

/// One run of a job, with what became of it.
#[Object]
impl Job {
    /// Its id.
    async fn id(&self) -> Id<Self> {
        Id::new(self.0.id)
    }

    /// What is done: the name of the job, such as `ProcessEmailQueueJob`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// How it stands.
    async fn status(&self) -> JobStatus {
        self.0.status
    }

    /// The tick of its schedule, or when somebody asked for it.
    async fn scheduled_at(&self) -> DateTime<Utc> {
        self.0.scheduled_at
    }

    /// Whether somebody asked for it, beside its schedule.
    async fn is_manual(&self) -> bool {
        self.0.manual
    }

    /// How many attempts have begun.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// After how many attempts it is given up.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// When the next attempt may begin, while it waits.
    async fn run_after(&self) -> DateTime<Utc> {
        self.0.run_after
    }

    /// When the last attempt began.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    /// When it was done, given up or left out.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }

    /// The node that works on it, or did last.
    async fn node(&self) -> Option<&str> {
        self.0.node.as_deref()
    }

    /// Why the last attempt failed.
    async fn last_error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// What it did.
    async fn summary(&self) -> Vec<JobCount> {
        let counts = self.0.summary.as_object().into_iter().flatten();
        counts.map(|(name, count)| JobCount { name: name.clone(), count: count.as_f64().unwrap_or_default() }).collect()
    }
}

/// One of the things that a job counts.
#[derive(SimpleObject)]
pub struct JobCount {
    /// What is counted, such as `tenants`.
    name: String,
    /// How many there were.
    count: f64,
}

/// A job and where it stands in the list.
#[derive(SimpleObject)]
pub struct JobEdge {
    /// Where it stands: give it to `after`.
    cursor: String,
    /// The job.
    node: Arc<Job>,
}

/// A page of the jobs.
#[derive(SimpleObject)]
pub struct JobConnection {
    /// The jobs with their cursors.
    edges: Vec<JobEdge>,
    /// The jobs.
    nodes: Vec<Arc<Job>>,
    /// Where the page stands in the list.
    page_info: PageInfo,
}

/// A job that was made, or is tried again.
#[derive(SimpleObject)]
pub struct JobPayload {
    /// The job as it is now; null when nothing was done.
    job: Option<Job>,
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// How many jobs ended in an hour, and how.
#[derive(SimpleObject)]
pub struct JobThroughput {
    /// The first moment of the hour.
    from: DateTime<Utc>,
    /// How many were done.
    succeeded: u32,
    /// How many were given up.
    dead: u32,
    /// How many ticks were left out because an earlier job was not done.
    skipped: u32,
}

/// One kind of work that tenants have, over all of them.
#[derive(SimpleObject)]
pub struct WorkQueue {
    /// The kind of work.
    kind: WorkKind,
    /// In how many tenants it is due.
    due: f64,
    /// In how many somebody is at it.
    leased: f64,
    /// In how many it waits after a failure.
    failing: f64,
    /// Since when the longest due has been due.
    oldest_due_at: Option<DateTime<Utc>>,
}

/// The queries of jobs.
#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// The jobs, the newest first: those that wait or run, the history, and the dead letters. For platform administrators
    /// (`jobs.read`).
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: 0 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those of these states.")] status: Option<Vec<JobStatus>>,
        #[graphql(desc = "Only those of the recurring job of this name.")] cron: Option<String>,
    ) -> Option<JobConnection> {
        nullable(ctx, page(ctx, first, after, status, cron).await)
    }

    /// How many jobs ended in each of the last hours, the current one included; the earliest first. For platform
    /// administrators (`jobs.read`).
    async fn job_throughput(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of how many hours: 1 to 168; 24 when left out.")] hours: Option<i32>,
    ) -> Option<Vec<JobThroughput>> {
        let told = async {
            let jobs = jobs(ctx, PlatformRight::ReadJobs)?;
            let hours = hours.unwrap_or(24);
            let hours = u32::try_from(hours).ok().filter(|_| (1..=MOST_HOURS).contains(&hours));
            let hours = hours.ok_or_else(|| Error::BadInput(format!("hours is a number from 1 to {MOST_HOURS}")))?;
            let told = jobs.throughput(hours).await?.into_iter().map(|of| JobThroughput {
                from: of.from,
                succeeded: of.succeeded,
                dead: of.dead,
                skipped: of.skipped,
            });
            Ok(told.collect())
        };
        nullable(ctx, told.await)
    }

    /// What is due in the tenants, by kind of work. For platform administrators (`jobs.read`).
    async fn work_queues(&self, ctx: &Context<'_>) -> Option<Vec<WorkQueue>> {
        let told = async {
            #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 tenants")]
            let queues = jobs(ctx, PlatformRight::ReadJobs)?.queues().await?.into_iter().map(|queue| WorkQueue {
                kind: queue.kind,
                due: queue.due as f64,
                leased: queue.leased as f64,
                failing: queue.failing as f64,
                oldest_due_at: queue.oldest_due_at,
            });
            Ok(queues.collect())
        };
        nullable(ctx, told.await)
    }
}

/// The subscription of jobs.
#[derive(Default)]
pub struct JobSubscription;

#[Subscription]
impl JobSubscription {
    /// A job as it is now, and again whenever that changes, on whatever node, within a second; the last time when it has
    /// ended: SUCCEEDED, DEAD or SKIPPED. A job that failed and is tried again has not ended. For platform administrators
    /// (`jobs.read`).
    async fn job_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Job>,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<Job>> + use<>> {
        let first = async {
            let job = jobs(ctx, PlatformRight::ReadJobs)?.find(id.0).await?;
            Ok(Follower {
                jobs: ctx.data_unchecked::<Jobs>().clone(),
                identity: ctx.data_unchecked::<Identity>().clone(),
                principal: Caller::of(ctx).principal()?.clone(),
                seen: None,
                now: job,
            })
        };
        let follower = first.await.map_err(to_graphql)?;
        Ok(stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(job) => job.map(|job| (Ok(Job(job)), Some(follower))),
                Err(error) => Some((Err(to_graphql(error)), None)),
            }
        }))
    }
}

/// One who follows a job.
struct Follower {
    jobs: Jobs,
    identity: Identity,
    principal: Principal,
    /// What was told last.
    seen: Option<job::Model>,
    now: job::Model,
}

impl Follower {
    /// The job when it has changed; none when it has ended and that was told.
    async fn next(&mut self) -> Result<Option<job::Model>> {
        loop {
            if self.seen.as_ref().is_none_or(|seen| told_of(seen) != told_of(&self.now)) {
                self.seen = Some(self.now.clone());
                return Ok(Some(self.now.clone()));
            }
            if matches!(self.now.status, JobStatus::Succeeded | JobStatus::Dead | JobStatus::Skipped) {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
            // The rights of now decide, not those with which the subscription began.
            self.identity.renew(&self.principal).await?.platform(PlatformRight::ReadJobs)?;
            self.now = self.jobs.find(self.now.id).await?;
        }
    }
}

/// What of a job is told: not that its lease was renewed.
fn told_of(job: &job::Model) -> (JobStatus, i32, DateTime<Utc>, Option<&str>) {
    (job.status, job.attempts, job.run_after, job.node.as_deref())
}

async fn page(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<String>,
    status: Option<Vec<JobStatus>>,
    cron: Option<String>,
) -> Result<JobConnection> {
    let jobs = jobs(ctx, PlatformRight::ReadJobs)?;
    let first = first.map_or(Ok(DEFAULT_PAGE), u32::try_from).ok().filter(|first| *first <= LARGEST_PAGE);
    let first = first.ok_or_else(|| Error::BadInput(format!("first is a number from 0 to {LARGEST_PAGE}")))?;
    let continued = after.is_some();
    let before = after.as_deref().map(read_cursor).transpose()?;
    let wanted = JobPage { statuses: status.unwrap_or_default(), cron, before, limit: u64::from(first) + 1 };
    let mut jobs = jobs.list(&wanted).await?;
    let more = jobs.len() > first as usize;
    jobs.truncate(first as usize);
    let edge = |job: job::Model| JobEdge { cursor: ids::encode("job", job.id), node: Arc::new(Job(job)) };
    let edges: Vec<JobEdge> = jobs.into_iter().map(edge).collect();
    let page_info = PageInfo {
        has_next_page: more,
        has_previous_page: continued,
        start_cursor: edges.first().map(|edge| edge.cursor.clone()),
        end_cursor: edges.last().map(|edge| edge.cursor.clone()),
    };
    let nodes = edges.iter().map(|edge| edge.node.clone()).collect();
    Ok(JobConnection { edges, nodes, page_info })
}

fn read_cursor(cursor: &str) -> Result<uuid::Uuid> {
    match ids::decode(cursor) {
        Some(("job", id)) => Ok(id),
        _ => Err(Error::BadInput("this is no cursor of this list".to_owned())),
    }
}

/// The mutations of jobs.
#[derive(Default)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Tries a job again at once that was given up or waits for its next attempt; its attempts begin anew. For platform
    /// administrators (`jobs.run`).
    async fn job_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Job>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<JobPayload> {
        let retried = async { jobs(ctx, PlatformRight::RunJobs)?.retry(id.0).await };
        answer(ctx, retried.await, "id", client_mutation_id)
    }

    /// Runs a recurring job now, beside its schedule, paused or not; while one of its jobs runs, this one waits. For platform
    /// administrators (`jobs.run`).
    async fn cron_run_now(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name of the recurring job.")] name: String,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<JobPayload> {
        let made = async { jobs(ctx, PlatformRight::RunJobs)?.run_now(&name).await };
        answer(ctx, made.await, "name", client_mutation_id)
    }
}

fn answer(
    ctx: &Context<'_>,
    result: Result<job::Model>,
    argument: &str,
    client_mutation_id: Option<String>,
) -> Option<JobPayload> {
    let answer = mended(result, argument).map(|(job, user_errors)| JobPayload {
        job: job.map(Job),
        user_errors,
        client_mutation_id,
    });
    nullable(ctx, answer)
}
