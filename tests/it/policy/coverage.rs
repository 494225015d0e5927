//! Nothing changes unseen: every mutation leaves audit entries and events of the user who acted, with each changed field
//! before and after.

use entity::tenant::audit_log;
use serde_json::Value;

use super::{
    surface::{Kind, Surface},
    world,
};
use crate::{
    on_both_engines,
    support::{TestApp, TestTenant},
};

/// Mutations that are not called, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("register", "makes a tenant, whose journal begins with it: tests/it/identity/provisioning.rs"),
    ("tenantCreate", "for platform administrators; makes a tenant: tests/it/identity/provisioning.rs"),
    ("tenantSuspend", "for platform administrators, in the master database: tests/it/identity/api.rs"),
    ("tenantResume", "for platform administrators, in the master database: tests/it/identity/api.rs"),
    ("tenantDelete", "for platform administrators, in the master database: tests/it/identity/api.rs"),
    ("jobRetry", JOBS),
    ("cronPause", JOBS),
    ("cronResume", JOBS),
    ("cronRunNow", JOBS),
    ("cronUpdate", JOBS),
    ("userInviteAgain", "sends a new link: the user's record stays as it is, and a link has no place in a log"),
    ("notificationMarkRead", READ),
    ("notificationMarkUnread", READ),
    ("notificationMarkAllRead", READ),
    ("webhookPing", SENT),
    ("webhookDeliveryRetry", SENT),
    ("webhookReplay", SENT),
    ("login", SESSION),
    ("platformLogin", SESSION),
    ("tokenRefresh", SESSION),
    ("logout", SESSION),
    ("logoutAll", SESSION),
    ("passwordChange", SESSION),
    ("passwordResetRequest", SESSION),
    ("passwordReset", SESSION),
    ("invitationAccept", SESSION),
];

/// These are in the master database.
const JOBS: &str = "for platform administrators, in the master database: tests/it/automation/jobs_api.rs";
/// No audit entry, that is; an event there is.
const READ: &str = "what somebody has read is his own business: tests/it/automation/notification.rs";

/// What is on its way to a webhook is no record of its own that changes.
const SENT: &str = "puts deliveries on their way: tests/it/automation/webhook";

/// These are in the master database, and would end the session that asks.
const SESSION: &str = "opens, renews or ends sessions: tests/it/identity/sessions.rs, passwords.rs";

on_both_engines! {
    async fn every_mutation_leaves_its_traces(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let roots = surface.roots();
        let before = world::plant(&surface, &tenant.admin, &tenant.admin, "BEFORE").await;
        let mut after = world::plant(&surface, &tenant.admin, &tenant.admin, "AFTER").await;
        after.insert("user".to_owned(), tenant.manager.user_id.clone());
        let acting = rapport::data::ids::decode(&tenant.admin.user_id).unwrap().1;
        let mut feed = app.app.identity().tenants().open(tenant.id).await.unwrap().feed().listen();
        let mut wrong = Vec::new();
        for root in roots.iter().filter(|root| root.kind == Kind::Mutation) {
            if EXCEPTIONS.iter().any(|(name, _)| *name == root.name) {
                continue;
            }
            // A new record, so that what one mutation did is nothing to the next.
            let ids = world::fresh(&surface, &tenant.admin, root, &before, &after).await;

            let logged = entries(&app, &tenant).await.len();
            while feed.try_recv().is_ok() {}
            let marker = format!("Done-{:08x}", rand::random::<u32>());
            let arguments = match world::perform(&surface, &tenant.admin, root, &ids, Some(&marker)).await {
                Ok((arguments, _)) => arguments,
                Err(error) => {
                    wrong.push(format!(
                        "{} could not be done: {error}\n  say in FIRST of tests/it/policy/world.rs what must come before",
                        root.name
                    ));
                    continue;
                }
            };
            let entries = entries(&app, &tenant).await.split_off(logged);
            let mut events = Vec::new();
            while let Ok(event) = feed.try_recv() {
                events.push(event);
            }
            if entries.is_empty() || events.is_empty() {
                wrong.push(format!(
                    "{} leaves {} audit entries and {} events; if it changes no data, say why in EXCEPTIONS of \
                     tests/it/policy/coverage.rs",
                    root.name, entries.len(), events.len()
                ));
            }
            for entry in &entries {
                let name = format!("{}.{}", entry.record_type, entry.action);
                let mut kept: Vec<String> = entry.changes.as_object().unwrap().keys().cloned().collect();
                kept.sort();
                // The event of a new record names no fields: all are new.
                let told = events.iter().any(|event| {
                    let mut told = event.changed_fields.clone();
                    told.sort();
                    event.name == name && event.record_id == entry.record_id && (entry.action == "created" || told == kept)
                });
                if !told {
                    wrong.push(format!("{}: the audit log has {name} of {kept:?}, and no event tells of it", root.name));
                }
                if entry.actor_id != acting {
                    wrong.push(format!("{}: {name} is said to be done by {}", root.name, entry.actor_id));
                }
                for (field, change) in entry.changes.as_object().unwrap() {
                    if change["from"] == change["to"] || change.get("from").is_none() || change.get("to").is_none() {
                        wrong.push(format!("{}: {name} has {field} as {change}", root.name));
                    }
                }
            }
            if let Some(event) = events.iter().find(|event| event.actor_id != acting) {
                wrong.push(format!("{}: {} is said to be done by {}", root.name, event.name, event.actor_id));
            }
            // What was sent is what is kept.
            let sent = arguments.get("input").and_then(Value::as_object).into_iter().flatten();
            for (field, value) in sent.filter(|(_, value)| value.as_str() == Some(marker.as_str())) {
                if !entries.iter().any(|entry| entry.changes[field]["to"] == *value) {
                    wrong.push(format!("{}: {field} was set to {value}, and no audit entry says so", root.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

async fn entries(app: &TestApp, tenant: &TestTenant) -> Vec<audit_log::Model> {
    let system = app.system(tenant.id).await;
    let mut entries = system.find::<audit_log::Entity>().unwrap().all().await.unwrap();
    entries.sort_by_key(|entry| entry.seq);
    entries
}
