//! Recurring jobs keep what they promise, on both engines alike: each tick once, however many nodes see it; what was missed
//! and what overlaps as the policies say; a dead node's job taken over, a stalled node's word not counted, a poisoned job
//! given up with its cause while others go on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration as Time,
};

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Europe::Berlin;
use entity::master::{JobStatus, MisfirePolicy, OverlapPolicy, cron, job};
use futures_util::{FutureExt, future::BoxFuture};
use rapport::{
    data::job as stored,
    error::{Error, Result},
    jobs::{Change, Declared, Job, JobPage, Jobs, Summary},
    metrics::Metrics,
};
use sea_orm::{EntityTrait, QueryOrder};
use tokio_util::sync::CancellationToken;

use crate::{
    on_both_databases,
    support::platform::{Platform, connect},
};

/// What a job of the tests does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Does {
    #[default]
    Succeed,
    Fail,
    Panic,
    Hang,
}

/// What happens to the jobs of a test. Clones share it.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    does: HashMap<&'static str, Does>,
    /// The ticks that were begun, by the job.
    begun: Vec<(&'static str, DateTime<Utc>)>,
}

impl Script {
    fn set(&self, name: &'static str, does: Does) {
        self.0.lock().unwrap().does.insert(name, does);
    }

    fn begun(&self, name: &str) -> usize {
        self.0.lock().unwrap().begun.iter().filter(|(of, _)| *of == name).count()
    }

    async fn until_begun(&self, name: &str, times: usize) {
        for _ in 0..1500 {
            if self.begun(name) >= times {
                return;
            }
            tokio::time::sleep(Time::from_millis(10)).await;
        }
        panic!("{name} was begun {} times", self.begun(name));
    }
}

/// A job of the tests.
struct Scripted {
    name: &'static str,
    declared: Declared,
    script: Script,
}

impl Job for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        "Does as the test says."
    }

    fn declared(&self) -> Declared {
        self.declared
    }

    fn max_attempts(&self) -> i32 {
        3
    }

    fn run(&self, tick: DateTime<Utc>) -> BoxFuture<'_, Result<Summary>> {
        async move {
            let does = {
                let mut told = self.script.0.lock().unwrap();
                told.begun.push((self.name, tick));
                told.does.get(self.name).copied().unwrap_or_default()
            };
            match does {
                Does::Succeed => Ok(Summary::default().with("done", 1)),
                Does::Fail => Err(Error::internal("as it was told")),
                Does::Panic => panic!("as it was told"),
                Does::Hang => std::future::pending().await,
            }
        }
        .boxed()
    }
}

