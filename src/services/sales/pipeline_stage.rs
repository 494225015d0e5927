//! The rules of the stages of a pipeline.
//!
//! A pipeline has at least one OPEN stage, exactly one WON and exactly one LOST stage, so that winning and losing always
//! have somewhere to go. WON and LOST come with the pipeline, can be renamed, and stay; every stage that is added later
//! is OPEN. Deals in WON are certain (100 %), deals in LOST are not (0 %). OPEN stages stand before WON, and WON before
//! LOST; positions count from 1 without gaps.
//!
//! A stage that deals are in cannot vanish: it is replaced by another OPEN stage of its pipeline, and the deals move
//! there, which their history tells. A new probability holds for deals that come in from then on.

use entity::{
    record::Record,
    tenant::{
        opportunity, pipeline,
        pipeline_stage::{self, Column, Entity, StageKind},
    },
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use super::opportunity as deal;
use crate::{
    auth::Action,
    data::{Rules, Unit, scope},
    error::{Error, Result, UserErrorCode},
};

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut pipeline_stage::ActiveModel) -> Result<()> {
        if !matches!(new.kind, ActiveValue::NotSet | ActiveValue::Set(StageKind::Open)) {
            return refuse("kind", "a pipeline has exactly one WON and one LOST stage; a further stage is OPEN");
        }
        new.kind = Set(StageKind::Open);
        complete(new)?;
        let ActiveValue::Set(pipeline) = new.pipeline_id else {
            return Err(Error::user(UserErrorCode::Blank, &["input", "pipelineId"], "pipelineId is required"));
        };
        unit.lock_row::<pipeline::Entity>(pipeline).await?;
        let behind = open_stages(unit, pipeline).await? + 1;
        new.position = Set(match new.position {
            ActiveValue::Set(position) => place(position, behind)?,
            _ => behind,
        });
        Ok(())
    }

    async fn before_update(
        unit: &mut Unit,
        before: &pipeline_stage::Model,
        change: &mut pipeline_stage::ActiveModel,
    ) -> Result<()> {
        if matches!(change.kind, ActiveValue::Set(kind) if kind != before.kind) {
            return refuse("kind", "the kind of a stage does not change");
        }
        if matches!(change.pipeline_id, ActiveValue::Set(pipeline) if pipeline != before.pipeline_id) {
            return refuse("pipelineId", "a stage stays in its pipeline");
        }
        if let ActiveValue::Set(position) = change.position
            && position != before.position
        {
            if before.kind != StageKind::Open {
                return refuse("position", "WON and LOST stand behind the OPEN stages");
            }
            unit.lock_row::<pipeline::Entity>(before.pipeline_id).await?;
            change.position = Set(place(position, open_stages(unit, before.pipeline_id).await?)?);
        }
        check(before.kind, change)
    }

    async fn after_write(
        unit: &mut Unit,
        before: Option<&pipeline_stage::Model>,
        after: &pipeline_stage::Model,
    ) -> Result<()> {
        match before {
            Some(before) if before.position == after.position && !before.is_deleted => Ok(()),
            _ => arrange(unit, after.pipeline_id, Some((after.id, after.position))).await,
        }
    }

    async fn before_delete(unit: &mut Unit, row: &pipeline_stage::Model) -> Result<()> {
        let refuse = |field, message: &str| Err(Error::user(UserErrorCode::InvalidState, &[field], message));
        if row.kind != StageKind::Open {
            return refuse("id", "a pipeline keeps its WON and its LOST stage");
        }
        unit.lock_row::<pipeline::Entity>(row.pipeline_id).await?;
        let others = Condition::all()
            .add(Column::PipelineId.eq(row.pipeline_id))
            .add(Column::Kind.eq(StageKind::Open))
            .add(Column::Id.ne(row.id));
        if !unit.exists::<Self>(others).await? {
            return refuse("id", "a pipeline keeps at least one OPEN stage");
        }
        if unit.exists::<opportunity::Entity>(opportunity::Column::StageId.eq(row.id)).await? {
            return refuse("replacementId", "there are opportunities in this stage; say which stage takes them");
        }
        Ok(())
    }
}

fn refuse<T>(field: &str, message: &str) -> Result<T> {
    Err(Error::user(UserErrorCode::Invalid, &["input", field], message))
}

