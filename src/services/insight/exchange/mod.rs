//! Import: records from a CSV file of any size.
//!
//! | file | what it does |
//! |---|---|
//! | `source`, `rows` | looks the file through, and reads it row by row |
//! | `text`, `filter` | the mapping language: what a field is filled with |
//! | `mapping` | checks a mapping against the record and the file |
//! | `target`, `users`, `opportunities` | what can be imported, and how a row of it is written |
//! | `coerce` | texts as values of columns |
//! | `batch` | looks up and writes some hundred rows in one transaction |
//! | `findings`, `words` | what became of the rows, and what was odd about them |
//! | `refusals` | the file of the rows that were left out |
//!
//! What holds:
//! - Rows are written by the same unit of work as everything else: the rules of the record, audit and events. It takes
//!   the permission `{module}.import`, and what each row takes.
//! - A row that is wrong is left out and reported, with line, column and reason; it never stops a right one.
//! - Each batch is one transaction, in which it is also written how far the import has come. The same import (the
//!   same record, content and mapping) begun again goes on after the last batch that was committed.
//! - A row whose record is there changes it: importing a file twice changes nothing the second time.
//! - A row may refer to one further down of the same file. Such references are set in a second pass.
//! - Memory does not grow with the file, except in a rehearsal for rows that refer to rows further down.
//!
//! A rehearsal does all this and takes each batch back. So it cannot see when rows of two batches clash with each
//! other in a field that must be unique and is not the key.

mod batch;
mod coerce;
mod filter;
mod findings;
pub mod mapping;
mod opportunities;
mod refusals;
mod rows;
mod source;
mod target;
mod text;
mod users;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use entity::tenant::import_progress;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::{
    batch::{Job, Worked},
    findings::Tally,
    mapping::fields_of,
    refusals::{Refusal, Refusals},
    source::{Batch, Place, Source},
    target::Context,
};
pub use self::{
    mapping::{Empty, Mapping, Mode},
    target::{Target, target_of, targets},
};
use crate::{
    auth::{Action, Permission},
    data::{TenantDb, Unit},
    error::{Error, Result, UserErrorCode},
    services::identity::Identity,
};

/// How many rows one transaction takes.
const BATCH: usize = 500;

/// What is to be imported.
#[derive(Clone, Debug)]
pub struct Request {
    /// The record, by its module: `customers`.
    pub record: String,
    /// The CSV file.
    pub file: PathBuf,
    /// Where rows that are left out are reported.
    pub errors: PathBuf,
    /// How columns become fields.
    pub mapping: Mapping,
    /// The currency of amounts in rows that name none: that of the tenant.
    pub currency: Option<String>,
    /// Check everything and write nothing.
    pub rehearsal: bool,
    /// Begin anew, even if the same import was cut off.
    pub restart: bool,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows read so far, with empty ones.
    pub rows: u64,
    /// Rows in the file.
    pub of: u64,
    /// Rows that were left out so far.
    pub refused: u64,
    /// Whether all rows are in, and what they refer to further down is being set.
    pub linking: bool,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Nothing was written.
    pub rehearsal: bool,
    /// After how many rows it went on, where it had been cut off.
    pub resumed_after: Option<u64>,
    /// Rows read, besides the headings and empty ones.
    pub rows: u64,
    /// New records.
    pub created: u64,
    /// Records that were there and changed.
    pub updated: u64,
    /// Records that were there and the same.
    pub unchanged: u64,
    /// Rows that were left out.
    pub refused: u64,
    /// Rows that went in without a reference to another row, because there is none.
    pub incomplete: u64,
    /// What was odd and taken nevertheless.
    pub remarks: Vec<String>,
    /// The file that says what is wrong with the rows that were left out or are incomplete.
    pub errors_file: Option<PathBuf>,
}

/// The names of the fields of a record that an import can fill.
#[must_use]
pub fn fields(target: &dyn Target) -> Vec<String> {
    fields_of(target)
}

