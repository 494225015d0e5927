//! Layers, messages, and the refusal of secrets that do not hold.

use std::{path::PathBuf, time::Duration};

use uuid::Uuid;

use super::{auth::weakness, value::parse_duration, *};

const STRONG: &str = "jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk";

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Sources { environment, ..Sources::none() }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rapport.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn problems(sources: &Sources) -> String {
    Config::load(sources).expect_err("this configuration should be refused").to_string()
}

#[test]
fn the_defaults_load_and_are_what_the_api_promises() {
    let config = Config::defaults().unwrap();
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.body_limit.bytes(), 1024 * 1024);
    assert_eq!(config.server.request_timeout, Duration::from_secs(10));
    assert_eq!(config.database.connection_budget, 64);
    assert_eq!(config.auth.access_token_lifetime(), Duration::from_secs(3600));
    assert_eq!(config.auth.refresh_token_lifetime(), Duration::from_secs(30 * 24 * 3600));
    assert_eq!((config.limits.depth, config.limits.aliases), (12, 100));
    assert_eq!(config.logging.format, LogFormat::Text);
    assert!(config.auth.secret.is_none());
}

#[test]
fn every_default_is_documented() {
    let mut documented = false;
    for line in DEFAULTS.lines() {
        match line.trim() {
            "" => documented = false,
            line if line.starts_with('#') => documented = true,
            line if line.starts_with('[') => documented = false,
            line => assert!(documented, "no comment above `{line}` in defaults.toml"),
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let (_dir, path) = file("[server]\nport = 9000\nhost = \"0.0.0.0\"\n[limits]\ndepth = 7\n");
    let mut sources =
        environment(&[("RAPPORT_SERVER__PORT", "9001"), ("RAPPORT_SERVER__CORS_ORIGINS", "https://a.example,*")]);
    sources.file = Some(path.clone());
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.server.port, 9001);
    assert_eq!(config.server.host, "0.0.0.0");
    assert_eq!(config.limits.depth, 7);
    assert_eq!(config.limits.aliases, 100);
    assert_eq!(config.server.cors_origins, ["https://a.example", "*"]);
    assert_eq!(config.file, Some(path));
}

#[test]
fn the_default_file_may_be_missing_and_a_named_one_may_not() {
    let missing = PathBuf::from("/nowhere/rapport.toml");
    assert!(Config::load(&Sources { default_file: Some(missing.clone()), ..Sources::none() }).is_ok());
    let text = problems(&Sources { file: Some(missing), ..Sources::none() });
    assert!(text.contains("there is no file /nowhere/rapport.toml") && text.contains("--config"), "{text}");
}

#[test]
fn a_message_names_the_setting_its_variable_and_the_way_to_mend_it() {
    let text = problems(&environment(&[("RAPPORT_DATABASE__MASTER_URL", "mysql://host/name")]));
    assert!(text.contains("database.master_url (RAPPORT_DATABASE__MASTER_URL)"), "{text}");
    assert!(text.contains("must begin with sqlite: or postgres:"), "{text}");
    assert!(text.contains("sqlite://data/master.db"), "{text}");
}

#[test]
fn all_problems_are_reported_together() {
    let text = problems(&environment(&[
        ("RAPPORT_SERVER__HOST", "everywhere"),
        ("RAPPORT_SERVER__PUBLIC_URL", "crm.example.com"),
        ("RAPPORT_DATABASE__TENANT_URL_TEMPLATE", "postgres://host/one"),
        ("RAPPORT_DATABASE__MASTER_URL", "sqlite::memory:"),
        ("RAPPORT_AUTH__ACCESS_TOKEN_MINUTES", "0"),
        ("RAPPORT_LIMITS__TOKENS", "0"),
        ("RAPPORT_LIMITS__LIVE_CONNECTIONS_PER_USER", "0"),
        ("RAPPORT_LIMITS__LIVE_BACKLOG", "0"),
        ("RAPPORT_LOGGING__FILTER", "info,=nonsense="),
        ("RAPPORT_TENANTS__BASE_CURRENCY", "Euro"),
    ]));
    for setting in [
        "server.host",
        "server.public_url",
        "database.tenant_url_template",
        "database.master_url",
        "auth.access_token_minutes",
        "limits.tokens",
        "limits.live_connections_per_user",
        "limits.live_backlog",
        "logging.filter",
        "tenants.base_currency",
    ] {
        assert!(text.contains(setting), "{setting} is not in:\n{text}");
    }
}

#[test]
fn a_tenant_may_hold_what_one_of_its_users_may() {
    let text = problems(&environment(&[("RAPPORT_LIMITS__LIVE_CONNECTIONS_PER_TENANT", "10")]));
    assert!(text.contains("limits.live_connections_per_tenant") && text.contains("per_user (50)"), "{text}");
}

#[test]
fn a_setting_nobody_knows_is_refused_with_the_ones_there_are() {
    let text = problems(&environment(&[("RAPPORT_SERVER__PROT", "1")]));
    assert!(text.contains("RAPPORT_SERVER__PROT is not a setting") && text.contains("port"), "{text}");

    let (_dir, path) = file("[server]\nprot = 1\n");
    let text = problems(&Sources { file: Some(path.clone()), ..Sources::none() });
    assert!(text.contains("server.prot (RAPPORT_SERVER__PROT): is not a setting"), "{text}");
    assert!(text.contains("rapport.toml") && text.contains("port"), "{text}");

    let text = problems(&environment(&[("RAPPORT_DATABASE_MASTER_URL", "sqlite://x.db")]));
    assert!(text.contains("RAPPORT_DATABASE__MASTER_URL") && text.contains("Two underscores"), "{text}");
}

#[test]
fn the_password_of_the_mail_server_stands_in_no_file() {
    let (_dir, path) = file("[mail]\nurl = \"smtp://crm:hunter2@mail.example.com\"\nfrom = \"crm@example.com\"\n");
    let text = problems(&Sources { file: Some(path), ..Sources::none() });
    assert!(text.contains("mail.url (RAPPORT_MAIL__URL)") && !text.contains("hunter2"), "{text}");
    let set = [("RAPPORT_MAIL__URL", "smtp://crm:hunter2@mail.example.com"), ("RAPPORT_MAIL__FROM", "crm@example.com")];
    let config = Config::load(&environment(&set)).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(problems(&environment(&set[..1])).contains("mail.from (RAPPORT_MAIL__FROM)"));
}

#[test]
fn variables_of_others_with_our_prefix_do_no_harm() {
    let others = [("RAPPORT_PORT", "tcp://10.0.0.1:80"), ("RAPPORT_SERVICE_HOST", "10.0.0.1"), ("RAPPORT_CONFIG", "x")];
    assert_eq!(Config::load(&environment(&others)).unwrap().server.port, 8080);
}

#[test]
fn values_of_the_wrong_kind_are_explained_and_not_repeated() {
    let text = problems(&environment(&[("RAPPORT_SERVER__PORT", "hunter2")]));
    assert!(text.contains("server.port") && text.contains("whole number") && !text.contains("hunter2"), "{text}");

    let (_dir, path) = file("[server]\nrequest_timeout = \"soon\"\n");
    let text = problems(&Sources { file: Some(path), ..Sources::none() });
    assert!(text.contains("server.request_timeout (RAPPORT_SERVER__REQUEST_TIMEOUT)"), "{text}");
    assert!(text.contains("`soon` is not a duration") && text.contains("15s"), "{text}");

    let (_dir, path) = file("[server]\nport = \"hunter2\"\n");
    let text = problems(&Sources { file: Some(path), ..Sources::none() });
    assert!(text.contains("server.port") && text.contains("is a text") && !text.contains("hunter2"), "{text}");

    let text = problems(&environment(&[("RAPPORT_SERVER__PORT", "99999")]));
    assert!(text.contains("server.port") && text.contains("too large"), "{text}");

    let (_dir, path) = file("[server]\nport = 80 80\n");
    let text = problems(&Sources { file: Some(path), ..Sources::none() });
    assert!(text.contains("line 2"), "{text}");
}

#[test]
fn the_secret_comes_from_the_environment_or_a_file_of_its_own() {
    let config = Config::load(&environment(&[("RAPPORT_AUTH__SECRET", STRONG)])).unwrap();
    assert_eq!(config.auth.secret.as_ref().unwrap().expose(), STRONG);
    config.check_serving().unwrap();

    // Digits stay a text.
    let digits = "31415926535897932384626433832795";
    let config = Config::load(&environment(&[("RAPPORT_AUTH__SECRET", digits)])).unwrap();
    assert_eq!(config.auth.secret.as_ref().unwrap().expose(), digits);

    let (_dir, path) = file(&format!("{STRONG}\n"));
    let path = path.to_str().unwrap();
    let config = Config::load(&environment(&[("RAPPORT_AUTH__SECRET_FILE", path)])).unwrap();
    assert_eq!(config.auth.secret.as_ref().unwrap().expose(), STRONG);

    let text = problems(&environment(&[("RAPPORT_AUTH__SECRET_FILE", path), ("RAPPORT_AUTH__SECRET", STRONG)]));
    assert!(text.contains("only one of them can count"), "{text}");

    let text = problems(&environment(&[("RAPPORT_AUTH__SECRET_FILE", "/nowhere/secret")]));
    assert!(text.contains("/nowhere/secret cannot be read"), "{text}");
}

#[test]
fn a_secret_in_the_file_of_settings_is_refused_without_being_shown() {
    let (_dir, path) = file(&format!("[auth]\nsecret = \"{STRONG}\"\n"));
    let text = problems(&Sources { file: Some(path), ..Sources::none() });
    assert!(text.contains("auth.secret (RAPPORT_AUTH__SECRET)") && text.contains("gets copied"), "{text}");
    assert!(!text.contains(STRONG), "{text}");
}

#[test]
fn serving_refuses_a_missing_or_weak_secret() {
    let missing = Config::defaults().unwrap().check_serving().unwrap_err().to_string();
    assert!(
        missing.contains("auth.secret (RAPPORT_AUTH__SECRET): is not set") && missing.contains("openssl"),
        "{missing}"
    );

    for (secret, why) in [
        ("short", "too short"),
        ("change-me-change-me-change-me-change-me", "placeholder"),
        ("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccccccc", "different characters"),
        ("Kd8sPq2xWz5nKd8sPq2xWz5nKd8sPq2xWz5n", "repeats itself"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "in their order"),
    ] {
        let found = weakness(secret).unwrap_or_else(|| panic!("{secret} was accepted"));
        assert!(found.contains(why), "{secret}: {found}");
    }
    for secret in [STRONG, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"] {
        assert_eq!(weakness(secret), None);
    }
}

#[test]
fn serving_refuses_cheap_password_hashes_and_the_demo() {
    let mut config = Config::load(&environment(&[
        ("RAPPORT_AUTH__SECRET", STRONG),
        ("RAPPORT_AUTH__ARGON2_MEMORY_KIB", "8"),
        ("RAPPORT_AUTH__ARGON2_ITERATIONS", "1"),
    ]))
    .unwrap();
    config.server.demo = true;
    let text = config.check_serving().unwrap_err().to_string();
    assert!(text.contains("auth.argon2_memory_kib") && text.contains("rapport demo"), "{text}");
}

#[test]
fn secrets_and_passwords_are_never_printed() {
    let config = Config::load(&environment(&[
        ("RAPPORT_AUTH__SECRET", STRONG),
        ("RAPPORT_DATABASE__MASTER_URL", "postgres://rapport:p@ss:w/rd@db.example/master?sslmode=require"),
        ("RAPPORT_DATABASE__TENANT_URL_TEMPLATE", "postgres://db.example/t_{tenant_id}?user=x&password=hunter2"),
    ]))
    .unwrap();
    let printed = format!("{config:?} {} {}", config.database.master_url, config.auth.secret.as_ref().unwrap());
    for secret in [STRONG, "p@ss", "w/rd", "hunter2"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(config.database.master_url.to_string(), "postgres://rapport:[secret]@db.example/master?sslmode=require");
    let plain = DatabaseUrl::new("sqlite://data/master.db");
    assert_eq!(plain.to_string(), "sqlite://data/master.db");
}

#[test]
fn addresses_are_filled_in() {
    let id = Uuid::from_u128(0x0190_5f6e_0000_7000_8000_0000_0000_0001);
    let mut database = Config::defaults().unwrap().database;
    database.data_dir = "/srv/a b?/50%".into();
    assert_eq!(database.master().expose(), "sqlite:///srv/a b%3F/50%25/master.db");
    assert_eq!(database.tenant(id).expose(), "sqlite:///srv/a b%3F/50%25/tenants/01905f6e000070008000000000000001.db");
    assert_eq!(database.master().engine(), Some(Engine::Sqlite));
    assert_eq!(DatabaseUrl::new("postgresql://h/d").engine(), Some(Engine::Postgres));
}

#[test]
fn a_server_says_where_it_is_reached() {
    let mut server = Config::defaults().unwrap().server;
    assert_eq!(server.base_url(), "http://127.0.0.1:8080");
    server.host = "::".to_owned();
    assert_eq!(server.local_authority(), "[::1]:8080");
    server.host = "0.0.0.0".to_owned();
    assert_eq!(server.local_authority(), "127.0.0.1:8080");
    server.public_url = Some("https://crm.example.com/".to_owned());
    assert_eq!(server.base_url(), "https://crm.example.com");
}

#[test]
fn durations_and_sizes_are_readable() {
    for (text, millis) in
        [("250ms", 250), ("15s", 15_000), ("1m30s", 90_000), ("2h", 7_200_000), ("30d", 2_592_000_000)]
    {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
    }
    for text in ["", "15", "s", "-1s", "1.5s", "10 parsecs", "99999999999999999999s", "18446744073709551615d"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for (text, bytes) in [("2048", 2048), ("2KiB", 2048), ("1 MiB", 1024 * 1024)] {
        let config = Config::load(&environment(&[("RAPPORT_SERVER__BODY_LIMIT", text)])).unwrap();
        assert_eq!(config.server.body_limit.bytes(), bytes);
    }
    let text = problems(&environment(&[("RAPPORT_SERVER__BODY_LIMIT", "1 MB")]));
    assert!(text.contains("server.body_limit") && text.contains("1MiB"), "{text}");
}
