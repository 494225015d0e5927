//! Who wants to be reminded of an activity is, once, at the second that was asked for.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use entity::master::WorkKind;
use rapport::{data::value::moment, jobs::Worker, services::automation::reminders::Reminders};
use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{TestApp, TestTenant},
};

const CREATE: &str = "mutation($input: ActivityCreateInput!) {
    activityCreate(input: $input) { activity { id } userErrors { field code } }
}";
const UPDATE: &str = "mutation($id: ID!, $input: ActivityUpdateInput!) {
    activityUpdate(id: $id, input: $input) { activity { id } userErrors { field code } }
}";

async fn plan(tenant: &TestTenant, remind_at: DateTime<Utc>) -> Value {
    let input = json!({ "type": "TASK", "subject": "Call back", "remindAt": moment(remind_at) });
    tenant.agent.mutate(CREATE, json!({ "input": input })).await["activity"]["id"].clone()
}

/// What is raised when all reminders that are due have been taken.
async fn raised(app: &TestApp, tenant: &TestTenant) -> Vec<String> {
    let worker = reminders(app);
    app.raised(tenant, async || worker.drain().await.unwrap()).await.1
}

/// A worker that does nothing else.
fn reminders(app: &TestApp) -> Worker {
    Worker::new(app.app.identity().tenants().clone(), vec![Arc::new(Reminders)]).unwrap()
}

async fn due_at(app: &TestApp, tenant: &TestTenant) -> Option<DateTime<Utc>> {
    app.app.identity().tenants().due().known(tenant.id, WorkKind::Reminder).await.unwrap().due_at
}

on_both_engines! {
    async fn a_reminder_is_raised_once_at_its_second(app: TestApp) {
        let tenant = app.tenant("acme").await;
        app.app.worker().drain().await.unwrap();
        let at = app.clock.now() + Duration::minutes(20);
        let id = plan(&tenant, at).await;
        assert_eq!(due_at(&app, &tenant).await, Some(at), "the index knows the second");
        app.clock.advance(Duration::minutes(19));
        assert!(raised(&app, &tenant).await.is_empty(), "too early");
        app.clock.advance(Duration::minutes(1));
        // Two workers that come to it at the same moment.
        let workers = [reminders(&app), reminders(&app)];
        let (_, names) = app
            .raised(&tenant, async || {
                let (first, second) = tokio::join!(workers[0].drain(), workers[1].drain());
                first.unwrap();
                second.unwrap();
            })
            .await;
        assert_eq!(names, ["activity.due"]);
        // A change of something else reminds nobody again, and so does another look.
        tenant.agent.mutate(UPDATE, json!({ "id": id, "input": { "subject": "Call back soon" } })).await;
        app.clock.advance(Duration::minutes(5));
        assert!(raised(&app, &tenant).await.is_empty());
        // The owner hears of it, once.
        app.app.worker().drain().await.unwrap();
        let told = tenant.agent.data("{ notifications { nodes { kind title relatedToId } } }", json!({})).await;
        let told: Vec<_> = told["notifications"]["nodes"].as_array().unwrap().iter().collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["kind"], &told[0]["relatedToId"]), (&json!("REMINDER"), &id));
        assert_eq!(told[0]["title"], "Reminder: Activity “Call back”");
    }

    async fn a_reminder_follows_its_activity(app: TestApp) {
        let tenant = app.tenant("acme").await;
        app.app.worker().drain().await.unwrap();
        let now = app.clock.now();
        let at = |minutes: i64| now + Duration::minutes(minutes);
        let [moved, done, deleted, restored, cleared] =
            [plan(&tenant, at(10)).await, plan(&tenant, at(10)).await, plan(&tenant, at(10)).await,
             plan(&tenant, at(10)).await, plan(&tenant, at(10)).await];
        plan(&tenant, at(-10)).await;
        let late = json!({ "id": moved, "input": { "remindAt": moment(at(20)) } });
        tenant.agent.mutate(UPDATE, late).await;
        tenant.agent.mutate(UPDATE, json!({ "id": cleared, "input": { "remindAt": null } })).await;
        let complete = "mutation($id: ID!) { activityComplete(id: $id) { activity { id } userErrors { code } } }";
        tenant.agent.mutate(complete, json!({ "id": done })).await;
        for id in [&deleted, &restored] {
            let delete = "mutation($id: ID!) { activityDelete(id: $id) { userErrors { code } } }";
            tenant.admin.mutate(delete, json!({ "id": id })).await;
        }
        let restore = "mutation($id: ID!) { activityRestore(id: $id) { userErrors { code } } }";
        tenant.admin.mutate(restore, json!({ "id": restored })).await;
        app.clock.advance(Duration::minutes(11));
        assert_eq!(raised(&app, &tenant).await, ["activity.due"], "the restored one alone");
        app.clock.advance(Duration::minutes(10));
        assert_eq!(raised(&app, &tenant).await, ["activity.due"], "the one that was moved");
        tenant.admin.mutate(restore, json!({ "id": deleted })).await;
        assert!(raised(&app, &tenant).await.is_empty(), "its moment has passed");
    }
}
