//! The rules of opportunities.
//!
//! | from | to | by |
//! |---|---|---|
//! | OPEN | OPEN | a move to another stage |
//! | OPEN | WON, LOST | a move to that stage, or winning and losing, which find it; needs `opportunities.close` |
//! | WON, LOST | OPEN | reopening, which says so; needs `opportunities.close` |
//!
//! A deal is always in a stage; without one it begins in the first stage of the default pipeline. Its status is what
//! the stage stands for. Its probability is the stage's, until somebody sets another one; the next move forgets that.
//! A decided deal has `closed_at`, is certain (100 %) or not (0 %), and a lost one has a reason; an open one has neither
//! date nor reason. An import of old deals may waive the reason ([`LOST_REASON`]). Every move is kept, with the time that
//! the deal spent where it was.
//!
//! Its value is the sum of its lines ([`super::opportunity_line`]), or what is set where it has none. The primary contact
//! is one of its customer; a contact that is given alone brings its customer along.

use chrono::{DateTime, Utc};
use entity::tenant::{
    contact,
    opportunity::{self, Column, Entity, OpportunityStatus},
    opportunity_line, opportunity_stage_change,
    pipeline_stage::{self, StageKind},
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use super::{opportunity_line as line, pipeline, pipeline_stage as stage};
use crate::{
    auth::{Action, Permission},
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// The rule that a lost deal has a reason, for [`Unit::waive`].
pub const LOST_REASON: &str = "lost_reason";

/// What winning, losing and reopening a deal needs besides `opportunities.write`.
const CLOSE: Permission = Permission::new("opportunities", Action::Close);

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut opportunity::ActiveModel) -> Result<()> {
        check_value(new)?;
        settle_customer(unit, None, new).await?;
        let target = Wish::of(new).target(unit, None).await?;
        let status = status_of(target.kind);
        if status != OpportunityStatus::Open {
            unit.actor().require(CLOSE)?;
        }
        new.pipeline_id = Set(target.pipeline_id);
        new.stage_id = Set(target.id);
        new.stage_changed_at = Set(unit.now());
        new.status = Set(status);
        settle(unit, None, new, status, Some(target.probability))
    }

    async fn before_update(
        unit: &mut Unit,
        before: &opportunity::Model,
        change: &mut opportunity::ActiveModel,
    ) -> Result<()> {
        check_value(change)?;
        settle_customer(unit, Some(before), change).await?;
        check_lines(unit, before, change).await?;
        let wish = Wish::of(change).beside(before);
        let (mut status, mut probability) = (before.status, None);
        change.pipeline_id = ActiveValue::NotSet;
        change.stage_id = ActiveValue::NotSet;
        change.status = ActiveValue::NotSet;
        if wish.is_something() {
            let target = wish.target(unit, Some(before)).await?;
            if target.id != before.stage_id {
                (status, probability) = (status_of(target.kind), Some(target.probability));
                check_move(unit, before.status, status, wish.status)?;
                change.pipeline_id = Set(target.pipeline_id);
                change.stage_id = Set(target.id);
                change.stage_changed_at = Set(unit.now());
                change.status = Set(status);
            }
        }
        settle(unit, Some(before), change, status, probability)
    }

    async fn after_write(
        unit: &mut Unit,
        before: Option<&opportunity::Model>,
        after: &opportunity::Model,
    ) -> Result<()> {
        match before {
            Some(before) if before.is_deleted => settle_restored(unit, after).await,
            Some(before) if before.stage_id == after.stage_id => Ok(()),
            before => record_move(unit, before, after).await,
        }
    }
}

impl Rules for opportunity_stage_change::Entity {}

const fn status_of(kind: StageKind) -> OpportunityStatus {
    match kind {
        StageKind::Open => OpportunityStatus::Open,
        StageKind::Won => OpportunityStatus::Won,
        StageKind::Lost => OpportunityStatus::Lost,
    }
}

const fn kind_of(status: OpportunityStatus) -> StageKind {
    match status {
        OpportunityStatus::Open => StageKind::Open,
        OpportunityStatus::Won => StageKind::Won,
        OpportunityStatus::Lost => StageKind::Lost,
    }
}

