//! The registry of tenants: one budget of connections for all of them, and no database for a tenant but its own.

use std::time::Duration;

use rapport::{
    data::{PoolSettings, Tenants, TenantsSettings},
    error::Error,
};
use sea_orm::{ConnectionTrait, sea_query::Query};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    on_both_databases, on_both_engines,
    support::platform::{Platform, connect, tenant_of},
};

const IDLE: Duration = Duration::from_millis(200);

/// A registry with room for two tenants of two connections each.
fn narrow(platform: &Platform) -> Tenants {
    let pool = PoolSettings { connections: 2, acquire_timeout: Duration::from_secs(2), idle_timeout: IDLE };
    let settings = TenantsSettings { url_template: platform.tenant_url_template.clone(), connection_budget: 4, pool };
    Tenants::new(platform.master.clone(), settings).unwrap()
}

on_both_databases! {
    async fn open_databases_share_one_budget(platform) {
        let mut ids = Vec::new();
        for slug in ["one", "two", "three"] {
            ids.push(tenant_of(&platform.tenant(slug).await));
        }
        let registry = narrow(&platform);
        drop(registry.open(ids[0]).await.unwrap());
        drop(registry.open(ids[1]).await.unwrap());
        assert_eq!(registry.usage(), (2, 0));
        // The one used least recently makes room.
        let third = registry.open(ids[2]).await.unwrap();
        assert_eq!(registry.usage(), (2, 0));
        let second = registry.open(ids[1]).await.unwrap();
        assert!(matches!(registry.open(ids[0]).await, Err(Error::Throttled { .. })), "both are in use");
        drop(third);
        let first = registry.open(ids[0]).await.unwrap();
        assert_eq!(registry.usage(), (2, 0));
        tokio::time::sleep(IDLE * 2).await;
        registry.close_idle();
        assert_eq!(registry.usage().0, 2, "what is in use stays open, however long");
        drop((first, second));
        registry.close_idle();
        // The shares come back as the connections close.
        for _ in 0..100 {
            if registry.usage() == (0, 4) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("open databases and free connections: {:?}", registry.usage());
    }

    async fn the_database_of_another_is_not_opened(platform) {
        let one = tenant_of(&platform.tenant("one").await);
        let two = tenant_of(&platform.tenant("two").await);
        let registry = narrow(&platform);
        assert!(registry.open(one).await.is_ok());
        registry.forget(one);
        let elsewhere = platform.tenant_url(two);
        platform.master_sql(&format!("UPDATE tenant SET database_url = '{elsewhere}' WHERE slug = 'one'")).await;
        assert!(matches!(registry.open(one).await, Err(Error::Internal(_))));
        assert!(registry.open(two).await.is_ok());
    }
}

on_both_engines! {
    /// The second fence: a row of another tenant that got into this database is nowhere.
    async fn a_stray_row_is_not_there(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = r#"mutation { customerCreate(input: { name: "Stray" }) {
            customer { id } userErrors { message } } }"#;
        let id = tenant.admin.mutate(create, json!({})).await["customer"]["id"].clone();
        let query = "query($id: ID!) {
            customer(id: $id) { id }
            node(id: $id) { id }
            customer360(id: $id) { customer { id } }
            customers { totalCount nodes { id } }
        }";
        let there = tenant.admin.data(query, json!({ "id": id })).await;
        assert_eq!(there["customers"], json!({ "totalCount": 1, "nodes": [{ "id": id }] }));

        let connection = connect(&app.tenant_url(tenant.id)).await;
        let elsewhere =
            Query::update().table("customer").value("tenant_id", Uuid::from_u128(7)).to_owned();
        connection.execute(&elsewhere).await.unwrap();
        connection.close().await.unwrap();
        let gone = tenant.admin.data(query, json!({ "id": id })).await;
        assert_eq!(gone["customers"], json!({ "totalCount": 0, "nodes": [] }));
        assert_eq!([&gone["customer"], &gone["node"], &gone["customer360"]], [&Value::Null; 3]);
        let update = r#"mutation($id: ID!) { customerUpdate(id: $id, input: { name: "Mine" }) {
            userErrors { code field } } }"#;
        let refused = tenant.admin.refused(update, json!({ "id": id })).await;
        assert_eq!(refused, [("NOT_FOUND".to_owned(), vec!["id".to_owned()])]);
    }
}
