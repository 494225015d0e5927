//! The page of the jobs in a real, headless Chromium: logged in, read and steered by the keyboard alone, looked over by axe.

use chrono::Duration;
use rapport::data::job;

use super::{node, tools};
use crate::support::{Engine, TestApp, app::PASSWORD};

/// Where a Chromium may be. `scripts/test` says so, and installs one where it can.
const PLACES: [&str; 6] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

fn browser() -> Option<String> {
    let told = std::env::var("RAPPORT_TEST_CHROMIUM").ok();
    told.or_else(|| PLACES.iter().find(|place| std::path::Path::new(place).exists()).map(ToString::to_string))
}

/// A dead letter: its node was never heard of again, five times.
async fn dead_letter(app: &TestApp, name: &str) {
    app.app.jobs().run_now(name).await.unwrap();
    for _ in 0..5 {
        let claimed = job::claim(app.app.master(), "doomed", &[name], 1).await.unwrap();
        assert_eq!(claimed.leases.len(), 1);
        app.clock.advance(Duration::seconds(16));
    }
    app.app.jobs().drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_jobs_is_used_by_the_keyboard_alone() {
    let Some(browser) = browser() else {
        assert!(std::env::var_os("RAPPORT_TEST_COMPLETE").is_none(), "this test needs Chromium: RAPPORT_TEST_CHROMIUM");
        eprintln!("there is no Chromium: the page of the jobs is not looked at");
        return;
    };
    let app = TestApp::start(Engine::Sqlite).await;
    app.app.jobs().declare().await.unwrap();
    app.tenant("acme").await;
    app.app.identity().platform_admin_create("root@platform.example", PASSWORD).await.unwrap();
    app.app.jobs().run_now("CleanupOldDataJob").await.unwrap();
    app.app.jobs().drain().await.unwrap();
    dead_letter(&app, "SendReminderNotificationsJob").await;
    let (script, server) = (tools("browser/jobs-page.mjs"), app.url(""));
    let said = node(&tools("browser"), &script, &[&browser, &server, "root@platform.example", PASSWORD]).await.well();
    eprintln!("{said}");
}