fn refuse<T>(code: UserErrorCode, field: &str, message: &str) -> Result<T> {
    Err(Error::user(code, &["input", field], message))
}

/// Where a write wants the deal to be.
#[derive(Clone, Copy)]
struct Wish {
    pipeline: Option<Uuid>,
    stage: Option<Uuid>,
    status: Option<OpportunityStatus>,
}

impl Wish {
    fn of(row: &opportunity::ActiveModel) -> Self {
        Self { pipeline: given(&row.pipeline_id), stage: given(&row.stage_id), status: given(&row.status) }
    }

    /// Without what is so already. Reopening stays a wish even beside its stage, because it says so.
    fn beside(self, before: &opportunity::Model) -> Self {
        Self {
            pipeline: self.pipeline.filter(|pipeline| self.stage.is_some() || *pipeline != before.pipeline_id),
            stage: self.stage,
            status: self.status.filter(|status| self.stage.is_some() || *status != before.status),
        }
    }

    const fn is_something(self) -> bool {
        self.pipeline.is_some() || self.stage.is_some() || self.status.is_some()
    }

    /// The stage that is meant: the given one, or the first of the status in the pipeline.
    async fn target(self, unit: &Unit, before: Option<&opportunity::Model>) -> Result<pipeline_stage::Model> {
        if let Some(stage) = self.stage {
            let Some(stage) = unit.keep_row::<pipeline_stage::Entity>(stage).await? else {
                return refuse(UserErrorCode::NotFound, "stageId", "there is no such pipeline stage");
            };
            if self.pipeline.is_some_and(|pipeline| pipeline != stage.pipeline_id) {
                return refuse(UserErrorCode::Invalid, "stageId", "this stage belongs to another pipeline");
            }
            if self.status.is_some_and(|status| status != status_of(stage.kind)) {
                return refuse(UserErrorCode::Invalid, "stageId", "this stage stands for another status");
            }
            return Ok(stage);
        }
        let status = self.status.or(before.map(|before| before.status)).unwrap_or(OpportunityStatus::Open);
        let pipeline = match self.pipeline.or(before.map(|before| before.pipeline_id)) {
            Some(pipeline) => pipeline,
            None => match pipeline::default(unit).await? {
                Some(default) => default.id,
                None => return refuse(UserErrorCode::InvalidState, "pipelineId", "there is no pipeline yet"),
            },
        };
        match first_stage(unit, pipeline, kind_of(status)).await? {
            Some(stage) => Ok(stage),
            None => refuse(UserErrorCode::NotFound, "pipelineId", "there is no such pipeline"),
        }
    }
}

fn given<T: Copy + Into<sea_orm::Value>>(value: &ActiveValue<T>) -> Option<T> {
    match value {
        ActiveValue::Set(value) => Some(*value),
        _ => None,
    }
}

async fn first_stage(unit: &Unit, pipeline: Uuid, kind: StageKind) -> Result<Option<pipeline_stage::Model>> {
    Ok(stage::of_pipeline(unit, pipeline).await?.into_iter().find(|stage| stage.kind == kind))
}

/// Whether a deal may go from one status to another, and whether the actor may do that.
fn check_move(
    unit: &Unit,
    from: OpportunityStatus,
    to: OpportunityStatus,
    said: Option<OpportunityStatus>,
) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let reopens = to == OpportunityStatus::Open;
    if from != OpportunityStatus::Open && !(reopens && said.is_some()) {
        return refuse(UserErrorCode::InvalidState, "stageId", "this opportunity is closed; reopen it first");
    }
    unit.actor().require(CLOSE)
}

