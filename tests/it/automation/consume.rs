//! Consumers of the outbox: every event once, in order, whatever fails and whoever else is at it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use entity::tenant::{customer, dead_event, event_cursor, user};
use rapport::{
    data::{TenantDb, Unit, consume::Consumer, feed::Event},
    error::{Error, Result},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use crate::{on_both_engines, support::TestApp};

/// Writes down what it takes, and fails where it is told to.
#[derive(Clone, Default)]
struct Recorder(Arc<Record>);

#[derive(Default)]
struct Record {
    taken: Mutex<Vec<i64>>,
    /// The number of an event that it cannot take.
    poison: Mutex<Option<i64>>,
    panics: AtomicBool,
}

impl Recorder {
    fn taken(&self) -> Vec<i64> {
        self.0.taken.lock().unwrap().clone()
    }

    fn poison(&self, seq: Option<i64>) {
        *self.0.poison.lock().unwrap() = seq;
    }
}

impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    async fn take(&self, unit: &mut Unit, events: &[Arc<Event>]) -> Result<()> {
        for event in events {
            // In the same transaction as the cursor: what is rolled back was not taken.
            unit.next_number("taken").await?;
            if *self.0.poison.lock().unwrap() == Some(event.seq) {
                assert!(!self.0.panics.load(Ordering::Relaxed), "as it was told");
                return Err(Error::internal("it cannot be taken"));
            }
        }
        self.0.taken.lock().unwrap().extend(events.iter().map(|event| event.seq));
        Ok(())
    }
}

async fn customers(db: &TenantDb, count: usize) {
    let owner = db.find::<user::Entity>().unwrap().one().await.unwrap().expect("a tenant has users").id;
    db.write(async |unit| {
        for index in 0..count {
            let name = Set(format!("Customer {index}"));
            let new = customer::ActiveModel { name, owner_id: Set(owner), ..Default::default() };
            unit.insert::<customer::Entity>(new).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn drain(db: &TenantDb, recorder: &Recorder) -> Result<()> {
    while db.consume(recorder).await? {}
    Ok(())
}

/// How many were taken, as the database has it.
async fn counted(db: &TenantDb) -> i64 {
    db.write(async |unit| unit.next_number("taken").await).await.unwrap() - 1
}

async fn head(app: &TestApp, tenant: uuid::Uuid) -> i64 {
    let raw = app.raw(tenant).await;
    let query = sea_orm::Statement::from_string(raw.get_database_backend(), "SELECT event_seq FROM event_head");
    raw.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

on_both_engines! {
    async fn every_event_is_taken_once_in_order_by_however_many(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let db = app.system(tenant.id).await;
        customers(&db, 450).await;
        let recorder = Recorder::default();
        let last = head(&app, tenant.id).await;
        let race = (0..4).map(|_| {
            let (db, recorder) = (db.clone(), recorder.clone());
            tokio::spawn(async move {
                for _ in 0..20 {
                    // Whoever comes second finds the events taken.
                    if let Err(error) = db.consume(&recorder).await {
                        assert!(matches!(error, Error::Conflict(_)), "{error}");
                    }
                }
            })
        });
        for done in futures_util::future::join_all(race).await {
            done.unwrap();
        }
        drain(&db, &recorder).await.unwrap();
        assert_eq!(counted(&db).await, last, "what was committed");
        assert!(recorder.taken().len() as i64 >= last);
        assert_eq!(db.events_wait("recorder").await.unwrap(), None);
        customers(&db, 1).await;
        assert!(db.events_wait("recorder").await.unwrap().is_some());
    }

    async fn what_cannot_be_taken_ends_as_a_dead_letter_and_blocks_nothing(app: TestApp) {
        for panics in [false, true] {
            let tenant = app.tenant(if panics { "panics" } else { "fails" }).await;
            let db = app.system(tenant.id).await;
            let recorder = Recorder::default();
            recorder.0.panics.store(panics, Ordering::Relaxed);
            drain(&db, &recorder).await.unwrap();
            let before = head(&app, tenant.id).await;
            customers(&db, 5).await;
            recorder.poison(Some(before + 3));
            for attempt in 1..6 {
                drain(&db, &recorder).await.expect_err("it is tried again");
                let raw = app.raw(tenant.id).await;
                let cursor = event_cursor::Entity::find_by_id("recorder").one(&raw).await.unwrap().unwrap();
                assert_eq!((cursor.position, cursor.failures), (before + 2, attempt), "those before it count");
                assert_eq!(dead_event::Entity::find().all(&raw).await.unwrap(), []);
            }
            drain(&db, &recorder).await.expect("it is passed over");
            let taken: Vec<i64> = recorder.taken().into_iter().filter(|seq| *seq > before).collect();
            assert_eq!(taken, [before + 1, before + 2, before + 4, before + 5]);
            assert_eq!(counted(&db).await, before + 4, "nothing of what failed stays");
            let raw = app.raw(tenant.id).await;
            let dead = dead_event::Entity::find().all(&raw).await.unwrap();
            assert_eq!(dead.len(), 1);
            assert_eq!((dead[0].seq, dead[0].attempts, dead[0].name.as_str()), (before + 3, 6, "customer.created"));
            let cause = if panics { "the consumer panicked" } else { "it cannot be taken" };
            assert_eq!(dead[0].reason, cause);
        }
    }

    /// What failed for a while is not lost.
    async fn what_can_be_taken_later_is_taken_later(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let db = app.system(tenant.id).await;
        let recorder = Recorder::default();
        customers(&db, 3).await;
        let last = head(&app, tenant.id).await;
        recorder.poison(Some(last));
        drain(&db, &recorder).await.unwrap_err();
        drain(&db, &recorder).await.unwrap_err();
        recorder.poison(None);
        drain(&db, &recorder).await.unwrap();
        assert_eq!(recorder.taken(), (1..=last).collect::<Vec<_>>());
        let raw = app.raw(tenant.id).await;
        let cursor = event_cursor::Entity::find_by_id("recorder").one(&raw).await.unwrap().unwrap();
        assert_eq!((cursor.position, cursor.failures, cursor.last_error), (last, 0, None));
    }
}
