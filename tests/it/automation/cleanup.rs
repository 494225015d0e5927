//! What is kept long enough goes, in each tenant at its own 02:00; what is needed stays. And a tick of the recurring jobs opens
//! no database that has nothing due.

use chrono::{DateTime, Duration, Timelike, Utc};
use chrono_tz::Tz;
use entity::{
    master::{JobStatus, WorkKind, refresh_token, session},
    tenant::{email_message, event_cursor},
};
use rapport::{app::App, jobs::JobPage};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait};
use serde_json::json;

use crate::{
    on_both_engines,
    support::{TestApp, TestTenant, platform::connect},
};

/// Runs a recurring job now.
async fn run_job(app: &App, name: &str) -> serde_json::Value {
    let asked = app.jobs().run_now(name).await.unwrap();
    app.jobs().drain().await.unwrap();
    let page = JobPage { limit: 100, ..JobPage::default() };
    let job = app.jobs().list(&page).await.unwrap().into_iter().find(|job| job.id == asked.id).unwrap();
    assert_eq!(job.status, JobStatus::Succeeded, "{:?}", job.last_error);
    job.summary
}

async fn cleaned_at(app: &TestApp, tenant: &TestTenant) -> DateTime<Utc> {
    let due = app.app.identity().tenants().due();
    due.known(tenant.id, WorkKind::Cleanup).await.unwrap().due_at.expect("it is to be cleaned")
}