/// Imports a file, as the actor of `db`.
///
/// # Errors
/// [`Error::Forbidden`] without `{module}.import`; [`Error::User`] and [`Error::BadInput`] when the mapping or the
/// file cannot be used at all; [`Error::Conflict`] when the same import runs elsewhere. What was imported before an
/// error stays, and the import can go on.
pub async fn import(
    identity: &Identity,
    db: &TenantDb,
    request: &Request,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report> {
    let target = target_of(&request.record).ok_or_else(|| unknown(&request.record))?;
    db.actor().require(Permission::new(target.meta().module, Action::Import))?;
    let source = Source::open(&request.file, request.mapping.delimiter()?).await?;
    if let (Ok(file), Ok(errors)) = (request.file.canonicalize(), request.errors.canonicalize())
        && file == errors
    {
        let message = format!("{} is the file to import; report its errors in another", request.errors.display());
        return Err(Error::BadInput(message));
    }
    let plan = request.mapping.plan(target, &source.headings, request.currency.as_deref())?;
    let owned = target.meta().column("owner_id").is_some_and(|column| !column.nullable);
    let owner = plan.entries.iter().any(|entry| entry.column.name == "owner_id");
    if owned && !owner && db.actor().user_id.is_nil() && request.mapping.mode != Mode::Update {
        let message = "the platform owns nothing: say who does, as in: set owner.email to the address of a user";
        return Err(Error::user(UserErrorCode::Blank, &["mapping", "owner"], message));
    }
    let key = key_of(request, target, &source)?;
    let job = Job::new(target, plan, source.headings.clone());
    let mut run = Run::begin(db, job, source, key, request).await?;
    let mut context = Context { identity: identity.clone(), rehearsal: request.rehearsal, untold: Vec::new() };
    let resumed_after = run.stood.as_ref().map(|stood| unsigned(stood.row));
    run.rows(&mut context, &mut progress).await?;
    if request.rehearsal {
        run.rehearse_links().await?;
    } else {
        run.links(&mut context, &mut progress).await?;
        db.write(async |unit| unit.forget_import(&run.key).await).await?;
    }
    let remarks = run.tally.remarks(&run.job.plan, &run.job.headings);
    let Tally { rows, created, updated, unchanged, refused, incomplete, .. } = run.tally;
    Ok(Report {
        rehearsal: request.rehearsal,
        resumed_after,
        rows,
        created,
        updated,
        unchanged,
        refused,
        incomplete,
        remarks,
        errors_file: run.refusals.path().map(Path::to_owned),
    })
}

fn unknown(record: &str) -> Error {
    let names: Vec<_> = targets().map(|target| target.meta().module).collect();
    Error::BadInput(format!("\"{record}\" cannot be imported; there is {}", names.join(", ")))
}

/// What makes two imports the same: the record, the content, the mapping.
fn key_of(request: &Request, target: &dyn Target, source: &Source) -> Result<String> {
    let mapping = serde_json::to_string(&request.mapping).map_err(Error::internal)?;
    let parts = [target.meta().name, &source.digest, &mapping, request.currency.as_deref().unwrap_or_default()];
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    Ok(HEXLOWER.encode(&hasher.finalize()))
}

/// One import under way.
struct Run<'a> {
    db: &'a TenantDb,
    job: Job,
    source: Source,
    key: String,
    rehearsal: bool,
    refusals: Refusals,
    tally: Tally,
    /// How far it has come, as the database says.
    stood: Option<import_progress::Model>,
    /// In a rehearsal: what rows look for further down, by entry and text, and their lines.
    wanted: HashMap<(usize, String), Vec<u64>>,
}

impl<'a> Run<'a> {
    async fn begin(db: &'a TenantDb, job: Job, source: Source, key: String, request: &Request) -> Result<Run<'a>> {
        let stood = if request.rehearsal {
            None
        } else {
            let restart = request.restart;
            db.write(async |unit| {
                if restart {
                    unit.forget_import(&key).await?;
                }
                unit.import_progress(&key).await
            })
            .await?
        };
        let tally = match &stood {
            Some(stood) => serde_json::from_value(stood.tally.clone()).map_err(Error::internal)?,
            None => Tally::default(),
        };
        let length = stood.as_ref().map_or(0, |stood| unsigned(stood.errors_length));
        let refusals = Refusals::open(&request.errors, length)?;
        let rehearsal = request.rehearsal;
        Ok(Run { db, job, source, key, rehearsal, refusals, tally, stood, wanted: HashMap::new() })
    }

    /// The first pass: every row.
    async fn rows(&mut self, context: &mut Context, progress: &mut (impl FnMut(Progress) + Send)) -> Result<()> {
        if self.stood.as_ref().is_some_and(|stood| stood.pass == 2) {
            return Ok(());
        }
        let mut batches = self.source.batches(self.stood.as_ref().map(place), BATCH);
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            let worked = self.write(context, &batch).await?;
            for (entry, text, line) in worked.wanted {
                self.wanted.entry((entry, text)).or_default().push(line);
            }
            progress(self.progress(&batch.next, false));
        }
        Ok(())
    }

