//! The program as the shell sees it: exit codes, and what goes to which output.

#![expect(clippy::unwrap_used, reason = "what a test cannot read or run fails it")]

mod demo;
mod import;
mod platform;

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
};

/// Runs `rapport` in a folder of its own, with no settings but these.
fn rapport(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    command.args(arguments).current_dir(folder.path()).env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wrong_usage_ends_with_2_and_explains_itself() {
    let output = rapport(&["nonsense"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("unrecognized subcommand 'nonsense'"));
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_settings_end_with_4_and_name_themselves() {
    let output = rapport(&["health"], &[("RAPPORT_DATABASE__CONNECTION_BUDGET", "0")]);
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stderr);
    assert!(said.contains("database.connection_budget (RAPPORT_DATABASE__CONNECTION_BUDGET)"), "{said}");
}

#[test]
fn the_doctor_ends_with_3_when_the_secret_is_missing_and_with_0_when_all_is_well() {
    let port = ("RAPPORT_SERVER__PORT", "0");
    let output = rapport(&["doctor", "--json"], &[port]);
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems: Vec<_> =
        report["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{report}");
    assert_eq!(problems[0]["name"], "auth.secret");

    let secret = ("RAPPORT_AUTH__SECRET", "jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk");
    let output = rapport(&["doctor"], &[port, secret]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains(secret.1));
}

#[test]
fn health_asks_the_server_of_the_settings() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let variables = [("RAPPORT_SERVER__PORT", port.as_str()), ("RAPPORT_SERVER__HOST", "0.0.0.0")];

    let server = std::thread::spawn(move || {
        for answer in ["HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}", "HTTP/1.1 503 Service Unavailable\r\n\r\ndraining"]
        {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    let output = rapport(&["health"], &variables);
    assert_eq!((output.status.code(), text(&output.stdout).trim()), (Some(0), "{\"status\":\"ok\"}"));
    let output = rapport(&["health", "--ready"], &variables);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the server is not well: 503 draining"));
    server.join().unwrap();

    // The listener is gone with its thread.
    let output = rapport(&["health"], &variables);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot be reached"));
}
