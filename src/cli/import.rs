//! `rapport import`: reads records from a CSV file of any size into a tenant.
//!
//! The mapping comes from a file (`--mapping`), from the command line, or from both: the command line goes before.
//! `docs/import.md` describes the language.

use std::{fmt, fs, path::PathBuf, time::Instant};

use clap::{ValueEnum, builder::PossibleValuesParser};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::Serialize;

use super::{
    Exit, Failure,
    output::{Output, Progress},
};
use crate::services::insight::exchange::{self, Empty, Mapping, Mode, Report};

/// The arguments of `rapport import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A row that is wrong is left out and written, with line, column and reason, to the file of --errors; the others \
                  go in.\nAn import that was cut off goes on where it stood when the same command is run again.\n\
                  Ends with 3 when a row was left out. docs/import.md tells more.\n\n\
                  Examples:\n  rapport import customers accounts.csv --tenant acme --mapping accounts.toml --dry-run\n  \
                  rapport import customers accounts.csv --tenant acme --key name --map name=account --map parent.name=parent \
                  --map 'annual_revenue=revenue | times 1000000' --set owner.email=ada@acme.example\n  \
                  rapport import opportunities deals.csv --tenant acme --map external_reference=id --map customer.name=account \
                  --map owner.name=agent --map 'expected_close_date=due | date %d-%m-%Y' --set 'title={product}[ for {account}]'"
)]
pub struct Args {
    /// What the rows are
    #[arg(value_parser = records())]
    pub record: String,
    /// The CSV file; its first line names the columns
    pub file: PathBuf,
    /// The tenant's short name
    #[arg(long)]
    pub tenant: String,
    /// Read the mapping from this file (TOML)
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Fill a field from a column, through filters: 'annual_revenue=revenue | times 1000000'
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = pair)]
    pub map: Vec<Pair>,
    /// Fill a field from a text, in which {column} stands for that column's value
    #[arg(long, value_name = "FIELD=TEXT", value_parser = pair)]
    pub set: Vec<Pair>,
    /// The field by which a record is known again; external_reference where it is filled
    #[arg(long, value_name = "FIELD")]
    pub key: Option<String>,
    /// What to do with records that are there, or are not
    #[arg(long, value_enum)]
    pub mode: Option<Modes>,
    /// Let empty values empty the fields of records that are there
    #[arg(long)]
    pub clear_empty: bool,
    /// Fill only what is mapped; otherwise columns with a field's own name fill it
    #[arg(long)]
    pub only_mapped: bool,
    /// A rule of the record that these rows need not keep, such as lost_reason
    #[arg(long, value_name = "RULE")]
    pub waive: Vec<String>,
    /// The character between columns; found out where it is not given
    #[arg(long, value_parser = delimiter)]
    pub delimiter: Option<char>,
    /// Check every row and report, but write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Begin anew, even if the same import was cut off
    #[arg(long)]
    pub restart: bool,
    /// Where to report the rows that were left out; FILE.errors.csv where it is not given
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with records that are there, or are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Modes {
    /// Create what is not there, change what is
    Upsert,
    /// Create; leave out rows whose record is there
    Create,
    /// Change; leave out rows whose record is not there
    Update,
}

impl From<Modes> for Mode {
    fn from(mode: Modes) -> Self {
        match mode {
            Modes::Upsert => Self::Upsert,
            Modes::Create => Self::Create,
            Modes::Update => Self::Update,
        }
    }
}

/// `FIELD=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// A field of the record.
    pub field: String,
    /// What it is given.
    pub value: String,
}

fn records() -> PossibleValuesParser {
    PossibleValuesParser::new(exchange::targets().map(|target| target.meta().module))
}

fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((field, value)) if !field.trim().is_empty() && !value.is_empty() => {
            Ok(Pair { field: field.trim().to_owned(), value: value.to_owned() })
        }
        _ => Err("write FIELD=VALUE".to_owned()),
    }
}

fn delimiter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\\'), Some('t'), None) => Ok('\t'),
        (Some(c), None, None) if c.is_ascii() && !matches!(c, '"' | '\r' | '\n') => Ok(c),
        _ => Err("it must be one ASCII character, or \\t".to_owned()),
    }
}

impl Args {
    /// Where the rows that were left out are reported.
    #[must_use]
    pub fn errors_file(&self) -> PathBuf {
        self.errors.clone().unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".errors.csv");
            name.into()
        })
    }

    /// The mapping: that of the file, with what the command line says before it.
    ///
    /// # Errors
    /// When the file cannot be read, or is no mapping.
    pub fn mapping(&self) -> Result<Mapping, Failure> {
        let mut mapping = match &self.mapping {
            None => Mapping::default(),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
                Figment::from(Toml::string(&text))
                    .extract()
                    .map_err(|error| Failure::new(format!("{} is no mapping: {error}", path.display())))?
            }
        };
        for Pair { field, value } in &self.map {
            mapping.set.remove(field);
            mapping.map.insert(field.clone(), value.clone());
        }
        for Pair { field, value } in &self.set {
            mapping.map.remove(field);
            mapping.set.insert(field.clone(), value.clone());
        }
        if self.key.is_some() {
            mapping.key.clone_from(&self.key);
        }
        if let Some(mode) = self.mode {
            mapping.mode = mode.into();
        }
        if self.clear_empty {
            mapping.empty = Empty::Clear;
        }
        if self.only_mapped {
            mapping.by_name = false;
        }
        if self.delimiter.is_some() {
            mapping.delimiter = self.delimiter;
        }
        mapping.waive.extend(self.waive.iter().cloned());
        Ok(mapping)
    }
}

/// What became of the rows, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What became of the rows.
    #[serde(flatten)]
    pub report: Report,
    /// How long it took.
    pub milliseconds: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            rehearsal,
            resumed_after,
            rows,
            created,
            updated,
            unchanged,
            refused,
            incomplete,
            remarks,
            errors_file,
        } = &self.report;
        if *rehearsal {
            writeln!(f, "Dry run: nothing was written.")?;
        }
        if let Some(rows) = resumed_after {
            writeln!(f, "Went on after row {rows}, where the same import had been cut off.")?;
        }
        for remark in remarks {
            writeln!(f, "remark: {remark}")?;
        }
        let seconds = self.milliseconds / 1000;
        let tenths = self.milliseconds % 1000 / 100;
        write!(
            f,
            "{rows} rows in {seconds}.{tenths} s: {created} created, {updated} updated, {unchanged} unchanged, {refused} refused"
        )?;
        if *incomplete > 0 {
            write!(f, ", {incomplete} incomplete")?;
        }
        match errors_file {
            Some(file) => write!(f, "\nWhat is wrong, with line, column and reason: {}", file.display()),
            None => Ok(()),
        }
    }
}

/// Lets `import` read the file and shows what became of its rows.
///
/// # Errors
/// When the file or the mapping cannot be used at all.
pub async fn run(
    args: &Args,
    import: impl AsyncFnOnce(&Args, &Progress) -> Result<Report, Failure>,
) -> Result<Exit, Failure> {
    let output = Output::new(args.json);
    let began = Instant::now();
    let report = {
        let progress = output.progress("importing", None);
        import(args, &progress).await?
    };
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let summary = Summary { report, milliseconds };
    output.show(&summary)?;
    let clean = summary.report.refused == 0 && summary.report.incomplete == 0;
    Ok(if clean { Exit::Done } else { Exit::Findings })
}