    fn progress(&self, next: &Place, linking: bool) -> Progress {
        Progress { rows: next.row, of: self.source.rows, refused: self.tally.refused, linking }
    }

    async fn write(&mut self, context: &mut Context, batch: &Batch) -> Result<Worked> {
        let mut tally = self.tally.clone();
        tally.empty += batch.empty;
        let (worked, stood) = self
            .db
            .write(async |unit| {
                let start = unit.savepoint().await?;
                let worked = self.job.write(unit, context, &batch.rows, &mut tally).await?;
                self.refusals.write(&worked.refusals)?;
                if self.rehearsal {
                    unit.rollback_to(start).await?;
                    return Ok((worked, None));
                }
                unit.release(start).await?;
                unit.defer(&self.key, &worked.deferred).await?;
                let stood = self.stand(unit, &tally, 1, batch.next).await?;
                Ok((worked, Some(stood)))
            })
            .await?;
        self.tally = tally;
        self.stood = stood.or_else(|| self.stood.take());
        self.tell(context).await;
        if self.rehearsal {
            return Ok(worked);
        }
        Ok(Worked { wanted: Vec::new(), ..worked })
    }

    /// Finishes accounts that were changed in a transaction, now that it is committed.
    async fn tell(&self, context: &mut Context) {
        let untold = std::mem::take(&mut context.untold);
        context.identity.imported(self.db.actor().tenant_id, &untold).await;
    }

    /// Writes how far the import has come.
    async fn stand(&self, unit: &Unit, tally: &Tally, pass: i32, next: Place) -> Result<import_progress::Model> {
        let stands = import_progress::Model {
            key: self.key.clone(),
            tenant_id: self.db.actor().tenant_id,
            record: self.job.target.meta().module.to_owned(),
            pass,
            byte: signed(next.byte),
            line: signed(next.line),
            row: signed(next.row),
            errors_length: signed(self.refusals.length()),
            tally: serde_json::to_value(tally).map_err(Error::internal)?,
            started_at: self.stood.as_ref().map_or_else(|| unit.now(), |stood| stood.started_at),
            updated_at: unit.now(),
        };
        unit.put_import_progress(self.stood.as_ref(), stands.clone()).await?;
        Ok(stands)
    }

    /// The second pass: what rows refer to further down.
    async fn links(&mut self, context: &mut Context, progress: &mut (impl FnMut(Progress) + Send)) -> Result<()> {
        if self.tally.deferred == 0 {
            return Ok(());
        }
        let from = self.stood.as_ref().filter(|stood| stood.pass == 2).map(place);
        let mut batches = self.source.batches(from, BATCH);
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            let mut tally = self.tally.clone();
            let stood = self
                .db
                .write(async |unit| {
                    let lines = batch.rows.first().zip(batch.rows.last());
                    let (from, to) = lines.map_or((0, 0), |(first, last)| (signed(first.line), signed(last.line)));
                    let waiting: BTreeMap<_, _> = unit.deferred(&self.key, from, to).await?.into_iter().collect();
                    let rows: Vec<_> =
                        batch.rows.iter().filter_map(|row| Some((row, *waiting.get(&signed(row.line))?))).collect();
                    let refusals = self.job.link(unit, context, &rows, &mut tally).await?;
                    self.refusals.write(&refusals)?;
                    self.stand(unit, &tally, 2, batch.next).await
                })
                .await?;
            self.tally = tally;
            self.stood = Some(stood);
            self.tell(context).await;
            progress(self.progress(&batch.next, true));
        }
        Ok(())
    }

    /// In a rehearsal nothing was written, so the file itself must hold what its rows refer to further down.
    async fn rehearse_links(&mut self) -> Result<()> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let mut batches = self.source.batches(None, BATCH);
        while let Some(batch) = batches.recv().await {
            for offered in self.job.offered(&batch?.rows) {
                self.wanted.remove(&offered);
            }
        }
        let mut refusals: Vec<Refusal> = Vec::new();
        for ((entry, text), lines) in &self.wanted {
            refusals.extend(lines.iter().map(|line| self.job.unlinked_row(*entry, text, *line)));
        }
        refusals.sort_by_key(|refusal| refusal.line);
        let lines: BTreeSet<u64> = refusals.iter().map(|refusal| refusal.line).collect();
        self.tally.incomplete += lines.len() as u64;
        self.refusals.write(&refusals)
    }
}

fn place(stood: &import_progress::Model) -> Place {
    Place { byte: unsigned(stood.byte), line: unsigned(stood.line), row: unsigned(stood.row) }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
