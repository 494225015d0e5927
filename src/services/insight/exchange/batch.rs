//! One batch: some hundred rows looked up together and written in one transaction, each behind a savepoint of its own,
//! so that a wrong row takes nothing with it.

use std::collections::{BTreeSet, HashMap};

use entity::record::{Column, Kind, RecordMeta, Scope};
use iso_currency::Currency;
use sea_orm::Value;
use uuid::Uuid;

use super::{
    coerce,
    findings::Tally,
    mapping::{Empty, Entry, Mode, Plan, Way},
    refusals::Refusal,
    source::Row,
    target::{Context, Draft, Target, Values, Written},
    text::Headings,
};
use crate::{
    data::{
        Unit,
        import::{Hit, comparable},
        money,
    },
    error::{Error, Result, UserError, UserErrorCode},
};

/// What the rows of an import are worked on with.
pub(super) struct Job {
    pub target: &'static dyn Target,
    pub plan: Plan,
    pub headings: Headings,
    /// The columns that are used, by their places.
    pub used: Vec<usize>,
}

/// What came of a batch.
#[derive(Default)]
pub(super) struct Worked {
    pub refusals: Vec<Refusal>,
    /// Rows that refer to a row further down: their lines and records.
    pub deferred: Vec<(i64, Uuid)>,
    /// In a rehearsal, what those rows look for: the entry, the text and the line.
    pub wanted: Vec<(usize, String, u64)>,
}

/// What is wrong with a row, at an entry or at a field of the record.
enum Wrong {
    At { entry: usize, code: UserErrorCode, reason: String },
    Cell { entry: usize, column: String, value: String, reason: String },
    Field { field: String, code: String, reason: String },
    Row { code: UserErrorCode, reason: String },
}

/// A row's texts, one an entry.
type Texts = Vec<Option<String>>;

/// What look-ups found: for each entry that looks up, texts and the records that carry them.
struct Found {
    references: HashMap<usize, HashMap<String, Vec<Hit>>>,
    existing: HashMap<String, Vec<Hit>>,
    /// To which record those belong that rows look for without saying to which.
    usual_parent: Option<Uuid>,
}

/// References that cannot be looked up before the file is through: the field's place and the text.
type Deferred = Vec<(usize, String)>;

impl Found {
    fn of(&self, entry: usize, text: &str) -> &[Hit] {
        self.references.get(&entry).and_then(|hits| hits.get(text)).map_or(&[], Vec::as_slice)
    }
}

impl Job {
    pub(super) fn new(target: &'static dyn Target, plan: Plan, headings: Headings) -> Self {
        let mut used: Vec<usize> = plan.entries.iter().flat_map(|entry| entry.text.columns()).collect();
        used.sort_unstable();
        used.dedup();
        Self { target, plan, headings, used }
    }

    /// Whether an entry refers to records of the kind that is imported.
    pub(super) fn refers_to_itself(&self, entry: &Entry) -> bool {
        entry.way.look_up().is_some_and(|(target, _)| std::ptr::eq(target, self.target.meta()))
    }

    /// Writes the rows of a batch.
    pub(super) async fn write(
        &self,
        unit: &mut Unit,
        context: &mut Context,
        rows: &[Row],
        tally: &mut Tally,
    ) -> Result<Worked> {
        for rule in &self.plan.waived {
            unit.waive(*rule);
        }
        let mut worked = Worked::default();
        let filled: Vec<_> = rows.iter().map(|row| (row, self.fill(row))).collect();
        let mut found = self.look_up(unit, filled.iter().filter_map(|(_, texts)| texts.as_ref().ok())).await?;
        for (row, texts) in filled {
            tally.rows += 1;
            tally.note(&row.cells, &self.used);
            let outcome = match texts {
                Ok(texts) => self.write_row(unit, context, row, &texts, &mut found, tally, &mut worked).await?,
                Err(wrong) => Err(wrong),
            };
            if let Err(wrong) = outcome {
                tally.refused += 1;
                worked.refusals.extend(wrong.into_iter().map(|wrong| self.refusal(row, wrong)));
            }
        }
        Ok(worked)
    }