/// The jobs of a node, all every ten minutes unless said otherwise.
fn jobs(node: &Platform, script: &Script, declared: &[(&'static str, Declared)]) -> Jobs {
    let of = |(name, declared): &(&'static str, Declared)| -> Arc<dyn Job> {
        Arc::new(Scripted { name, declared: *declared, script: script.clone() })
    };
    let all = declared.iter().map(of).collect();
    Jobs::new(node.master.clone(), node.tenants.due().clone(), all, Metrics::default()).unwrap()
}

const TEN_MINUTES: Declared = Declared::sweep("*/10 * * * *");

fn policy(misfire: MisfirePolicy, overlap: OverlapPolicy) -> Declared {
    Declared { schedule: "*/10 * * * *", misfire, overlap }
}

/// Moves the clock to a moment.
fn travel(platform: &Platform, to: DateTime<Utc>) {
    platform.clock.advance(to - platform.clock.now());
}

/// Moves the clock to just after the next full ten minutes.
fn to_next_tick(platform: &Platform) -> DateTime<Utc> {
    let now = platform.clock.now().timestamp();
    let tick = DateTime::from_timestamp(now - now % 600 + 600, 0).unwrap();
    travel(platform, tick + Duration::seconds(1));
    tick
}

/// All jobs of one recurring job, in the order of their ticks.
async fn of(platform: &Platform, name: &str) -> Vec<job::Model> {
    let connection = connect(&platform.master_url).await;
    let all = job::Entity::find().order_by_asc(job::Column::ScheduledAt).all(&connection).await.unwrap();
    connection.close().await.unwrap();
    all.into_iter().filter(|job| job.kind == name).collect()
}

async fn statuses(platform: &Platform, name: &str) -> Vec<JobStatus> {
    of(platform, name).await.iter().map(|job| job.status).collect()
}

async fn recurring(jobs: &Jobs, name: &str) -> cron::Model {
    jobs.recurring().await.unwrap().into_iter().find(|(cron, _)| cron.name == name).unwrap().0
}

/// Runs a node until the test stops it.
fn running(jobs: &Jobs) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (stop, runner) = (CancellationToken::new(), jobs.clone());
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    (stop, task)
}

/// Seven days around a change of the clocks on three nodes that race for each tick, one of which is away for a day.
async fn seven_days(platform: Platform, begin: &str) {
    let begin = Berlin.from_local_datetime(&begin.parse::<NaiveDateTime>().unwrap()).unwrap().with_timezone(&Utc);
    let end = begin + Duration::days(7);
    travel(&platform, begin);
    let script = Script::default();
    let declared = [
        ("daily", Declared::sweep("30 2 * * *")),
        ("half-hourly", Declared::sweep("*/30 * * * *")),
        ("hourly", Declared::sweep("0 * * * *")),
    ];
    let others = [platform.node(Vec::new()).await, platform.node(Vec::new()).await];
    let nodes: Vec<Jobs> =
        std::iter::once(&platform).chain(&others).map(|node| jobs(node, &script, &declared)).collect();
    for node in &nodes {
        node.declare().await.unwrap();
    }
    for name in ["daily", "half-hourly"] {
        let zone = Change { time_zone: Some("Europe/Berlin".to_owned()), ..Change::default() };
        nodes[0].change(name, None, zone).await.unwrap();
    }
    let mut fired = 0;
    while platform.clock.now() < end {
        let day = (platform.clock.now() - begin).num_days();
        let there = if day == 3 { &nodes[1..] } else { &nodes[..] };
        let counts = futures_util::future::try_join_all(there.iter().map(|node| node.fire_due())).await.unwrap();
        fired += counts.iter().sum::<usize>();
        nodes[2].drain().await.unwrap();
        platform.clock.advance(Duration::minutes(10));
    }
    let offset = |at: DateTime<Utc>| at.with_timezone(&Berlin).naive_local() - at.naive_utc();
    let changed = offset(end) - offset(begin);
    let (daily, half_hourly, hourly) =
        (of(&platform, "daily").await, of(&platform, "half-hourly").await, of(&platform, "hourly").await);
    assert_eq!(daily.len(), 7, "once a day, at 02:30 or at the first moment after it");
    // The clock starts at midnight and a few microseconds.
    assert_eq!(half_hourly.len(), 7 * 48 - 1, "each half an hour that there was");
    assert_eq!(hourly.len(), 7 * 24 - 1);
    assert_eq!(daily.len() + half_hourly.len() + hourly.len(), fired, "each by one node");
    assert_ne!(changed, Duration::zero(), "the clocks were changed");
    for pair in half_hourly.windows(2) {
        assert_eq!(pair[1].scheduled_at - pair[0].scheduled_at, Duration::minutes(30));
    }
    let on_the_wall: Vec<_> =
        daily.iter().map(|job| job.scheduled_at.with_timezone(&Berlin).format("%H:%M").to_string()).collect();
    let spring = changed > Duration::zero();
    assert_eq!(
        on_the_wall.iter().filter(|time| *time == "02:30").count(),
        if spring { 6 } else { 7 },
        "{on_the_wall:?}"
    );
    let all = daily.iter().chain(&half_hourly).chain(&hourly);
    assert!(all.clone().all(|job| job.status == JobStatus::Succeeded && job.attempts == 1));
    assert_eq!(script.0.lock().unwrap().begun.len(), fired, "each was done once");
}

on_both_databases! {
    async fn each_tick_is_enqueued_once_over_seven_days_in_spring(platform) {
        seven_days(platform, "2027-03-25T00:00:00").await;
    }

    async fn each_tick_is_enqueued_once_over_seven_days_in_autumn(platform) {
        seven_days(platform, "2027-10-28T00:00:00").await;
    }

    async fn what_was_missed_is_made_up_for_as_the_policy_says(platform) {
        let script = Script::default();
        let declared = [
            ("coalesce", policy(MisfirePolicy::Coalesce, OverlapPolicy::Queue)),
            ("catch-up", policy(MisfirePolicy::CatchUp, OverlapPolicy::Queue)),
            ("skip", policy(MisfirePolicy::Skip, OverlapPolicy::Queue)),
        ];
        let node = jobs(&platform, &script, &declared);
        node.declare().await.unwrap();
        node.change("catch-up", None, Change { catch_up: Some(3), ..Change::default() }).await.unwrap();
        let first = to_next_tick(&platform);
        node.fire_due().await.unwrap();
        // Nobody is there for five hours; a restart finds what is stored.
        travel(&platform, first + Duration::minutes(305));
        let restarted = jobs(&platform, &script, &declared);
        restarted.declare().await.unwrap();
        restarted.fire_due().await.unwrap();
        assert_eq!(restarted.fire_due().await.unwrap(), 0);
        let ticks = async |name: &str| -> Vec<i64> {
            of(&platform, name).await.iter().map(|job| (job.scheduled_at - first).num_minutes()).collect()
        };
        assert_eq!(ticks("coalesce").await, [0, 300]);
        assert_eq!(ticks("catch-up").await, [0, 280, 290, 300]);
        assert_eq!(ticks("skip").await, [0]);
        for name in ["coalesce", "catch-up", "skip"] {
            assert_eq!(recurring(&restarted, name).await.next_at, Some(first + Duration::minutes(310)), "{name}");
        }
        // Queued ones of one recurring job run one after the other, and all of them.
        restarted.drain().await.unwrap();
        assert_eq!(statuses(&platform, "catch-up").await, [JobStatus::Succeeded; 4]);
    }

    async fn a_tick_that_overlaps_is_left_out_or_waits(platform) {
        let script = Script::default();
        let declared = [
            ("skips", policy(MisfirePolicy::Coalesce, OverlapPolicy::Skip)),
            ("queues", policy(MisfirePolicy::Coalesce, OverlapPolicy::Queue)),
        ];
        let other = platform.node(Vec::new()).await;
        let nodes = [jobs(&platform, &script, &declared), jobs(&other, &script, &declared)];
        nodes[0].declare().await.unwrap();
        to_next_tick(&platform);
        nodes[0].fire_due().await.unwrap();
        let held = stored::claim(&platform.master, "slow", &["skips", "queues"], 4).await.unwrap().leases;
        assert_eq!(held.len(), 2);
        // It goes on for longer than the ten minutes.
        for _ in 0..60 {
            platform.clock.advance(Duration::seconds(10));
            for lease in &held {
                assert!(stored::renew(&platform.master, lease).await.unwrap());
            }
        }
        assert_eq!(nodes[1].fire_due().await.unwrap(), 1);
        assert_eq!(statuses(&platform, "skips").await, [JobStatus::Running, JobStatus::Skipped]);
        assert_eq!(statuses(&platform, "queues").await, [JobStatus::Running, JobStatus::Queued]);
        nodes[1].drain().await.unwrap();
        assert_eq!(statuses(&platform, "queues").await, [JobStatus::Running, JobStatus::Queued], "one at a time");
        for lease in &held {
            stored::end(&platform.master, lease, Ok(serde_json::json!({}))).await.unwrap();
        }
        nodes[1].drain().await.unwrap();
        assert_eq!(statuses(&platform, "skips").await, [JobStatus::Succeeded, JobStatus::Skipped]);
        assert_eq!(statuses(&platform, "queues").await, [JobStatus::Succeeded; 2]);
    }

    async fn a_paused_job_leaves_out_its_ticks_and_runs_when_asked(platform) {
        let script = Script::default();
        let node = jobs(&platform, &script, &[("job", TEN_MINUTES)]);
        node.declare().await.unwrap();
        assert!(node.pause("job").await.unwrap().paused);
        for _ in 0..3 {
            to_next_tick(&platform);
            assert_eq!(node.fire_due().await.unwrap(), 0);
        }
        let asked = node.run_now("job").await.unwrap();
        node.drain().await.unwrap();
        let ran = of(&platform, "job").await;
        assert_eq!((ran.len(), ran[0].id, ran[0].manual, ran[0].status), (1, asked.id, true, JobStatus::Succeeded));
        assert_eq!(ran[0].summary, serde_json::json!({ "done": 1 }));
        // A declaration of the same program, as after a restart, changes nothing.
        node.declare().await.unwrap();
        assert!(recurring(&node, "job").await.paused);
        let resumed = node.resume("job").await.unwrap();
        assert!(resumed.next_at.unwrap() > platform.clock.now(), "what was left out is not made up for");
        to_next_tick(&platform);
        assert_eq!(node.fire_due().await.unwrap(), 1);
        assert!(matches!(node.pause("unknown").await, Err(Error::NotFound)));
        assert!(matches!(node.run_now("unknown").await, Err(Error::NotFound)));
    }

    async fn a_schedule_that_cannot_be_read_is_refused_with_the_reason(platform) {
        let node = jobs(&platform, &Script::default(), &[("job", TEN_MINUTES)]);
        node.declare().await.unwrap();
        let change = async |change| match node.change("job", Some(1), change).await {
            Err(Error::User(errors)) => (errors[0].field.clone().unwrap().join("."), errors[0].message.clone()),
            other => panic!("{other:?}"),
        };
        let text = |text: &str| Change { schedule: Some(text.to_owned()), ..Change::default() };
        let (field, reason) = change(text("every day")).await;
        assert_eq!((field.as_str(), reason.contains("five fields")), ("input.schedule", true), "{reason}");
        assert!(change(text("0 25 * * *")).await.1.contains("cannot be read"));
        let zone = Change { time_zone: Some("Nowhere".to_owned()), ..Change::default() };
        assert_eq!(change(zone).await.0, "input.timeZone");
        assert_eq!(change(Change { catch_up: Some(0), ..Change::default() }).await.0, "input.catchUp");
        let before = recurring(&node, "job").await;
        assert_eq!((before.schedule.as_str(), before.version), ("*/10 * * * *", 1), "nothing has changed");
        let daily = node.change("job", Some(1), text(" 0 3 * * * ")).await.unwrap();
        assert_eq!((daily.schedule.as_str(), daily.version), ("0 3 * * *", 2));
        assert_eq!(daily.next_at.unwrap().format("%H:%M:%S").to_string(), "03:00:00");
        assert!(matches!(node.change("job", Some(1), text("0 4 * * *")).await, Err(Error::User(_))), "a stale version");
    }

    /// The node dies: nothing renews its lease, and nobody ends the job.
    async fn a_dead_nodes_job_is_taken_over_and_its_late_word_does_not_count(platform) {
        let script = Script::default();
        let other = platform.node(Vec::new()).await;
        let (ours, theirs) =
            (jobs(&platform, &script, &[("job", TEN_MINUTES)]), jobs(&other, &script, &[("job", TEN_MINUTES)]));
        ours.declare().await.unwrap();
        to_next_tick(&platform);
        ours.fire_due().await.unwrap();
        let zombie = stored::claim(&platform.master, "zombie", &["job"], 4).await.unwrap().leases.remove(0);
        theirs.drain().await.unwrap();
        assert_eq!(script.begun("job"), 0, "it is held");
        platform.clock.advance(Duration::seconds(10));
        assert!(stored::renew(&platform.master, &zombie).await.unwrap());
        platform.clock.advance(Duration::seconds(10));
        theirs.drain().await.unwrap();
        assert_eq!(script.begun("job"), 0, "it was renewed");
        platform.clock.advance(Duration::seconds(6));
        theirs.drain().await.unwrap();
        assert_eq!(script.begun("job"), 1, "within 16 seconds of the last sign of life");
        let done = of(&platform, "job").await.remove(0);
        assert_eq!((done.status, done.attempts), (JobStatus::Succeeded, 2));
        assert!(!stored::renew(&platform.master, &zombie).await.unwrap());
        let late = stored::end(&platform.master, &zombie, Err("late")).await.unwrap();
        assert_eq!(late, stored::Ended::Lost);
        assert!(!stored::hand_back(&platform.master, &zombie).await.unwrap());
        assert_eq!(of(&platform, "job").await, [done]);
    }

    async fn a_poisoned_job_ends_as_a_dead_letter_and_blocks_nothing(platform) {
        let script = Script::default();
        let declared = [("fails", TEN_MINUTES), ("panics", TEN_MINUTES), ("kills", TEN_MINUTES), ("well", TEN_MINUTES)];
        let node = jobs(&platform, &script, &declared);
        node.declare().await.unwrap();
        script.set("fails", Does::Fail);
        script.set("panics", Does::Panic);
        let first = to_next_tick(&platform);
        node.fire_due().await.unwrap();
        // One that ends its process each time: claimed, and never heard of again.
        for attempt in 1..=3 {
            let claimed = stored::claim(&platform.master, "doomed", &["kills"], 1).await.unwrap();
            assert_eq!(claimed.leases[0].attempt, attempt);
            platform.clock.advance(Duration::seconds(16));
        }
        node.drain().await.unwrap();
        assert_eq!(statuses(&platform, "well").await, [JobStatus::Succeeded], "others are done meanwhile");
        let kills = of(&platform, "kills").await.remove(0);
        assert_eq!((kills.status, kills.attempts), (JobStatus::Dead, 3));
        assert!(kills.last_error.unwrap().contains("ended without a word during attempt 3"));
        let failed = of(&platform, "fails").await.remove(0);
        assert_eq!((failed.status, failed.attempts), (JobStatus::Failed, 1));
        assert!(failed.run_after - platform.clock.now() <= Duration::seconds(30));
        // The next tick does not wait for the one that is tried again.
        to_next_tick(&platform);
        script.set("fails", Does::Succeed);
        node.fire_due().await.unwrap();
        script.set("fails", Does::Fail);
        for _ in 0..8 {
            node.drain().await.unwrap();
            platform.clock.advance(Duration::minutes(1));
        }
        for (name, cause) in [("fails", "as it was told"), ("panics", "it panicked: as it was told")] {
            let dead = of(&platform, name).await.remove(0);
            assert_eq!((dead.scheduled_at, dead.status, dead.attempts), (first, JobStatus::Dead, 3), "{name}");
            assert_eq!(dead.last_error.as_deref(), Some(cause));
        }
        // A dead letter is tried again when somebody says so; nothing else is.
        script.set("fails", Does::Succeed);
        let dead = of(&platform, "fails").await.remove(0);
        assert_eq!(node.retry(dead.id).await.unwrap().status, JobStatus::Queued);
        node.drain().await.unwrap();
        let done = of(&platform, "fails").await.remove(0);
        assert_eq!((done.status, done.attempts, done.last_error), (JobStatus::Succeeded, 1, None));
        assert!(matches!(node.retry(done.id).await, Err(Error::User(_))));
        assert!(matches!(node.retry(uuid::Uuid::from_u128(1)).await, Err(Error::NotFound)));
        let page = JobPage { statuses: vec![JobStatus::Dead], limit: 100, ..JobPage::default() };
        assert!(node.list(&page).await.unwrap().iter().all(|job| job.status == JobStatus::Dead));
    }

    async fn a_node_that_stops_finishes_or_gives_back(platform) {
        let script = Script::default();
        let declared = [("hangs", TEN_MINUTES), ("well", TEN_MINUTES)];
        let node = jobs(&platform, &script, &declared);
        node.declare().await.unwrap();
        script.set("hangs", Does::Hang);
        to_next_tick(&platform);
        let (stop, task) = running(&node);
        node.fire_due().await.unwrap();
        script.until_begun("hangs", 1).await;
        script.until_begun("well", 1).await;
        assert!(node.runner_age().unwrap() < Time::from_secs(10));
        stop.cancel();
        let mut task = task;
        assert!(tokio::time::timeout(Time::from_millis(300), &mut task).await.is_err(), "it finishes what it has begun");
        node.run_now("well").await.unwrap();
        task.abort();
        let _ = task.await;
        node.hand_back().await;
        assert_eq!(node.runner_age(), None);
        let handed = of(&platform, "hangs").await.remove(0);
        assert_eq!((handed.status, handed.attempts, handed.lease_until), (JobStatus::Queued, 0, None), "no attempt is lost");
        assert_eq!(statuses(&platform, "well").await, [JobStatus::Succeeded, JobStatus::Queued], "nothing new was begun");
        // Another node goes on at once.
        script.set("hangs", Does::Succeed);
        let other = platform.node(Vec::new()).await;
        jobs(&other, &script, &declared).drain().await.unwrap();
        assert_eq!(statuses(&platform, "hangs").await, [JobStatus::Succeeded]);
        assert_eq!(statuses(&platform, "well").await, [JobStatus::Succeeded; 2]);
    }

    /// The whole of it, by the real clock: the scheduler ticks, the tick is fired, the job is done.
    async fn a_node_by_itself_fires_and_does(platform) {
        let script = Script::default();
        let node = jobs(&platform, &script, &[("job", TEN_MINUTES)]);
        let stop = CancellationToken::new();
        let (clock, of_clock) = (node.clone(), stop.clone());
        let clock = tokio::spawn(async move { clock.run_clock(of_clock).await });
        let (of_runner, runner) = running(&node);
        while node.recurring().await.unwrap().is_empty() {
            tokio::time::sleep(Time::from_millis(20)).await;
        }
        let tick = to_next_tick(&platform);
        script.until_begun("job", 1).await;
        assert_eq!(script.0.lock().unwrap().begun, [("job", tick)]);
        assert!(node.clock_age().unwrap() < Time::from_secs(10));
        stop.cancel();
        of_runner.cancel();
        clock.await.unwrap();
        runner.await.unwrap();
        assert_eq!((node.clock_age(), node.runner_age()), (None, None));
        assert_eq!(statuses(&platform, "job").await, [JobStatus::Succeeded]);
    }
}
