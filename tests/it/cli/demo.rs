//! The demo as people start it: the real binary, its own folder, a port that is free.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::Session;

/// A demo that runs until it is dropped.
struct Demo {
    process: Child,
    welcome: Value,
}

impl Demo {
    /// Starts one and waits until it says that it answers.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rapport"))
            .args(["demo", "--json", "--port", "0", "--data-dir"])
            .arg(folder)
            .args(arguments)
            .current_dir(folder.parent().unwrap())
            .env_clear()
            // Cheap passwords: what they cost is tested where they are made.
            .env("RAPPORT_AUTH__ARGON2_MEMORY_KIB", "64")
            .env("RAPPORT_AUTH__ARGON2_ITERATIONS", "1")
            .env("RAPPORT_LOGGING__FORMAT", "json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What it says is one JSON document; the output stays open behind it.
        let mut said = Vec::new();
        let stdout = process.stdout.as_mut().unwrap();
        while !said.ends_with(b"\n}\n") {
            let mut byte = [0];
            if stdout.read(&mut byte).unwrap() == 0 {
                let mut error = String::new();
                process.stderr.as_mut().unwrap().read_to_string(&mut error).unwrap();
                panic!("the demo ended: {error}");
            }
            said.push(byte[0]);
        }
        Self { process, welcome: serde_json::from_slice(&said).unwrap() }
    }

    fn logins(&self) -> &[Value] {
        self.welcome["logins"].as_array().unwrap()
    }

    fn login_of(&self, tenant: &str, role: &str) -> &Value {
        self.logins().iter().find(|login| login["tenant"] == tenant && login["role"] == role).unwrap()
    }

    fn caller(&self) -> Session {
        Session::new(self.welcome["url"].as_str().unwrap().to_owned(), None)
    }

    /// Logs in with the password that the demo printed.
    async fn log_in(&self, login: &Value) -> Session {
        let query = "mutation ($email: EmailAddress!, $password: String!, $tenant: String) { \
                     login(input: { email: $email, password: $password, tenant: $tenant }) { \
                     accessToken userErrors { message } } }";
        let variables = json!({ "email": login["email"], "password": login["password"], "tenant": login["tenant"] });
        let payload = self.caller().mutate(query, variables).await;
        let token = payload["accessToken"].as_str().unwrap().to_owned();
        Session::new(self.welcome["url"].as_str().unwrap().to_owned(), Some(token))
    }

    /// Names and values that the seed decides, and none that the moment does.
    async fn content(&self) -> Value {
        let query = "{ customers(first: 30, orderBy: [{ field: NAME, direction: ASC }]) { totalCount nodes { \
                     name industry owner { name } contacts { nodes { name email } } \
                     opportunities(orderBy: [{ field: TITLE, direction: ASC }]) { \
                     nodes { title status value { amount currency } stage { name } } } } } }";
        let admin = self.log_in(self.login_of("aldermoor", "Admin")).await;
        admin.data(query, json!({})).await
    }
}