/// Fills in and checks the numbers of a new stage.
pub(super) fn complete(new: &mut pipeline_stage::ActiveModel) -> Result<()> {
    let kind = match new.kind {
        ActiveValue::Set(kind) => kind,
        _ => StageKind::Open,
    };
    if new.probability.is_not_set()
        && let Some(certain) = certain(kind)
    {
        new.probability = Set(certain);
    }
    check(kind, new)
}

/// The probability of a stage that decides; an OPEN one has any.
const fn certain(kind: StageKind) -> Option<i32> {
    match kind {
        StageKind::Open => None,
        StageKind::Won => Some(100),
        StageKind::Lost => Some(0),
    }
}

fn check(kind: StageKind, row: &pipeline_stage::ActiveModel) -> Result<()> {
    if let ActiveValue::Set(probability) = row.probability {
        if !(0..=100).contains(&probability) {
            return refuse("probability", "a probability is from 0 to 100 percent");
        }
        if certain(kind).is_some_and(|certain| certain != probability) {
            return refuse("probability", "deals in WON are certain (100), deals in LOST are not (0)");
        }
    }
    if matches!(row.rot_after_days, ActiveValue::Set(Some(days)) if days < 1) {
        return refuse("rotAfterDays", "a number of days is at least 1");
    }
    Ok(())
}

/// The order of the kinds in a pipeline.
pub(super) const fn rank(kind: StageKind) -> u8 {
    match kind {
        StageKind::Open => 0,
        StageKind::Won => 1,
        StageKind::Lost => 2,
    }
}

/// How many OPEN stages a pipeline has.
async fn open_stages(unit: &Unit, pipeline: Uuid) -> Result<i32> {
    let stages = of_pipeline(unit, pipeline).await?;
    let open = stages.iter().filter(|stage| stage.kind == StageKind::Open).count();
    Ok(i32::try_from(open).unwrap_or(i32::MAX))
}

/// The position that is asked for, or the last there is.
fn place(position: i32, last: i32) -> Result<i32> {
    if position < 1 { refuse("position", "positions count from 1") } else { Ok(position.min(last)) }
}

/// The stages of a pipeline, in their order.
pub(super) async fn of_pipeline(unit: &Unit, pipeline: Uuid) -> Result<Vec<pipeline_stage::Model>> {
    let mut stages = unit.all_rows::<Entity>(Column::PipelineId.eq(pipeline)).await?;
    stages.sort_by_key(|stage| (rank(stage.kind), stage.position, stage.id));
    Ok(stages)
}

/// Numbers the stages of a pipeline from 1, with one of them at the position that it wants.
async fn arrange(unit: &mut Unit, pipeline: Uuid, wish: Option<(Uuid, i32)>) -> Result<()> {
    let mut stages = of_pipeline(unit, pipeline).await?;
    if let Some((id, position)) = wish
        && let Some(from) = stages.iter().position(|stage| stage.id == id)
    {
        let moved = stages.remove(from);
        let place = usize::try_from(position).unwrap_or(1).saturating_sub(1).min(stages.len());
        stages.insert(place, moved);
        stages.sort_by_key(|stage| rank(stage.kind));
    }
    for (position, stage) in (1..).zip(&stages) {
        let change = pipeline_stage::ActiveModel { position: Set(position), ..Default::default() };
        unit.update_by_rule::<Entity>(stage, change).await?;
    }
    Ok(())
}

/// Deletes a stage. The deals in it go to the replacement.
///
/// # Errors
/// As [`Unit::delete`]; [`Error::User`] when there are deals and no replacement that can take them.
pub async fn delete(unit: &mut Unit, id: Uuid, replacement: Option<Uuid>, expected: Option<i32>) -> Result<()> {
    unit.actor().require(scope::permission(Entity::meta(), Action::Delete))?;
    let refuse = |code, message: &str| Err(Error::user(code, &["replacementId"], message));
    let stage = unit.get::<Entity>(id).await?;
    if let Some(replacement) = replacement {
        let Some(replacement) = unit.keep_row::<Entity>(replacement).await? else {
            return refuse(UserErrorCode::NotFound, "there is no such pipeline stage");
        };
        if replacement.id == stage.id
            || replacement.pipeline_id != stage.pipeline_id
            || replacement.kind != StageKind::Open
        {
            return refuse(UserErrorCode::Invalid, "the replacement is another OPEN stage of the same pipeline");
        }
        if stage.kind == StageKind::Open {
            unit.lock_row::<Entity>(stage.id).await?;
            deal::replace_stage(unit, &stage, &replacement).await?;
        }
    }
    unit.delete::<Entity>(id, expected).await?;
    arrange(unit, stage.pipeline_id, None).await
}
