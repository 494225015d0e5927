//! The command surface: it fits together, its examples work, and what commands show can be read.

use clap::CommandFactory;

use super::*;
use crate::{
    config::Secret,
    error::{Error, UserErrorCode},
};

/// Every command, also those that are not in [`Command`] yet.
#[derive(Debug, Parser)]
#[command(name = "rapport")]
struct Whole {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Every,
}

#[derive(Debug, Subcommand)]
enum Every {
    Serve(serve::Args),
    Demo(demo::Args),
    Migrate(migrate::Args),
    Tenant(tenant::Args),
    User(user::Args),
    Schema(schema::Args),
    Import(Box<import::Args>),
    Doctor(doctor::Args),
    Health(health::Args),
}

fn parse(line: &str) -> Every {
    Whole::try_parse_from(split(line)).unwrap_or_else(|error| panic!("{line}\n{error}")).command
}

/// Splits a line as a shell does, as far as the examples need it: quotes, and what follows `|`, `<` or `>` left out.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '|' | '<' | '>' if !quoted => break,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn the_definitions_are_sound() {
    Whole::command().debug_assert();
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_and_every_example_parses() {
    fn visit(command: &clap::Command, path: &str, examples: &mut Vec<String>) {
        if command.has_subcommands() {
            command.get_subcommands().for_each(|sub| visit(sub, &format!("{path} {}", sub.get_name()), examples));
            return;
        }
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own: Vec<_> = help.lines().map(str::trim).filter(|line| line.starts_with("rapport ")).collect();
        assert!(!own.is_empty(), "`{path}` has no example in its help");
        examples.extend(own.into_iter().map(str::to_owned));
    }
    let mut examples = Vec::new();
    visit(&Whole::command(), "rapport", &mut examples);
    examples.iter().for_each(|example| drop(parse(example)));
}

#[test]
fn every_argument_is_explained() {
    fn visit(command: &clap::Command, path: &str) {
        for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
            assert!(argument.get_help().is_some(), "`{path}`: no help for {}", argument.get_id());
        }
        command.get_subcommands().for_each(|sub| visit(sub, &format!("{path} {}", sub.get_name())));
    }
    visit(&Whole::command(), "rapport");
}

#[test]
fn the_log_option_goes_before_the_setting() {
    let global = Global { config: None, log: Some("debug".to_owned()) };
    assert_eq!(global.load().unwrap().logging.filter, "debug");
}

#[test]
fn serve_lays_its_arguments_over_the_settings_and_refuses_a_missing_secret() {
    let Every::Serve(args) = parse("rapport serve --host 0.0.0.0 --port 81") else { panic!() };
    let mut config = Config::defaults().unwrap();
    let refused = args.settle(config.clone()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Configuration);
    config.auth.secret = Some(Secret::new("jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk"));
    let config = args.settle(config).unwrap();
    assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 81));
}

#[test]
fn the_demo_makes_its_secret_once_and_keeps_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("new/demo");
    let Every::Demo(mut args) = parse("rapport demo --seed 7") else { panic!() };
    args.data_dir.clone_from(&data_dir);
    let first = args.settle(Config::defaults().unwrap()).unwrap();
    let second = args.settle(Config::defaults().unwrap()).unwrap();
    let secret = first.auth.secret.clone().unwrap();
    assert_eq!(Some(&secret), second.auth.secret.as_ref());
    assert!(first.server.demo && first.server.graphiql && first.server.introspection);
    assert!(first.database.master().expose().starts_with(&format!("sqlite://{}", data_dir.display())));

    // Strong enough to serve with, were it not the demo.
    let mut serving = first;
    serving.server.demo = false;
    serving.check_serving().unwrap();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(data_dir.join("demo.secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(data_dir.join("demo.secret"), "").unwrap();
    assert!(args.settle(Config::defaults().unwrap()).unwrap_err().to_string().contains("delete it"));
}

#[test]
fn a_tenant_is_deleted_only_when_it_is_named_twice() {
    let Every::Tenant(tenant::Args { command: tenant::Command::Delete(args) }) =
        parse("rapport tenant delete acme --confirm globex")
    else {
        panic!()
    };
    assert_eq!(args.confirmed().unwrap_err().exit(), Exit::Usage);
}

#[test]
fn passwords_come_without_the_end_of_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "correct horse \r\n").unwrap();
    assert_eq!(user::password(&file).unwrap().expose(), "correct horse ");
    std::fs::write(&file, "\n").unwrap();
    assert!(user::password(&file).unwrap_err().to_string().contains("it is empty"));
}