    /// The texts of a row.
    fn fill(&self, row: &Row) -> Result<Texts, Vec<Wrong>> {
        let refuse = |mut reason: String| {
            if row.cells.iter().any(|cell| cell.contains(['\n', '\r'])) {
                reason.push_str("; the row goes over several lines: is a quotation mark missing?");
            }
            Err(vec![Wrong::Row { code: UserErrorCode::Invalid, reason }])
        };
        let (found, expected) = (row.cells.len(), self.headings.names().len());
        if found != expected {
            return refuse(format!("the row has {found} values, the first line names {expected} columns"));
        }
        if row.torn {
            return refuse("a value goes on behind the quotation mark that closes it".to_owned());
        }
        let mut texts = Vec::with_capacity(self.plan.entries.len());
        let mut wrong = Vec::new();
        for (entry, of) in self.plan.entries.iter().enumerate() {
            match of.text.fill(&row.cells) {
                Ok(text) => texts.push(text),
                Err(unfit) => {
                    wrong.push(Wrong::Cell { entry, column: unfit.column, value: unfit.value, reason: unfit.message })
                }
            }
        }
        if wrong.is_empty() { Ok(texts) } else { Err(wrong) }
    }

    /// Looks up everything that the rows refer to, and the records that they are.
    async fn look_up<'t>(&self, unit: &Unit, rows: impl Iterator<Item = &'t Texts> + Clone) -> Result<Found> {
        let texts_of = |entry: usize, by: &Column| -> BTreeSet<String> {
            rows.clone().filter_map(|texts| texts.get(entry)?.as_deref()).map(|text| comparable(by, text)).collect()
        };
        let mut references = HashMap::new();
        let mut usual_parent = None;
        for (place, entry) in self.plan.entries.iter().enumerate() {
            let Some((target, by)) = entry.way.look_up() else { continue };
            let mut hits: HashMap<String, Vec<Hit>> = HashMap::new();
            for hit in unit.look_up(target, by, &texts_of(place, by)).await? {
                hits.entry(hit.text.clone()).or_default().push(hit);
            }
            if hits.values().any(|hits| hits.len() > 1 && hits.iter().all(|hit| hit.parent.is_some())) {
                usual_parent = self.target.usual_parent(unit).await?;
            }
            references.insert(place, hits);
        }
        let mut existing: HashMap<String, Vec<Hit>> = HashMap::new();
        if let Some((place, key)) = self.key() {
            for hit in unit.look_up(self.target.meta(), key.column, &texts_of(place, key.column)).await? {
                existing.entry(hit.text.clone()).or_default().push(hit);
            }
        }
        Ok(Found { references, existing, usual_parent })
    }

    fn key(&self) -> Option<(usize, &Entry)> {
        let place = self.plan.key?;
        Some((place, self.plan.entries.get(place)?))
    }

    #[expect(clippy::too_many_arguments, reason = "what one row needs, of its batch and of the import")]
    async fn write_row(
        &self,
        unit: &mut Unit,
        context: &mut Context,
        row: &Row,
        texts: &Texts,
        found: &mut Found,
        tally: &mut Tally,
        worked: &mut Worked,
    ) -> Result<Result<(), Vec<Wrong>>> {
        let existing = match self.existing(texts, found) {
            Ok(existing) => existing,
            Err(wrong) => return Ok(Err(vec![wrong])),
        };
        let (draft, later) = match self.draft(texts, found, existing.is_some()) {
            Ok(draft) => draft,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let before = unit.savepoint().await?;
        let written = match self.target.write(unit, context, existing.as_ref(), draft).await {
            Ok(written) => {
                unit.release(before).await?;
                written
            }
            Err(error) => {
                let wrong = wrongs(error)?;
                unit.rollback_to(before).await?;
                return Ok(Err(wrong));
            }
        };
        match &existing {
            None => tally.created += 1,
            Some(existing) if existing.version == written.version && !written.part_changed => tally.unchanged += 1,
            Some(_) => tally.updated += 1,
        }
        self.remember(texts, written, found);
        if !later.is_empty() {
            tally.deferred += 1;
            worked.deferred.push((i64::try_from(row.line).unwrap_or(i64::MAX), written.id));
            worked.wanted.extend(later.into_iter().map(|(entry, text)| (entry, text, row.line)));
        }
        Ok(Ok(()))
    }

    /// The record that a row is, if it is there.
    fn existing(&self, texts: &Texts, found: &Found) -> Result<Option<Hit>, Wrong> {
        let Some((entry, key)) = self.key() else { return Ok(None) };
        let at = |code, reason: String| Err(Wrong::At { entry, code, reason });
        let Some(text) = texts.get(entry).and_then(Option::as_deref) else {
            return at(UserErrorCode::Blank, format!("{} is the key, and is empty", key.name));
        };
        let hits = found.existing.get(&comparable(key.column, text)).map_or(&[][..], Vec::as_slice);
        let (name, module) = (self.target.meta().name, self.target.meta().module);
        match (hits, self.plan.mode) {
            ([_, _, ..], _) => at(UserErrorCode::Invalid, format!("{} {module} have this {}", hits.len(), key.name)),
            ([_], Mode::Create) => {
                at(UserErrorCode::Taken, format!("one of the {module} has this {} already", key.name))
            }
            ([], Mode::Update) => {
                at(UserErrorCode::NotFound, format!("there is no {} with this {}", spoken(name), key.name))
            }
            ([hit], _) => Ok(Some(hit.clone())),
            ([], _) => Ok(None),
        }
    }

    /// What a row says, and what it refers to that may stand further down.
    fn draft(&self, texts: &Texts, found: &Found, is_there: bool) -> Result<(Draft, Deferred), Vec<Wrong>> {
        let (mut draft, mut later, mut wrong) = (Draft::default(), Vec::new(), Vec::new());
        let (currency, part_currency) = (self.currency(texts, false), self.currency(texts, true));
        let (mut amounts, mut part_amounts) = (false, false);
        for (place, (entry, text)) in self.plan.entries.iter().zip(texts).enumerate() {
            let values = if entry.part { &mut draft.part } else { &mut draft.values };
            let Some(text) = text else {
                if is_there && !entry.part && self.plan.empty == Empty::Clear {
                    values.push((entry.column, None));
                }
                continue;
            };
            let currency = if entry.part { part_currency } else { currency };
            match self.value(place, entry, text, texts, found, currency) {
                Ok(Some((value, type_value))) => {
                    values.push((entry.column, Some(value)));
                    values.extend(type_value.map(|(column, name)| (column, Some(Value::from(name)))));
                    if entry.column.kind == Kind::Money {
                        amounts |= !entry.part;
                        part_amounts |= entry.part;
                    }
                }
                Ok(None) => later.extend(entry.way.look_up().map(|(_, by)| (place, comparable(by, text)))),
                Err((code, reason)) => wrong.push(Wrong::At { entry: place, code, reason }),
            }
        }
        if amounts {
            complete(&mut draft.values, self.target.meta(), currency);
        }
        if part_amounts && let Some(part) = self.target.part() {
            complete(&mut draft.part, part.meta, part_currency);
        }
        if wrong.is_empty() { Ok((draft, later)) } else { Err(wrong) }
    }

    /// The value that a text becomes, with the type of the record that it names where that varies; none when it names a
    /// record of the same kind that is not there yet.
    #[expect(clippy::type_complexity, reason = "a value, and for some references a second one")]
    fn value(
        &self,
        place: usize,
        entry: &Entry,
        text: &str,
        texts: &Texts,
        found: &Found,
        currency: Option<Currency>,
    ) -> Result<Option<(Value, Option<(&'static Column, String)>)>, coerce::Refusal> {
        let plain = |value: Value| Ok(Some((value, None)));
        match entry.way {
            Way::Value => {
                let named = if entry.part { None } else { self.target.named(entry.column.name) };
                plain(coerce::value(entry.column, text, named, currency)?)
            }
            Way::Reference { target, by: Some(by), type_column } => {
                let mut hits: Vec<&Hit> = found.of(place, &comparable(by, text)).iter().collect();
                if hits.len() > 1 {
                    let parent = self.parent(target, texts, found);
                    hits.retain(|hit| parent.is_none() || hit.parent == parent);
                }
                match hits.as_slice() {
                    [hit] => Ok(Some((hit.id.into(), type_column.map(|column| (column, target.name.to_owned()))))),
                    [] if self.refers_to_itself(entry) => Ok(None),
                    [] => Err((
                        UserErrorCode::NotFound,
                        format!("there is no {} with this {}", spoken(target.name), by.name),
                    )),
                    several => Err((
                        UserErrorCode::Invalid,
                        format!("{} {} have this {}", several.len(), target.module, by.name),
                    )),
                }
            }
            Way::Reference { target, by: None, .. } => match coerce::id(text) {
                Some((name, id)) if name.is_none_or(|name| name == target.name) => plain(id.into()),
                _ => Err((UserErrorCode::Invalid, format!("this is no {} id", spoken(target.name)))),
            },
            Way::AnyRecord { type_column } => match coerce::id(text) {
                Some((Some(name), id)) => Ok(Some((id.into(), Some((type_column, name.to_owned()))))),
                _ => Err((UserErrorCode::Invalid, "this is no id of a record, such as customer_…".to_owned())),
            },
        }
    }

    /// To which record those belong that a row looks for: that which the row names too, or the usual one.
    fn parent(&self, target: &RecordMeta, texts: &Texts, found: &Found) -> Option<Uuid> {
        let Scope::Child { parent, .. } = target.scope else { return None };
        let named = self.plan.entries.iter().enumerate().find_map(|(place, entry)| {
            let (_, by) = entry.way.look_up().filter(|(other, _)| std::ptr::eq(*other, parent()))?;
            let text = texts.get(place)?.as_deref()?;
            match found.of(place, &comparable(by, text)) {
                [hit] => Some(hit.id),
                _ => None,
            }
        });
        named.or(found.usual_parent)
    }

    /// The currency of a row's amounts, or of those in its part: its own, or that of the import.
    fn currency(&self, texts: &Texts, part: bool) -> Option<Currency> {
        let mut entries = self.plan.entries.iter().zip(texts);
        let named = entries.find(|(entry, _)| entry.part == part && entry.column.name == "currency");
        let own = named.and_then(|(_, text)| text.as_deref());
        money::currency(&own.or(self.plan.currency.as_deref())?.to_uppercase())
    }

    /// Lets the rows after this one find it.
    fn remember(&self, texts: &Texts, written: Written, found: &mut Found) {
        if let Some((place, key)) = self.key()
            && let Some(text) = texts.get(place).and_then(Option::as_deref)
        {
            let text = comparable(key.column, text);
            let hit = Hit { text: text.clone(), id: written.id, version: written.version, parent: None };
            found.existing.insert(text, vec![hit]);
        }
        for (place, entry) in self.plan.entries.iter().enumerate().filter(|(_, entry)| self.refers_to_itself(entry)) {
            let Some(text) = entry.way.look_up().and_then(|(_, by)| self.text_of(texts, by)) else { continue };
            let hits = found.references.entry(place).or_default().entry(text.clone()).or_default();
            if hits.iter().all(|hit| hit.id != written.id) {
                hits.push(Hit { text, id: written.id, version: written.version, parent: None });
            }
        }
    }

    /// What a row says of one of its own fields, as look-ups compare it.
    fn text_of(&self, texts: &Texts, by: &Column) -> Option<String> {
        let filled = |entry: &Entry| std::ptr::eq(entry.column, by) && matches!(entry.way, Way::Value);
        let place = self.plan.entries.iter().position(filled)?;
        Some(comparable(by, texts.get(place)?.as_deref()?))
    }

    /// What the rows of a batch say of the fields by which others look for them: the entry that looks, and the text.
    pub(super) fn offered(&self, rows: &[Row]) -> Vec<(usize, String)> {
        let mut offered = Vec::new();
        let looking: Vec<_> =
            self.plan.entries.iter().enumerate().filter(|(_, entry)| self.refers_to_itself(entry)).collect();
        for texts in rows.iter().filter_map(|row| self.fill(row).ok()) {
            offered.extend(looking.iter().filter_map(|(place, entry)| {
                let (_, by) = entry.way.look_up()?;
                Some((*place, self.text_of(&texts, by)?))
            }));
        }
        offered
    }

    /// The second pass: sets what rows refer to further down, now that all are there.
    pub(super) async fn link(
        &self,
        unit: &mut Unit,
        context: &mut Context,
        rows: &[(&Row, Uuid)],
        tally: &mut Tally,
    ) -> Result<Vec<Refusal>> {
        let mut refusals = Vec::new();
        let filled: Vec<_> =
            rows.iter().filter_map(|(row, id)| self.fill(row).ok().map(|texts| (*row, *id, texts))).collect();
        let found = self.look_up(unit, filled.iter().map(|(_, _, texts)| texts)).await?;
        for (row, id, texts) in &filled {
            let mut incomplete = Vec::new();
            for (place, entry) in self.plan.entries.iter().enumerate().filter(|(_, entry)| self.refers_to_itself(entry))
            {
                let Some((target, by)) = entry.way.look_up() else { continue };
                let Some(text) = texts.get(place).and_then(Option::as_deref).map(|text| comparable(by, text)) else {
                    continue;
                };
                let hits = found.of(place, &text);
                let [other] = hits else {
                    incomplete.push(self.unlinked(place, target, by.name, hits.len()));
                    continue;
                };
                let own = Hit { text, id: *id, version: 0, parent: None };
                let values = vec![(entry.column, Some(other.id.into()))];
                let before = unit.savepoint().await?;
                match self.target.write(unit, context, Some(&own), Draft { values, part: Vec::new() }).await {
                    Ok(_) => unit.release(before).await?,
                    Err(error) => {
                        incomplete.extend(wrongs(error)?);
                        unit.rollback_to(before).await?;
                    }
                }
            }
            tally.incomplete += u64::from(!incomplete.is_empty());
            refusals.extend(incomplete.into_iter().map(|wrong| self.refusal(row, wrong)));
        }
        Ok(refusals)
    }

    fn unlinked(&self, entry: usize, target: &RecordMeta, by: &str, found: usize) -> Wrong {
        let (code, what) = match found {
            0 => (UserErrorCode::NotFound, format!("there is no {} with this {by}", spoken(target.name))),
            _ => (UserErrorCode::Invalid, format!("{found} {} have this {by}", target.module)),
        };
        Wrong::At { entry, code, reason: format!("{what}; the row was imported without it") }
    }

    /// What a rehearsal says of a row that looks for a row that is nowhere.
    pub(super) fn unlinked_row(&self, entry: usize, text: &str, line: u64) -> Refusal {
        let (target, by) = self
            .plan
            .entries
            .get(entry)
            .and_then(|entry| entry.way.look_up())
            .map_or((String::new(), ""), |it| (spoken(it.0.name), it.1.name));
        let at = self.plan.entries.get(entry);
        Refusal {
            line,
            column: at.map(|entry| self.columns(entry)).unwrap_or_default(),
            field: at.map(|entry| entry.name.clone()).unwrap_or_default(),
            value: text.to_owned(),
            code: code_name(UserErrorCode::NotFound),
            reason: format!("there is no {target} with this {by}; the row would be imported without it"),
        }
    }

    fn columns(&self, entry: &Entry) -> String {
        let names = entry.text.columns().into_iter().filter_map(|index| self.headings.names().get(index).cloned());
        names.collect::<Vec<_>>().join(", ")
    }

    fn refusal(&self, row: &Row, wrong: Wrong) -> Refusal {
        let values = |entry: &Entry| {
            let cells = entry.text.columns().into_iter().filter_map(|index| row.cells.get(index));
            cells.collect::<Vec<_>>().join(", ")
        };
        let at = |entry: usize| self.plan.entries.get(entry);
        let of = |entry: Option<&Entry>, field: String, code: String, reason: String| Refusal {
            line: row.line,
            column: entry.map(|entry| self.columns(entry)).unwrap_or_default(),
            value: entry.map(values).unwrap_or_default(),
            field,
            code,
            reason,
        };
        match wrong {
            Wrong::Row { code, reason } => of(None, String::new(), code_name(code), reason),
            Wrong::At { entry, code, reason } => {
                let name = at(entry).map(|entry| entry.name.clone()).unwrap_or_default();
                of(at(entry), name, code_name(code), reason)
            }
            Wrong::Cell { entry, column, value, reason } => Refusal {
                line: row.line,
                field: at(entry).map(|entry| entry.name.clone()).unwrap_or_default(),
                column,
                value,
                code: code_name(UserErrorCode::Invalid),
                reason,
            },
            Wrong::Field { field, code, reason } => {
                let entry = self.plan.entries.iter().find(|entry| entry.column.field == field);
                let name = entry.map_or(field, |entry| entry.name.clone());
                of(entry, name, code, reason)
            }
        }
    }
}

/// A record's name as people say it.
fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// Amounts come with their currency.
fn complete(values: &mut Values, meta: &'static RecordMeta, currency: Option<Currency>) {
    if !values.iter().any(|(column, _)| column.name == "currency") {
        let column = meta.column("currency");
        values.extend(column.zip(currency).map(|(column, currency)| (column, Some(currency.code().into()))));
    }
}

fn code_name(code: UserErrorCode) -> String {
    serde_json::to_value(code).ok().and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What is wrong with a row, or an error that ends the import.
fn wrongs(error: Error) -> Result<Vec<Wrong>> {
    let whole =
        |code: &str, reason: String| Ok(vec![Wrong::Field { field: String::new(), code: code.to_owned(), reason }]);
    match error {
        Error::User(errors) => Ok(errors.into_iter().map(of_user).collect()),
        Error::NotFound => whole("NOT_FOUND", "the record is not there, or not to be seen".to_owned()),
        Error::Forbidden { .. } | Error::BadInput(_) | Error::Conflict(_) => whole(error.code(), error.to_string()),
        Error::Internal(cause) => {
            // The rows after this one may be well; when the database is not, going back to the savepoint fails.
            tracing::error!(%cause, "a row could not be written");
            whole("INTERNAL_SERVER_ERROR", "the row could not be written; the log says why".to_owned())
        }
        other => Err(other),
    }
}

fn of_user(error: UserError) -> Wrong {
    let field = error.field.and_then(|path| path.into_iter().next_back()).unwrap_or_default();
    Wrong::Field { field, code: code_name(error.code), reason: error.message }
}
