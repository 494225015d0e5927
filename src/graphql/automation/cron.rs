//! Recurring jobs in the API.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::master::{MisfirePolicy, OverlapPolicy, cron, job as job_row};

use super::{job::Job, jobs, mended};
use crate::{
    error::Result,
    graphql::kit::{error::nullable, payload::UserError},
    jobs::Change,
    services::identity::PlatformRight,
};

/// A job that recurs.
pub struct Cron {
    row: cron::Model,
    description: Option<&'static str>,
    last: Option<job_row::Model>,
}

/// A job that recurs.
#[Object]
impl Cron {
    /// Its name, such as `ProcessEmailQueueJob`.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// What it does.
    async fn description(&self) -> Option<&str> {
        self.description
    }

    /// When it runs, as a cron text of five fields: minute, hour, day of the month, month, day of the week.
    async fn schedule(&self) -> &str {
        &self.row.schedule
    }

    /// The time zone of the schedule, by its IANA name.
    async fn time_zone(&self) -> &str {
        &self.row.time_zone
    }

    /// The next tick. A paused job has one, which is left out.
    async fn next_at(&self) -> Option<DateTime<Utc>> {
        self.row.next_at
    }

    /// What becomes of ticks that were missed.
    async fn misfire_policy(&self) -> MisfirePolicy {
        self.row.misfire
    }

    /// How many missed ticks are made up for, where the policy is CATCH_UP.
    async fn catch_up(&self) -> i32 {
        self.row.catch_up
    }

    /// What becomes of a tick while the job of an earlier one waits or runs.
    async fn overlap_policy(&self) -> OverlapPolicy {
        self.row.overlap
    }

    /// Whether its ticks are left out for now.
    async fn paused(&self) -> bool {
        self.row.paused
    }

    /// Grows by one with each change; give it to `expectedVersion`.
    async fn version(&self) -> i32 {
        self.row.version
    }

    /// Its newest job; null before the first one, and in the answer to a change.
    async fn last_job(&self) -> Option<Job> {
        self.last.clone().map(Job)
    }
}

/// A recurring job that was changed.
#[derive(SimpleObject)]
pub struct CronPayload {
    /// The recurring job as it is now; null when it was not changed.
    cron: Option<Cron>,
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// What shall be different about a recurring job; what is left out stays.
#[derive(InputObject)]
pub struct CronUpdateInput {
    /// When it runs, as a cron text of five fields (minute, hour, day of the month, month, day of the week), such as
    /// `*/5 * * * *`. One that cannot be read is refused with the reason.
    schedule: Option<String>,
    /// The time zone of the schedule, by its IANA name such as `Europe/Vienna`.
    time_zone: Option<String>,
    /// What becomes of ticks that were missed.
    misfire_policy: Option<MisfirePolicy>,
    /// How many missed ticks are made up for, where the policy is CATCH_UP: 1 to 100.
    catch_up: Option<i32>,
    /// What becomes of a tick while the job of an earlier one waits or runs.
    overlap_policy: Option<OverlapPolicy>,
}

/// The queries of recurring jobs.
#[derive(Default)]
pub struct CronQuery;

#[Object]
impl CronQuery {
    /// The jobs that recur, by their names. For platform administrators (`jobs.read`).
    async fn recurring_jobs(&self, ctx: &Context<'_>) -> Option<Vec<Cron>> {
        let all = async {
            let jobs = jobs(ctx, PlatformRight::ReadJobs)?;
            let crons = jobs.recurring().await?.into_iter().map(|(row, last)| {
                let description = jobs.description(&row.name);
                Cron { row, description, last }
            });
            Ok(crons.collect())
        };
        nullable(ctx, all.await)
    }
}

/// The mutations of recurring jobs.
#[derive(Default)]
pub struct CronMutation;

#[Object]
impl CronMutation {
    /// Leaves out the ticks of a recurring job until it is resumed. What waits already is done. For platform administrators
    /// (`jobs.run`).
    async fn cron_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name of the recurring job.")] name: String,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<CronPayload> {
        let paused = async { jobs(ctx, PlatformRight::RunJobs)?.pause(&name).await };
        answer(ctx, paused.await, client_mutation_id)
    }

    /// Goes on with a paused recurring job at its next tick; what was left out is not made up for. For platform
    /// administrators (`jobs.run`).
    async fn cron_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name of the recurring job.")] name: String,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<CronPayload> {
        let resumed = async { jobs(ctx, PlatformRight::RunJobs)?.resume(&name).await };
        answer(ctx, resumed.await, client_mutation_id)
    }

    /// Changes when a recurring job runs. With another schedule or time zone it goes on at the next tick of that. For
    /// platform administrators (`jobs.run`).
    async fn cron_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name of the recurring job.")] name: String,
        #[graphql(desc = "What shall be different.")] input: CronUpdateInput,
        #[graphql(desc = "The version that the caller has seen; STALE_VERSION when it is another by now.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<CronPayload> {
        let CronUpdateInput { schedule, time_zone, misfire_policy, catch_up, overlap_policy } = input;
        let change = Change { schedule, time_zone, misfire: misfire_policy, catch_up, overlap: overlap_policy };
        let changed = async { jobs(ctx, PlatformRight::RunJobs)?.change(&name, expected_version, change).await };
        answer(ctx, changed.await, client_mutation_id)
    }
}

fn answer(ctx: &Context<'_>, result: Result<cron::Model>, client_mutation_id: Option<String>) -> Option<CronPayload> {
    let described = |row: cron::Model| {
        let description = jobs(ctx, PlatformRight::RunJobs).ok().and_then(|jobs| jobs.description(&row.name));
        Cron { row, description, last: None }
    };
    let answer = mended(result, "name").map(|(row, user_errors)| CronPayload {
        cron: row.map(described),
        user_errors,
        client_mutation_id,
    });
    nullable(ctx, answer)
}
