//! What writes leave behind when many write at once: events numbered without gaps and in commit order, and an audit
//! log whose chain holds.

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use entity::tenant::customer::{self, CustomerStatus, CustomerType};
use rapport::error::Error;
use sea_orm::ActiveValue::Set;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    on_both_databases,
    support::platform::{Platform, tenant_of},
};

const TASKS: usize = 8;
const WRITES: usize = 25;

/// The chain's hash, computed apart from the platform: SHA-256 over parts that are preceded by their lengths.
fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    HEXLOWER.encode(&hasher.finalize())
}

/// Reads the whole log and computes every commitment and hash again; answers how many entries there are.
async fn verify_chain(platform: &Platform, tenant_id: Uuid) -> i64 {
    let rows = platform
        .tenant_rows(
            tenant_id,
            "SELECT seq, created_at, actor_id, action, record_type, record_id, changes, salt, commitment, hash \
             FROM audit_log ORDER BY seq",
        )
        .await;
    let mut hash = String::new();
    for (index, row) in rows.iter().enumerate() {
        let seq: i64 = row.try_get_by_index(0).unwrap();
        assert_eq!(seq, index as i64 + 1, "the log has no gaps");
        let at: DateTime<Utc> = row.try_get_by_index(1).unwrap();
        let (actor, record): (Uuid, Uuid) = (row.try_get_by_index(2).unwrap(), row.try_get_by_index(5).unwrap());
        let (action, kind): (String, String) = (row.try_get_by_index(3).unwrap(), row.try_get_by_index(4).unwrap());
        let changes: Json = row.try_get_by_index(6).unwrap();
        let (salt, commitment): (String, String) = (row.try_get_by_index(7).unwrap(), row.try_get_by_index(8).unwrap());
        assert_eq!(digest(&[&salt, &changes.to_string()]), commitment, "entry {seq}: {changes}");
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let (actor, record) = (actor.to_string(), record.to_string());
        hash = digest(&[&hash, &seq.to_string(), &at, &actor, &action, &kind, &record, &commitment]);
        assert_eq!(hash, row.try_get_by_index::<String>(9).unwrap(), "entry {seq}");
    }
    let head = platform.tenant_rows(tenant_id, "SELECT audit_seq, audit_hash FROM event_head").await;
    assert_eq!(head[0].try_get_by_index::<String>(1).unwrap(), hash);
    assert_eq!(head[0].try_get_by_index::<i64>(0).unwrap(), rows.len() as i64);
    rows.len() as i64
}

fn new_customer(name: String) -> customer::ActiveModel {
    customer::ActiveModel {
        name: Set(name),
        r#type: Set(CustomerType::Company),
        status: Set(CustomerStatus::Prospect),
        annual_revenue: Set(Some(1_234_567)),
        currency: Set(Some("EUR".to_owned())),
        tags: Set(serde_json::json!(["b", "ä", "a"])),
        ..Default::default()
    }
}

on_both_databases! {
    async fn events_have_no_gaps_and_the_chain_holds_when_eight_write_at_once(platform) {
        let admin = platform.tenant("acme").await;
        let tenant_id = tenant_of(&admin);
        let before = verify_chain(&platform, tenant_id).await;
        let mut heard = platform.tenants.open(tenant_id).await.unwrap().feed().listen();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (tenants, actor) = (platform.tenants.clone(), admin.principal.member().unwrap().actor.clone());
                tokio::spawn(async move {
                    let db = tenants.open(actor.tenant_id).await.unwrap().for_actor(actor, None);
                    for write in 0..WRITES {
                        let name = format!("{task}/{write}");
                        let made = db
                            .write(async |unit| {
                                let row = unit.insert::<customer::Entity>(new_customer(name.clone())).await?;
                                let more = customer::ActiveModel {
                                    status: Set(CustomerStatus::Active),
                                    ..Default::default()
                                };
                                unit.update::<customer::Entity>(row.id, Some(1), more).await?;
                                // Every fifth is given up, and must leave no hole.
                                if write % 5 == 4 { Err(Error::Conflict("given up".to_owned())) } else { Ok(()) }
                            })
                            .await;
                        assert_eq!(made.is_err(), write % 5 == 4, "{made:?}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let kept = (TASKS * WRITES * 4 / 5) as i64;
        assert_eq!(verify_chain(&platform, tenant_id).await, before + 2 * kept);
        let gaps = "SELECT count(*), min(seq), max(seq) FROM event";
        let row = platform.tenant_rows(tenant_id, gaps).await.remove(0);
        let (count, least, most): (i64, i64, i64) =
            (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap());
        assert_eq!((count, least, most), (before + 2 * kept, 1, before + 2 * kept));
        assert_eq!(platform.tenant_number(tenant_id, "SELECT count(*) FROM customer").await, kept);
        // A created event comes right before the update of the same record: units are numbered as wholes.
        let names = platform.tenant_rows(tenant_id, "SELECT name, record_id FROM event ORDER BY seq").await;
        for pair in names[before as usize..].chunks(2) {
            let read = |row: &sea_orm::QueryResult| -> (String, Uuid) {
                (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())
            };
            let ((first, id), (second, same)) = (read(&pair[0]), read(&pair[1]));
            assert_eq!((first.as_str(), second.as_str()), ("customer.created", "customer.updated"));
            assert_eq!(id, same);
        }
        let mut seqs = Vec::new();
        while let Ok(event) = heard.try_recv() {
            seqs.push(event.seq);
        }
        seqs.sort_unstable();
        assert_eq!(seqs, (before + 1..=before + 2 * kept).collect::<Vec<_>>(), "every event was heard in this process");
    }

    async fn a_changed_entry_is_found(platform) {
        let admin = platform.tenant("acme").await;
        let tenant_id = tenant_of(&admin);
        verify_chain(&platform, tenant_id).await;
        platform.tenant_sql(tenant_id, "UPDATE audit_log SET action = 'deleted' WHERE seq = 2").await;
        let platform = std::sync::Arc::new(platform);
        let broken = {
            let platform = platform.clone();
            tokio::spawn(async move { verify_chain(&platform, tenant_id).await }).await
        };
        assert!(broken.is_err(), "the chain must break");
    }

    async fn concurrent_changes_of_one_record_are_all_kept_or_told(platform) {
        let admin = platform.tenant("acme").await;
        let tenant_id = tenant_of(&admin);
        let db = platform.db(&admin).await;
        let row = db.write(async |unit| unit.insert::<customer::Entity>(new_customer("One".to_owned())).await);
        let id = row.await.unwrap().id;
        let tasks: Vec<_> = (0..TASKS as i32)
            .map(|task| {
                let db = db.clone();
                tokio::spawn(async move {
                    let change = customer::ActiveModel { employee_count: Set(Some(task)), ..Default::default() };
                    db.write(async |unit| unit.update::<customer::Entity>(id, None, change).await).await.unwrap();
                    let stale = customer::ActiveModel { founded_year: Set(Some(task)), ..Default::default() };
                    db.write(async |unit| unit.update::<customer::Entity>(id, Some(1), stale).await).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(crate::identity::refused(task.await.unwrap()).0, rapport::error::UserErrorCode::StaleVersion);
        }
        let row = db.find::<customer::Entity>().unwrap().id(id).one().await.unwrap().unwrap();
        assert_eq!((row.version, row.founded_year), (1 + TASKS as i32, None));
        verify_chain(&platform, tenant_id).await;
    }
}
