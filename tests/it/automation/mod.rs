//! What happens by itself: the index of what is due, the worker, recurring jobs, e-mail, webhooks.

mod cleanup;
mod consume;
mod due;
mod email;
mod jobs;
mod jobs_api;
mod notification;
mod reminders;
mod webhook;
mod worker;

/// Runs a test on SQLite and on PostgreSQL: `async fn name(engine) { … }`.
#[macro_export]
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* async fn $name:ident($engine:ident) $body:block)*) => { $(
        async fn $name($engine: $crate::support::Engine) $body

        $(#[$meta])*
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::Engine::Postgres).await;
            }
        }
    )* };
}
