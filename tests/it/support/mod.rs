//! What tests share: a running application on either engine, tenants and actors in it, and requests over real HTTP;
//! and, for the rules of identity, the databases alone.

pub mod app;
pub mod live;
pub mod platform;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod session;
pub mod smtp;

pub use app::{Engine, TestApp, TestTenant};
pub use live::{Socket, sequence};
pub use session::{Answer, Session};

/// Runs a test on SQLite and on PostgreSQL.
///
/// ```ignore
/// on_both_engines! {
///     async fn a_customer_is_created(app: TestApp) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$doc:meta])* async fn $name:ident($app:ident: TestApp) $body:block)*) => {
        $(
            $(#[$doc])*
            mod $name {
                use super::*;

                async fn run($app: $crate::support::TestApp) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    run($crate::support::TestApp::start_for(module_path!(), $crate::support::Engine::Sqlite).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    run($crate::support::TestApp::start_for(module_path!(), $crate::support::Engine::Postgres).await).await;
                }
            }
        )*
    };
}
