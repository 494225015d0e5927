//! Each verdict, and the whole report.

use std::io::{Read, Write};

use super::*;
use crate::config::{Secret, Sources};

fn config() -> Config {
    let mut config = Config::defaults().unwrap();
    config.server.port = 0;
    config.auth.secret = Some(Secret::new("jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk"));
    config
}

#[test]
fn a_sound_configuration_has_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.database.data_dir = folder.path().join("not/yet");
    let report = examine(&Ok(config), &Clock::system());
    assert_eq!(report.exit(), Exit::Done, "{report}");
    let text = report.to_string();
    assert!(text.contains("not/yet will be made at the first start") && text.contains("0 problems"), "{text}");
    assert!(!folder.path().join("not").exists(), "the doctor changes nothing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the doctor leaves nothing behind");
}

#[test]
fn wrong_settings_are_all_named_with_their_variables() {
    let environment = vec![("RAPPORT_DATABASE__MASTER_URL".to_owned(), "mysql://x".to_owned())];
    let report = examine(&Config::load(&Sources { environment, ..Sources::none() }), &Clock::system());
    assert_eq!(report.exit(), Exit::Findings);
    let text = report.to_string();
    assert!(text.contains("PROBLEM  database.master_url: must begin with sqlite:"), "{text}");
    assert!(text.contains("Variable: RAPPORT_DATABASE__MASTER_URL"), "{text}");

    let mut config = config();
    config.auth.secret = None;
    let report = examine(&Ok(config), &Clock::system());
    assert!(report.to_string().contains("PROBLEM  auth.secret: is not set"), "{report}");
}

#[test]
fn a_port_is_free_or_ours_or_taken() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = config();
    assert_eq!(port_check(&config).verdict, Verdict::Well);
    config.server.port = listener.local_addr().unwrap().port();

    let serve = |listener: TcpListener, answer: &'static str| {
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 256];
                let read = client.read(&mut part).unwrap();
                assert!(read > 0, "the request ended early");
                request.extend_from_slice(&part[..read]);
            }
            assert!(request.starts_with(b"GET /health/live HTTP/1.0\r\n"));
            client.write_all(answer.as_bytes()).unwrap();
        })
    };
    let second = listener.try_clone().unwrap();
    let server = serve(listener, "HTTP/1.1 200 OK\r\n\r\n{}");
    assert_eq!(port_check(&config).verdict, Verdict::Well);
    server.join().unwrap();
    let server = serve(second, "220 mail.example ESMTP\r\n");
    assert_eq!(port_check(&config).verdict, Verdict::Problem);
    server.join().unwrap();
}

#[test]
fn a_server_for_others_should_know_its_address_and_be_encrypted() {
    let mut config = config();
    assert_eq!(exposure_check(&config), None);
    config.server.host = "0.0.0.0".to_owned();
    assert_eq!(exposure_check(&config).unwrap().verdict, Verdict::Warning);
    config.server.public_url = Some("http://crm.example.com".to_owned());
    assert!(exposure_check(&config).unwrap().detail.contains("not encrypted"));
    config.server.public_url = Some("https://crm.example.com".to_owned());
    assert_eq!(exposure_check(&config), None);
}

#[test]
fn the_limit_of_open_files_must_hold_the_budget() {
    let limits =
        |soft: &str| format!("Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}   4096  files\n");
    let check = |soft: &str| open_files_check(&config(), Some(&limits(soft))).map(|check| check.verdict);
    // 64 + 10,000 + 3 × 10 + 3 × 64 = 10,286
    assert_eq!(check("10286"), Some(Verdict::Well));
    assert_eq!(check("10285"), Some(Verdict::Warning));
    assert_eq!(check("unlimited"), None);
}

#[test]
fn a_clock_in_the_past_is_a_problem() {
    assert_eq!(clock_check("2001-01-01T00:00:00Z".parse().unwrap()).verdict, Verdict::Problem);
    assert_eq!(clock_check("2031-01-01T00:00:00Z".parse().unwrap()).verdict, Verdict::Well);
}

#[cfg(unix)]
#[test]
fn a_secret_file_open_to_everyone_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "x").unwrap();
    for (mode, open) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(secret_file_check(Some(&file)).is_some(), open, "{mode:o}");
    }
}

#[test]
fn databases_are_judged_by_version_clock_and_migrations() {
    let postgres = DatabaseUrl::new("postgres://rapport:hunter2@db.example/master");
    let sqlite = DatabaseUrl::new("sqlite://data/master.db");
    let now: DateTime<Utc> = "2031-01-01T00:00:00Z".parse().unwrap();
    let facts = |url: &DatabaseUrl, version: &str, seconds: i64, pending_migrations, qpsg| DatabaseFacts {
        name: "master database".to_owned(),
        url: url.clone(),
        answer: Ok(Answer {
            version: version.to_owned(),
            clocks: Some((now + chrono::Duration::seconds(seconds), now)),
            pending_migrations,
            qpsg,
        }),
    };
    let verdicts =
        |facts: DatabaseFacts| database_checks(&[facts]).into_iter().map(|check| check.verdict).collect::<Vec<_>>();
    use Verdict::{Problem, Warning, Well};
    assert_eq!(verdicts(facts(&postgres, "15.20 (Debian 15.20-0+deb12u1)", 0, 0, None)), [Well]);
    assert_eq!(verdicts(facts(&postgres, "18beta1", 2, 0, None)), [Well]);
    assert_eq!(verdicts(facts(&postgres, "14.9", 0, 0, None)), [Problem]);
    assert_eq!(verdicts(facts(&postgres, "15.20", -3, 0, None)), [Well, Problem]);
    assert_eq!(verdicts(facts(&sqlite, "3.51.1", 0, 2, Some(true))), [Well, Problem]);
    assert_eq!(verdicts(facts(&sqlite, "3.34.0", 0, 0, Some(false))), [Problem, Warning]);
    assert_eq!(verdicts(facts(&sqlite, "unknown", 0, 0, Some(true))), [Warning]);

    let silent = DatabaseFacts { name: "tenant acme".to_owned(), url: postgres, answer: Err("refused".to_owned()) };
    let check = database_checks(&[silent]).remove(0);
    assert_eq!((check.verdict, check.name.as_str()), (Problem, "tenant acme"));
    assert!(check.detail.contains("postgres://rapport:[secret]@db.example/master cannot be opened: refused"));
}