/// Makes probability, closing date and reason what the status asks for. `entered` is the probability of the stage that
/// the deal comes into.
fn settle(
    unit: &Unit,
    before: Option<&opportunity::Model>,
    row: &mut opportunity::ActiveModel,
    status: OpportunityStatus,
    entered: Option<i32>,
) -> Result<()> {
    let open = status == OpportunityStatus::Open;
    match (given(&row.probability), entered) {
        (Some(probability), _) if !(0..=100).contains(&probability) => {
            return refuse(UserErrorCode::Invalid, "probability", "a probability is from 0 to 100 percent");
        }
        (Some(probability), _) if !open && probability != certain(status) => {
            return refuse(UserErrorCode::Invalid, "probability", "a won deal is certain (100), a lost one is not (0)");
        }
        (Some(_), _) | (None, None) => {}
        (None, Some(of_stage)) => row.probability = Set(of_stage),
    }

    let closed_before = before.and_then(|before| before.closed_at);
    match (given(&row.closed_at), open) {
        (Some(Some(_)), true) => {
            return refuse(UserErrorCode::Invalid, "closedAt", "an open opportunity has no closing date");
        }
        (Some(Some(at)), false) if at > unit.now() => {
            return refuse(UserErrorCode::Invalid, "closedAt", "a deal is not closed in the future");
        }
        (Some(Some(_)), false) => {}
        (Some(None), false) if before.is_some() && entered.is_none() => {
            return refuse(UserErrorCode::Blank, "closedAt", "a closed opportunity keeps its closing date");
        }
        (_, true) => row.closed_at = if closed_before.is_some() { Set(None) } else { ActiveValue::NotSet },
        (_, false) if closed_before.is_none() => row.closed_at = Set(Some(unit.now())),
        (_, false) => {}
    }

    let reason_before = before.and_then(|before| before.lost_reason.clone());
    let said = match &row.lost_reason {
        ActiveValue::Set(reason) => Some(reason.clone().filter(|reason| !reason.trim().is_empty())),
        _ => None,
    };
    if status == OpportunityStatus::Lost {
        let asked = entered.is_some() || said.is_some();
        if asked && said.unwrap_or(reason_before).is_none() && !unit.waives(LOST_REASON) {
            return refuse(UserErrorCode::Blank, "lostReason", "say why the deal was lost");
        }
    } else if said.flatten().is_some() {
        return refuse(UserErrorCode::Invalid, "lostReason", "only a lost opportunity has a reason for it");
    } else {
        row.lost_reason = if reason_before.is_some() { Set(None) } else { ActiveValue::NotSet };
    }
    Ok(())
}

const fn certain(status: OpportunityStatus) -> i32 {
    if matches!(status, OpportunityStatus::Won) { 100 } else { 0 }
}

fn check_value(row: &opportunity::ActiveModel) -> Result<()> {
    match row.value {
        ActiveValue::Set(Some(value)) if value < 0 => {
            refuse(UserErrorCode::Invalid, "value", "a value is not negative")
        }
        _ => Ok(()),
    }
}

/// The value is the sum of the lines where there are any.
async fn check_lines(unit: &Unit, before: &opportunity::Model, change: &opportunity::ActiveModel) -> Result<()> {
    let other_value = matches!(change.value, ActiveValue::Set(value) if value != before.value);
    let other_currency = matches!(&change.currency, ActiveValue::Set(currency) if *currency != before.currency);
    if (other_value || other_currency) && line::has_lines(unit, before.id).await? {
        return refuse(UserErrorCode::InvalidState, "value", "the value is the sum of the lines; change these");
    }
    Ok(())
}

/// The primary contact is one of the customer; a contact that is given alone brings its customer along.
async fn settle_customer(
    unit: &Unit,
    before: Option<&opportunity::Model>,
    row: &mut opportunity::ActiveModel,
) -> Result<()> {
    let contact_before = before.and_then(|before| before.primary_contact_id);
    let customer_before = before.and_then(|before| before.customer_id);
    let contact = given(&row.primary_contact_id).unwrap_or(contact_before);
    let customer = given(&row.customer_id).filter(|customer| before.is_some() || customer.is_some());
    let Some(id) = contact.filter(|_| contact != contact_before || customer.is_some_and(|new| new != customer_before))
    else {
        return Ok(());
    };
    // One that is newly given and out of sight is refused later, like one that is not there.
    let row_of_contact = if contact == contact_before {
        unit.any_row::<contact::Entity>(id).await?
    } else {
        let by_id = Condition::all().add(contact::Column::Id.eq(id));
        match unit.find::<contact::Entity>(by_id).await {
            Err(Error::Forbidden { .. }) => None,
            found => found?,
        }
    };
    let Some(employer) = row_of_contact.map(|contact| contact.customer_id) else { return Ok(()) };
    match customer {
        Some(customer) if customer != Some(employer) => {
            refuse(UserErrorCode::Invalid, "primaryContactId", "this contact belongs to another customer")
        }
        Some(_) => Ok(()),
        None => {
            row.customer_id = Set(Some(employer));
            Ok(())
        }
    }
}

