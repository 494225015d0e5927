//! An import as the shell sees it: exit codes, what is said, and what a process leaves that was killed.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use entity::tenant::customer;
use serde_json::{Value, json};

use super::text;
use crate::{on_both_engines, support::TestApp};

/// `rapport import` on the databases of an application.
fn import(app: &TestApp, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    command.arg("import").args(arguments).current_dir(folder).env_clear().envs(app.variables());
    command
}

fn rows(count: usize) -> String {
    let mut rows = "account,id,staff\n".to_owned();
    for row in 0..count {
        // One row of each batch is wrong.
        let staff = if row % 500 == 7 { "many".to_owned() } else { row.to_string() };
        rows += &format!("Company {row},C{row},{staff}\n");
    }
    rows
}

const ROWS: usize = 2_500;
const ARGUMENTS: [&str; 13] = [
    "customers",
    "rows.csv",
    "--tenant",
    "acme",
    "--map",
    "name=account",
    "--map",
    "external_reference=id",
    "--map",
    "employee_count=staff",
    "--set",
    "owner.email=admin@acme.example",
    "--json",
];

on_both_engines! {
    /// A process that is killed with SIGKILL leaves whole batches, and the next one goes on after them.
    async fn a_killed_import_goes_on(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let db = app.system(tenant.id).await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rows.csv"), rows(ROWS)).unwrap();
        let errors = folder.path().join("rows.csv.errors.csv");

        let mut process =
            import(&app, folder.path(), &ARGUMENTS).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The second refusal is written when the first batch is committed.
        let began = Instant::now();
        while fs::read_to_string(&errors).map_or(0, |text| text.lines().count()) < 3 {
            assert!(process.try_wait().unwrap().is_none(), "the import must not end before it is killed");
            assert!(began.elapsed() < Duration::from_secs(120));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();

        let written = db.find::<customer::Entity>().unwrap().count().await.unwrap();
        assert!(written >= 499 && written < ROWS as u64 - 5, "{written}");
        assert_eq!(written % 499, 0, "a batch goes in as a whole");

        let output = import(&app, folder.path(), &ARGUMENTS).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["resumedAfter"], json!(written / 499 * 500));
        let counts = ["rows", "created", "updated", "unchanged", "refused"].map(|name| report[name].clone());
        assert_eq!(counts, [2_500, 2_495, 0, 0, 5].map(|count: u32| json!(count)));
        let told = fs::read_to_string(&errors).unwrap();
        let lines: Vec<&str> = told.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        let expected: Vec<String> = (0..5).map(|batch| (batch * 500 + 9).to_string()).collect();
        assert_eq!(lines, expected, "each refusal is told once");

        let all = db.find::<customer::Entity>().unwrap().all().await.unwrap();
        assert_eq!(all.len(), 2_495);
        assert!(all.iter().all(|customer| customer.version == 1), "no row was written twice");

        // The same command is a new import now.
        let output = import(&app, folder.path(), &ARGUMENTS).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["resumedAfter"], &report["unchanged"]), (&Value::Null, &json!(2_495)));
    }
    /// What people read: the sums, the remarks and the way to the errors; and what is wrong with a command.
    async fn an_import_explains_itself(app: TestApp) {
        app.tenant("acme").await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
        file("right.csv", "account,sector\nA,technolgy\nB,\n");
        file("wrong.csv", "account,sector\nA,technolgy\nB,retail,x\n");
        file(
            "accounts.toml",
            "record = 'customers'\nkey = 'name'\n[map]\nname = 'account'\nindustry = 'sector'\n[set]\n\
             owner.email = 'admin@acme.example'\n",
        );
        let run = |line: &str| {
            let arguments: Vec<&str> = line.split(' ').collect();
            let output = import(&app, folder.path(), &arguments).output().unwrap();
            (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
        };

        let (code, said, _) = run("customers right.csv --tenant acme --mapping accounts.toml --dry-run");
        assert_eq!(code, 0);
        assert!(said.starts_with("Dry run: nothing was written.\n"), "{said}");
        let (code, said, warned) = run("customers right.csv --tenant acme --mapping accounts.toml");
        assert_eq!((code, warned.as_str()), (0, ""));
        assert!(said.contains("remark: sector \"technolgy\" (1 row) looks like \"Technology\""), "{said}");
        assert!(said.contains("remark: sector is empty in 1 row\n"), "{said}");
        assert!(said.contains(": 2 created, 0 updated, 0 unchanged, 0 refused"), "{said}");
        assert!(!folder.path().join("right.csv.errors.csv").exists());

        let (code, said, _) = run("customers wrong.csv --tenant acme --mapping accounts.toml --errors left.csv");
        assert_eq!(code, 3);
        assert!(said.contains(": 0 created, 0 updated, 1 unchanged, 1 refused"), "{said}");
        assert!(said.ends_with("What is wrong, with line, column and reason: left.csv\n"), "{said}");
        assert_eq!(
            fs::read_to_string(folder.path().join("left.csv")).unwrap(),
            "line,column,field,value,code,reason\n\
             3,,,,INVALID,\"the row has 3 values, the first line names 2 columns\"\n"
        );

        for (line, code, reason) in [
            ("wishes right.csv --tenant acme", 2, "possible values: users, customers"),
            ("customers right.csv", 2, "--tenant"),
            ("customers right.csv --tenant nobody --mapping accounts.toml", 1, "nobody"),
            ("customers none.csv --tenant acme --mapping accounts.toml", 1, "none.csv cannot be read"),
            ("customers right.csv --tenant acme --mapping accounts.toml --errors right.csv", 1, "is the file to import"),
            ("customers right.csv --tenant acme --mapping accounts.toml --errors accounts.toml", 1, "accounts.toml is there"),
            ("customers . --tenant acme --mapping accounts.toml", 1, ". is no file"),
            ("customers right.csv --tenant acme --mapping none.toml", 1, "none.toml cannot be read"),
            ("customers right.csv --tenant acme --mapping right.csv", 1, "right.csv is no mapping"),
            ("customers right.csv --tenant acme", 1, "no field is filled: no column (account, sector)"),
            ("customers right.csv --tenant acme --map name=konto --set owner.email=x", 1, "the file has no column \"konto\""),
            ("customers right.csv --tenant acme --map name=account --set owner.email=x", 1, "customers need a key"),
            ("customers right.csv --tenant acme --key name --map name=account", 1, "say who does, as in: set owner.email"),
            ("contacts right.csv --tenant acme --mapping accounts.toml", 1, "the mapping is for customers"),
        ] {
            let (found, said, warned) = run(line);
            assert_eq!((found, said.as_str()), (code, ""), "{line}: {warned}");
            assert!(warned.contains(reason), "{line}: {warned}");
        }
    }
}