/// The numbers of the events that are kept.
async fn events(app: &TestApp, tenant: &TestTenant) -> Vec<i64> {
    let connection = app.raw(tenant.id).await;
    let backend = connection.get_database_backend();
    let query = sea_orm::Statement::from_string(backend, "SELECT seq FROM event ORDER BY seq");
    let rows = connection.query_all_raw(query).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

on_both_engines! {
    async fn each_tenant_is_cleaned_at_its_own_two_o_clock(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        let tenant = app.tenant("acme").await;
        let master = connect(&app.master_url()).await;
        let zone = "America/New_York";
        master.execute_unprepared(&format!("UPDATE tenant SET time_zone = '{zone}'")).await.unwrap();
        assert_eq!(run_job(&app.app, "CleanupOldDataJob").await["tenantsEnrolled"], 1);
        assert_eq!(run_job(&app.app, "CleanupOldDataJob").await["tenantsEnrolled"], 0);
        let first = cleaned_at(&app, &tenant).await;
        let local = first.with_timezone(&zone.parse::<Tz>().unwrap());
        assert_eq!((local.hour(), local.minute(), local.second()), (2, 0, 0));
        assert!(first > app.clock.now() && first < app.clock.now() + Duration::hours(26));

        // Old and young, done and waiting.
        let db = app.system(tenant.id).await;
        let mail = async || db.write(async |unit| unit.queue_email("a@b.example", "invitation", json!({})).await).await.unwrap();
        let (sent, waiting) = (mail().await, mail().await);
        let old = events(&app, &tenant).await;
        let raw = app.raw(tenant.id).await;
        for (consumer, position) in [("quick", old.len()), ("slow", 3)] {
            let cursor = event_cursor::ActiveModel {
                consumer: Set(consumer.to_owned()),
                tenant_id: Set(tenant.id),
                position: Set(i64::try_from(position).unwrap()),
                failures: Set(0),
                last_error: Set(None),
            };
            cursor.insert(&raw).await.unwrap();
        }
        let create = "mutation { customerCreate(input: { name: \"Once\" }) { userErrors { code } } }";
        tenant.admin.send_with(create, json!({}), &[("idempotency-key", "k1")]).await;
        let query = "UPDATE email_message SET status = 'SENT'";
        raw.execute_unprepared(query).await.unwrap();
        let mut again = email_message::Entity::find_by_id(waiting).one(&raw).await.unwrap().unwrap().into_active_model();
        again.status = Set(email_message::EmailStatus::Queued);
        again.update(&raw).await.unwrap();
        let outcomes = async || {
            let count = sea_orm::Statement::from_string(raw.get_database_backend(), "SELECT COUNT(*) FROM idempotency_key");
            raw.query_one_raw(count).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
        };
        assert_eq!(outcomes().await, 1);

        app.clock.advance(first - app.clock.now() + Duration::seconds(1));
        app.app.worker().drain().await.unwrap();
        assert!(events(&app, &tenant).await.starts_with(&old), "nothing is old enough");
        let next = cleaned_at(&app, &tenant).await;
        assert!((Duration::hours(23)..=Duration::hours(25)).contains(&(next - first)), "{next}");

        let young = app.clock.now() + Duration::days(95);
        app.clock.advance(Duration::days(95));
        let fresh = mail().await;
        app.app.worker().drain().await.unwrap();
        assert_eq!(events(&app, &tenant).await[0], 4, "what a consumer has not taken stays");
        let mut kept: Vec<_> = email_message::Entity::find().all(&raw).await.unwrap().iter().map(|mail| mail.id).collect();
        kept.sort();
        assert_eq!(kept, [waiting, fresh], "{sent} was sent long ago");
        assert_eq!(outcomes().await, 0);
        let mut slow = event_cursor::Entity::find_by_id("slow").one(&raw).await.unwrap().unwrap().into_active_model();
        slow.position = Set(i64::try_from(old.len()).unwrap());
        slow.update(&raw).await.unwrap();
        app.clock.advance(Duration::days(1));
        app.app.worker().drain().await.unwrap();
        assert!(events(&app, &tenant).await.iter().all(|seq| *seq > i64::try_from(old.len()).unwrap()));
        // A subscriber that was away for longer is told so, and a new one is not.
        let open = app.app.identity().tenants().open(tenant.id).await.unwrap();
        assert!(open.changes(Some(1), 100).await.is_err());
        assert!(open.changes(None, 100).await.is_ok());
        assert!(young < app.clock.now());
        raw.close().await.unwrap();
        master.close().await.unwrap();
    }

    async fn sessions_that_have_ended_go_and_the_others_stay(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        let tenant = app.tenant("acme").await;
        let master = connect(&app.master_url()).await;
        let sessions = async || session::Entity::find().count(&master).await.unwrap();
        let before = sessions().await;
        assert!(before >= 5);
        run_job(&app.app, "CleanupOldDataJob").await;
        assert_eq!(sessions().await, before);
        app.clock.advance(Duration::days(61));
        let _later = app.login(&format!("admin@{}.example", tenant.slug), &tenant.slug).await;
        let summary = run_job(&app.app, "CleanupOldDataJob").await;
        assert!(summary["sessionsRemoved"].as_u64().unwrap() >= before);
        assert_eq!((sessions().await, refresh_token::Entity::find().count(&master).await.unwrap()), (1, 1));
        // Done jobs go, too: the first runs of this one are older than a month.
        assert_eq!(summary["jobsRemoved"], 1);
        master.close().await.unwrap();
    }

    async fn a_tick_opens_no_tenants_database(app: TestApp) {
        let (first, _second) = (app.tenant("acme").await, app.tenant("globex").await);
        let node = app.node().await.app.clone();
        node.jobs().declare().await.unwrap();
        let names: Vec<String> =
            node.jobs().recurring().await.unwrap().into_iter().map(|(cron, _)| cron.name).collect();
        assert!(["CleanupOldDataJob", "ProcessEmailQueueJob", "SendReminderNotificationsJob"].iter().all(|name| names.iter().any(|of| of == name)));
        let due = node.identity().tenants().due();
        due.mark(first.id, WorkKind::Email, app.clock.now() - Duration::minutes(2)).await.unwrap();
        due.hear(true);
        // That the tenants were made is told to webhooks, too; not here.
        let names: Vec<String> = names.into_iter().filter(|name| name != "ProcessWebhookDeliveriesJob").collect();
        for name in &names {
            let summary = run_job(&node, name).await;
            if name == "ProcessEmailQueueJob" {
                assert_eq!(summary, json!({ "tenants": 1, "late": 1, "failing": 0 }));
            }
        }
        assert_eq!(node.identity().tenants().usage().0, 0);
        assert_eq!(due.hints(), [(first.id, WorkKind::Email)], "the worker is told, and opens what is due alone");
    }

    /// Ten thousand tenants with nothing due: what a minute of all clocks and jobs takes.
    async fn ten_thousand_idle_tenants_cost_next_to_nothing(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        app.tenant("acme").await;
        let master = connect(&app.master_url()).await;
        let columns = "status, database_url, schema_version, provisioning_step, base_currency, time_zone, locale, version, \
                       provisioned_at, suspended_at, deleted_at, created_at, updated_at";
        let many = match master.get_database_backend() {
            sea_orm::DbBackend::Sqlite => format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
                 INSERT INTO tenant (id, slug, name, {columns}) SELECT randomblob(16), 't' || i, name, {columns} FROM n, tenant"
            ),
            _ => format!(
                "INSERT INTO tenant (id, slug, name, {columns}) \
                 SELECT gen_random_uuid(), 't' || i, name, {columns} FROM generate_series(1, 9999) i, tenant"
            ),
        };
        master.execute_unprepared(&many).await.unwrap();
        assert_eq!(run_job(&app.app, "CleanupOldDataJob").await["tenantsEnrolled"], 10_000);
        let node = app.node().await.app.clone();
        app.clock.advance(Duration::minutes(1));
        let begin = std::time::Instant::now();
        for _ in 0..60 {
            node.jobs().fire_due().await.unwrap();
        }
        let ticks = begin.elapsed();
        let names: Vec<String> = node.jobs().recurring().await.unwrap().into_iter().map(|(cron, _)| cron.name).collect();
        let begin = std::time::Instant::now();
        for name in &names {
            run_job(&node, name).await;
        }
        eprintln!("60 ticks took {ticks:?}, a run of each of the {} jobs {:?} together", names.len(), begin.elapsed());
        assert_eq!(node.identity().tenants().usage().0, 0);
        assert!(ticks / 60 < std::time::Duration::from_millis(50), "{ticks:?}");
        master.close().await.unwrap();
    }
}