#[test]
fn import_puts_the_command_line_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.toml");
    let text = "record = 'customers'\nkey = 'name'\n[map]\nname = 'account'\nowner.email = 'mail'\n\
                [set]\nstatus = 'ACTIVE'\nemployee_count = 5";
    std::fs::write(&path, text).unwrap();
    let line = format!(
        r"rapport import customers a.csv --tenant acme --mapping {} --map 'status=state|upper' --set 'name={{a}}={{b}}' --delimiter \t",
        path.display()
    );
    let Every::Import(args) = parse(&line) else { panic!() };
    let mapping = args.mapping().unwrap();
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&mapping.map), ["owner.email=mail", "status=state|upper"]);
    assert_eq!(pairs(&mapping.set), ["employee_count=5", "name={a}={b}"]);
    assert_eq!((mapping.key.as_deref(), mapping.delimiter), (Some("name"), Some('\t')));
    assert_eq!(args.errors_file(), PathBuf::from("a.csv.errors.csv"));
    for wrong in ["--map name", "--map =account", "--delimiter ;;", "--delimiter ö", "--mode perhaps"] {
        let line = format!("rapport import customers a.csv --tenant acme {wrong}");
        assert!(Whole::try_parse_from(split(&line)).is_err(), "{line}");
    }
    assert!(Whole::try_parse_from(split("rapport import wishes a.csv --tenant acme")).is_err());
    std::fs::write(&path, "colour = 'red'").unwrap();
    let Every::Import(args) = parse(&line) else { panic!() };
    assert!(args.mapping().unwrap_err().to_string().contains("colour"));
}

#[tokio::test]
async fn commands_end_with_3_when_something_was_left_behind() {
    let Every::Migrate(args) = parse("rapport migrate") else { panic!() };
    let left = migrate::Migrated { database: "acme".into(), applied: 0, error: Some("disk full".into()) };
    let done = migrate::Migrated { database: "master".into(), applied: 2, error: None };
    let current = migrate::Migrated { database: "globex".into(), applied: 0, error: None };
    let summary = migrate::Summary { databases: vec![done.clone(), left, current] };
    let text = summary.to_string();
    assert!(text.contains("left as it was: disk full") && !text.contains("globex"), "{text}");
    assert!(text.ends_with("1 migrated, 1 were up to date, 1 failed"), "{text}");
    assert_eq!(migrate::run(&args, async |_, _| Ok(summary)).await.unwrap(), Exit::Findings);
    let summary = migrate::Summary { databases: vec![done] };
    assert_eq!(migrate::run(&args, async |_, _| Ok(summary)).await.unwrap(), Exit::Done);
}

#[test]
fn tables_line_up() {
    let mut table = output::Table::new(["TENANT", "NAME"]);
    table.row(["acme".into(), "Ácme Ltd".into()]);
    table.row(["a-longer-one".into(), "x".into()]);
    assert_eq!(table.to_string(), "TENANT        NAME\nacme          Ácme Ltd\na-longer-one  x\n");
}

#[test]
fn failures_tell_causes_and_fields() {
    let failure = Failure::from(Error::internal("the disk is full"));
    assert_eq!(failure.to_string(), "internal error: the disk is full");
    let failure = Failure::from(Error::user(UserErrorCode::Taken, &["input", "slug"], "is in use"));
    assert_eq!(failure.to_string(), "input.slug: is in use");
    assert_eq!(failure.exit(), Exit::Failed);
}