impl Demo {
    /// Stops it as an operator does; answers its log.
    fn stop(mut self) -> Vec<Value> {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "it stops in an orderly way: {log}");
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_runs_the_first_query_and_the_same_seed_makes_the_same_data() {
    let folders = tempfile::tempdir().unwrap();
    let growth = ["--customers", "12", "--seed", "7"];
    let demo = Demo::start(&folders.path().join("one"), &growth);
    assert_eq!(demo.logins().len(), 12);

    let first_query = demo.welcome["query"].as_str().unwrap();
    let mut seen = Vec::new();
    for login in demo.logins() {
        let session = demo.log_in(login).await;
        let count = session.data("{ customers { totalCount } }", json!({})).await["customers"]["totalCount"].clone();
        seen.push((login["tenant"].clone(), login["role"].clone(), count.as_u64().unwrap()));
        // The second and the third agent do not own the first customer, and so do not see it.
        let sees_it = login["role"] != "Agent" || login["name"] == "Clara Novak" || login["name"] == "Nora Quinn";
        let data = session.data(first_query, json!({})).await;
        let customer = &data["customer360"];
        assert_eq!(customer.is_null(), !sees_it, "{login}");
        if sees_it {
            assert_eq!(customer["opportunities"]["nodes"].as_array().unwrap().len(), 3, "{customer:#}");
            assert_eq!(customer["metrics"]["openTickets"], json!(1));
            assert!(!customer["activities"]["nodes"].as_array().unwrap().is_empty());
            assert!(!customer["metrics"]["lifetimeValue"].as_array().unwrap().is_empty());
        }
    }
    for tenant in ["aldermoor", "lumenfield"] {
        let of = |role: &str| -> Vec<u64> {
            seen.iter().filter(|seen| seen.0 == tenant && seen.1 == role).map(|seen| seen.2).collect()
        };
        for role in ["Admin", "Manager", "Viewer"] {
            assert_eq!(of(role), [12], "{tenant} {role}");
        }
        assert_eq!(of("Agent").iter().sum::<u64>(), 12, "each customer has one owner");
        assert!(of("Agent").iter().all(|count| *count < 12));
    }

    // Mail of people who are made up goes into a folder.
    let admin = demo.log_in(demo.login_of("aldermoor", "Admin")).await;
    let roles = admin.data("{ roles { nodes { id name } } }", json!({})).await;
    let viewer = roles["roles"]["nodes"].as_array().unwrap().iter().find(|role| role["name"] == "Viewer").unwrap();
    let invite = "mutation($role: ID!) { userInvite(input: { name: \"Guest\", email: \"guest@example.com\", \
                  roleId: $role }) { userErrors { message } } }";
    admin.mutate(invite, json!({ "role": viewer["id"] })).await;
    let mail = folders.path().join("one/mail");
    assert_eq!(demo.welcome["mail"], json!(mail));
    let written = || {
        let files = std::fs::read_dir(&mail).into_iter().flatten().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|end| end == "eml")).count()
    };
    for _ in 0..500 {
        if written() > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(written(), 1);

    // What the README shows is asked of the customer that this seed makes.
    let readme = include_str!("../../../README.md");
    let shown = readme.split("```graphql").nth(1).unwrap().split("```").next().unwrap();
    let (before, after) = shown.split_once("customer360(id: \"").unwrap();
    let first_id = first_query.split_once("customer360(id: \"").unwrap().1.split('"').next().unwrap();
    let shown = format!("{before}customer360(id: \"{first_id}\"{}", after.split_once('"').unwrap().1);
    let admin = demo.log_in(demo.login_of("aldermoor", "Admin")).await;
    assert!(admin.data(&shown, json!({})).await["customer360"]["customer"]["name"].is_string());

    let content = demo.content().await;
    assert_eq!(content["customers"]["totalCount"], json!(12));
    let (query, logins) = (demo.welcome["query"].clone(), demo.welcome["logins"].clone());
    drop(demo);

    // Killed, and started again with other wishes: what is there is served as it is.
    let again = Demo::start(&folders.path().join("one"), &["--customers", "3", "--seed", "8"]);
    assert_eq!((&again.welcome["query"], &again.welcome["logins"]), (&query, &logins));
    assert_eq!(again.content().await, content);
    drop(again);

    let elsewhere = Demo::start(&folders.path().join("two"), &growth);
    assert_eq!((&elsewhere.welcome["query"], &elsewhere.welcome["logins"]), (&query, &logins));
    assert_eq!(elsewhere.content().await, content);
    let admin = elsewhere.log_in(elsewhere.login_of("aldermoor", "Admin")).await;
    admin.send_with("query Who { me { user { id } } }", json!({}), &[("x-request-id", "mine-1")]).await;
    let log = elsewhere.stop();
    let line = log.iter().find(|line| line["request_id"] == "mine-1").unwrap_or_else(|| panic!("{log:#?}"));
    assert_eq!(
        (&line["message"], &line["operation"], &line["status"]),
        (&json!("answered"), &json!("Who"), &json!(200))
    );
    assert!(line["tenant"].as_str().unwrap().starts_with("tenant_"), "{line}");
    assert!(!log.iter().any(|line| line.to_string().contains(".example")), "no addresses in logs: {log:#?}");
}