/// Keeps the move and tells of it.
async fn record_move(unit: &mut Unit, before: Option<&opportunity::Model>, after: &opportunity::Model) -> Result<()> {
    let mut ids = vec![after.stage_id];
    ids.extend(before.map(|before| before.stage_id));
    let stages = unit.all_rows::<pipeline_stage::Entity>(pipeline_stage::Column::Id.is_in(ids)).await?;
    let name = |id: Uuid| stages.iter().find(|stage| stage.id == id).map(|stage| stage.name.clone());
    let change = opportunity_stage_change::ActiveModel {
        opportunity_id: Set(after.id),
        from_stage_id: Set(before.map(|before| before.stage_id)),
        from_stage_name: Set(before.and_then(|before| name(before.stage_id))),
        to_stage_id: Set(after.stage_id),
        to_stage_name: Set(name(after.stage_id).unwrap_or_default()),
        seconds_in_stage: Set(before.map(|before| (unit.now() - before.stage_changed_at).num_seconds().max(0))),
        ..Default::default()
    };
    unit.insert_by_rule::<opportunity_stage_change::Entity>(change).await?;
    if before.is_some() {
        unit.raise::<Entity>("stage_changed", after.id);
    }
    if before.is_none_or(|before| before.status != after.status) {
        match after.status {
            OpportunityStatus::Open => {}
            OpportunityStatus::Won => unit.raise::<Entity>("won", after.id),
            OpportunityStatus::Lost => unit.raise::<Entity>("lost", after.id),
        }
    }
    Ok(())
}

/// The stage of a restored deal may be gone: it goes to the first of its kind, in its pipeline or else the default one.
async fn settle_restored(unit: &mut Unit, restored: &opportunity::Model) -> Result<()> {
    if unit.keep_row::<pipeline_stage::Entity>(restored.stage_id).await?.is_some() {
        return Ok(());
    }
    let kind = kind_of(restored.status);
    let target = match first_stage(unit, restored.pipeline_id, kind).await? {
        Some(stage) => Some(stage),
        None => match pipeline::default(unit).await? {
            Some(default) => first_stage(unit, default.id, kind).await?,
            None => None,
        },
    };
    match target {
        Some(target) => move_by_rule(unit, restored, &target, restored.probability).await,
        None => Ok(()),
    }
}

/// Moves every deal that is in a stage to another one of the same kind; whose probability is the stage's gets the other
/// stage's.
pub(super) async fn replace_stage(
    unit: &mut Unit,
    stage: &pipeline_stage::Model,
    replacement: &pipeline_stage::Model,
) -> Result<()> {
    for deal in unit.lock_rows::<Entity>(Column::StageId.eq(stage.id)).await? {
        let probability =
            if deal.probability == stage.probability { replacement.probability } else { deal.probability };
        move_by_rule(unit, &deal, replacement, probability).await?;
    }
    Ok(())
}

async fn move_by_rule(
    unit: &mut Unit,
    deal: &opportunity::Model,
    target: &pipeline_stage::Model,
    probability: i32,
) -> Result<()> {
    let change = opportunity::ActiveModel {
        pipeline_id: Set(target.pipeline_id),
        stage_id: Set(target.id),
        stage_changed_at: Set(unit.now()),
        probability: Set(probability),
        ..Default::default()
    };
    let after = unit.update_by_rule::<Entity>(deal, change).await?;
    record_move(unit, Some(deal), &after).await
}

/// Creates a deal with its lines, whose sum is its value.
///
/// # Errors
/// As [`Unit::insert`].
pub async fn create(
    unit: &mut Unit,
    mut new: opportunity::ActiveModel,
    lines: Vec<opportunity_line::ActiveModel>,
) -> Result<opportunity::Model> {
    if lines.is_empty() {
        return unit.insert::<Entity>(new).await;
    }
    if matches!(new.value, ActiveValue::Set(Some(_))) {
        return refuse(UserErrorCode::Invalid, "value", "the value is the sum of the lines; give one or the other");
    }
    let lines = line::prepare_all(unit, lines).await?;
    if let Some((value, currency)) = lines.sum()? {
        (new.value, new.currency) = (Set(Some(value)), Set(Some(currency)));
    }
    let deal = unit.insert::<Entity>(new).await?;
    lines.insert(unit, deal.id).await?;
    Ok(deal)
}

/// Moves a deal to another stage. `change` may set with it what the new status asks for: probability, reason, date.
///
/// # Errors
/// As [`Unit::update`]; [`Error::Forbidden`] without `opportunities.close` when the move decides the deal.
pub async fn move_stage(
    unit: &mut Unit,
    id: Uuid,
    stage: Uuid,
    change: opportunity::ActiveModel,
    expected: Option<i32>,
) -> Result<Uuid> {
    let change = opportunity::ActiveModel { stage_id: Set(stage), ..change };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// Wins a deal: it goes to the WON stage of its pipeline.
///
/// # Errors
/// As [`move_stage`].
pub async fn win(unit: &mut Unit, id: Uuid, closed_at: Option<DateTime<Utc>>, expected: Option<i32>) -> Result<Uuid> {
    let change = opportunity::ActiveModel { status: Set(OpportunityStatus::Won), ..closed(closed_at) };
    close(unit, id, change, expected).await
}

/// Loses a deal for a reason: it goes to the LOST stage of its pipeline.
///
/// # Errors
/// As [`move_stage`].
pub async fn lose(
    unit: &mut Unit,
    id: Uuid,
    reason: String,
    closed_at: Option<DateTime<Utc>>,
    expected: Option<i32>,
) -> Result<Uuid> {
    let change = opportunity::ActiveModel {
        status: Set(OpportunityStatus::Lost),
        lost_reason: Set(Some(reason)),
        ..closed(closed_at)
    };
    close(unit, id, change, expected).await
}

fn closed(at: Option<DateTime<Utc>>) -> opportunity::ActiveModel {
    opportunity::ActiveModel { closed_at: at.map_or(ActiveValue::NotSet, |at| Set(Some(at))), ..Default::default() }
}

async fn close(unit: &mut Unit, id: Uuid, change: opportunity::ActiveModel, expected: Option<i32>) -> Result<Uuid> {
    unit.actor().require(CLOSE)?;
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// Opens a closed deal again, in the given stage or else in the one it was in before it was closed.
///
/// # Errors
/// As [`move_stage`]; [`Error::User`] when it is open.
pub async fn reopen(unit: &mut Unit, id: Uuid, stage: Option<Uuid>, expected: Option<i32>) -> Result<Uuid> {
    unit.actor().require(CLOSE)?;
    let deal = unit.claim::<Entity>(id, expected, Action::Write).await?;
    if deal.status == OpportunityStatus::Open {
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], "this opportunity is open"));
    }
    let stage = match stage {
        Some(stage) => Some(stage),
        None => last_open_stage(unit, id).await?,
    };
    let change = opportunity::ActiveModel {
        status: Set(OpportunityStatus::Open),
        stage_id: stage.map_or(ActiveValue::NotSet, Set),
        ..Default::default()
    };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// The last OPEN stage that the deal was in and that is still there.
async fn last_open_stage(unit: &Unit, deal: Uuid) -> Result<Option<Uuid>> {
    let of_deal = opportunity_stage_change::Column::OpportunityId.eq(deal);
    let mut moves = unit.all_rows::<opportunity_stage_change::Entity>(of_deal).await?;
    moves.sort_by_key(|change| std::cmp::Reverse((change.created_at, change.id)));
    for stage in moves.into_iter().filter_map(|change| change.from_stage_id) {
        let row = unit.any_row::<pipeline_stage::Entity>(stage).await?;
        if row.is_some_and(|row| row.kind == StageKind::Open) {
            return Ok(Some(stage));
        }
    }
    Ok(None)
}
