//! Tasks: create, list, read, change, delete. Everyone sees only his own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::accounts::Caller;
use crate::database::operation;
use crate::error::{ApiError, FieldProblem, InternalError};
use crate::input::{Body, Path, Query};
use crate::server::App;

const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 10_000;
const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 200;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Open,
    InProgress,
    Done,
}

impl Status {
    const ALL: [Self; 3] = [Self::Open, Self::InProgress, Self::Done];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
        }
    }
}

/// A task as the API shows it; times in RFC 3339, UTC.
#[derive(Debug, Serialize)]
pub(crate) struct Task {
    id: String,
    title: String,
    description: String,
    status: Status,
    due_at: Option<Timestamped>,
    created_at: Timestamped,
    updated_at: Timestamped,
}

/// Unix milliseconds, shown in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timestamped(Timestamp);

impl Serialize for Timestamped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// `id, title, description, status, due_at, created_at, updated_at`.
type Row = (String, String, String, String, Option<i64>, i64, i64);

impl TryFrom<Row> for Task {
    type Error = InternalError;

    fn try_from(row: Row) -> Result<Self, InternalError> {
        let (id, title, description, status, due_at, created_at, updated_at) = row;
        let corrupt = |column, value: String| InternalError::CorruptRow {
            table: "tasks",
            id: id.clone(),
            column,
            value,
        };
        let time = |column, millis: i64| {
            let time = Timestamp::from_millisecond(millis);
            time.map(Timestamped)
                .map_err(|_| corrupt(column, millis.to_string()))
        };
        let known = Status::ALL
            .into_iter()
            .find(|known| known.as_str() == status);
        let status = known.ok_or_else(|| corrupt("status", status))?;
        let due_at = due_at.map(|due_at| time("due_at", due_at)).transpose()?;
        let (created_at, updated_at) = (
            time("created_at", created_at)?,
            time("updated_at", updated_at)?,
        );
        Ok(Self {
            id,
            title,
            description,
            status,
            due_at,
            created_at,
            updated_at,
        })
    }
}

/// The body of `POST /api/v1/tasks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    title: String,
    #[serde(default)]
    description: String,
    status: Option<Status>,
    due_at: Option<String>,
}

/// The body of `PATCH /api/v1/tasks/{id}`: what is absent stays; `"due_at": null` removes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaskChange {
    title: Option<String>,
    description: Option<String>,
    status: Option<Status>,
    #[serde(deserialize_with = "present")]
    due_at: Option<Option<String>>,
}

/// Tells `null` (`Some(None)`) from absent (`None`, by the default).
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The query of `GET /api/v1/tasks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    status: Option<Status>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// One page, newest first. `next_cursor` asks for the page after it and is absent on the last.
#[derive(Debug, Serialize)]
pub(crate) struct TaskPage {
    tasks: Vec<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// `POST /api/v1/tasks`: 201 with the task.
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewTask>,
) -> Result<(StatusCode, Json<Task>), ApiError> {
    let mut problems = Vec::new();
    check_text(&mut problems, "title", &new.title, 1, MAX_TITLE);
    check_text(
        &mut problems,
        "description",
        &new.description,
        0,
        MAX_DESCRIPTION,
    );
    let due_at = new
        .due_at
        .as_deref()
        .and_then(|text| check_time(&mut problems, "due_at", text));
    refuse(problems)?;

    let (id, now) = (
        Uuid::new_v4().to_string(),
        Timestamp::now().as_millisecond(),
    );
    let status = new.status.unwrap_or(Status::Open).as_str().to_owned();
    let row: Row = (
        id.clone(),
        new.title,
        new.description,
        status,
        due_at,
        now,
        now,
    );
    let (owner, inserted) = (caller.user_id.clone(), row.clone());
    let insert = app
        .database
        .on_primary(operation!("INSERT", "tasks"), |pool| async move {
            sqlx::query(
                "INSERT INTO tasks (owner_id, id, title, description, status, due_at, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(owner)
            .bind(inserted.0)
            .bind(inserted.1)
            .bind(inserted.2)
            .bind(inserted.3)
            .bind(inserted.4)
            .bind(inserted.5)
            .bind(inserted.6)
            .execute(&pool)
            .await
        });
    insert.await?;
    caller.facts.set_task(&id);
    note_write(&app, &caller).await?;
    Ok((StatusCode::CREATED, Json(Task::try_from(row)?)))
}

/// `GET /api/v1/tasks?status=&limit=&cursor=`: a page of the caller's tasks, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<TaskPage>, ApiError> {
    let limit = listing.limit.unwrap_or(DEFAULT_PAGE);
    let before = listing.cursor.as_deref().map(Cursor::parse).transpose()?;
    if !(1..=MAX_PAGE).contains(&limit) {
        let message = format!("must be 1 to {MAX_PAGE}; got {limit}");
        return Err(ApiError::Invalid(vec![FieldProblem {
            field: "limit",
            message,
        }]));
    }
    let before = before.unwrap_or_else(Cursor::newest);
    let status = listing.status.map(|status| status.as_str().to_owned());
    let owner = caller.user_id.clone();
    let rows = app
        .database
        .read(caller.reader(), operation!("SELECT", "tasks"), |pool| {
            let (owner, status, before) = (owner.clone(), status.clone(), before.clone());
            async move {
                sqlx::query_as::<_, Row>(
                    "SELECT id, title, description, status, due_at, created_at, updated_at \
                 FROM tasks WHERE owner_id = $1 AND ($2 IS NULL OR status = $2) \
                 AND (created_at < $3 OR (created_at = $3 AND id < $4)) \
                 ORDER BY created_at DESC, id DESC LIMIT $5",
                )
                .bind(owner)
                .bind(status)
                .bind(before.created_at)
                .bind(before.id)
                // One more than shown tells whether there is a next page.
                .bind(i64::from(limit) + 1)
                .fetch_all(&pool)
                .await
            }
        });
    let mut rows = rows.await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().filter(|_| more);
    let next_cursor = last.map(|row| {
        Cursor {
            created_at: row.5,
            id: row.0.clone(),
        }
        .to_string()
    });
    let tasks = rows
        .into_iter()
        .map(Task::try_from)
        .collect::<Result<_, _>>()?;
    Ok(Json(TaskPage { tasks, next_cursor }))
}

/// `GET /api/v1/tasks/{id}`.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Task>, ApiError> {
    let id = id.to_string();
    caller.facts.set_task(&id);
    let owner = caller.user_id.clone();
    let row = app
        .database
        .read(caller.reader(), operation!("SELECT", "tasks"), |pool| {
            let (id, owner) = (id.clone(), owner.clone());
            async move {
                sqlx::query_as::<_, Row>(
                    "SELECT id, title, description, status, due_at, created_at, updated_at \
                 FROM tasks WHERE id = $1 AND owner_id = $2",
                )
                .bind(id)
                .bind(owner)
                .fetch_optional(&pool)
                .await
            }
        });
    let row = row.await?.ok_or(ApiError::NotFound("task"))?;
    Ok(Json(Task::try_from(row)?))
}

/// `PATCH /api/v1/tasks/{id}`: 200 with the task as it is now.
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Body(change): Body<TaskChange>,
) -> Result<Json<Task>, ApiError> {
    let mut problems = Vec::new();
    if let Some(title) = &change.title {
        check_text(&mut problems, "title", title, 1, MAX_TITLE);
    }
    if let Some(description) = &change.description {
        check_text(
            &mut problems,
            "description",
            description,
            0,
            MAX_DESCRIPTION,
        );
    }
    let sets_due_at = change.due_at.is_some();
    let due_at = change.due_at.flatten();
    let due_at = due_at.and_then(|text| check_time(&mut problems, "due_at", &text));
    refuse(problems)?;

    let id = id.to_string();
    caller.facts.set_task(&id);
    let (owner, now) = (caller.user_id.clone(), Timestamp::now().as_millisecond());
    let status = change.status.map(|status| status.as_str().to_owned());
    let update = app
        .database
        .on_primary(operation!("UPDATE", "tasks"), |pool| async move {
            sqlx::query_as::<_, Row>(
                "UPDATE tasks SET title = COALESCE($3, title), \
             description = COALESCE($4, description), status = COALESCE($5, status), \
             due_at = CASE WHEN $6 = 1 THEN $7 ELSE due_at END, updated_at = $8 \
             WHERE id = $1 AND owner_id = $2 \
             RETURNING id, title, description, status, due_at, created_at, updated_at",
            )
            .bind(id)
            .bind(owner)
            .bind(change.title)
            .bind(change.description)
            .bind(status)
            .bind(i64::from(sets_due_at))
            .bind(due_at)
            .bind(now)
            .fetch_optional(&pool)
            .await
        });
    let row = update.await?.ok_or(ApiError::NotFound("task"))?;
    note_write(&app, &caller).await?;
    Ok(Json(Task::try_from(row)?))
}

/// `DELETE /api/v1/tasks/{id}`: 204.
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let id = id.to_string();
    caller.facts.set_task(&id);
    let owner = caller.user_id.clone();
    let delete = app
        .database
        .on_primary(operation!("DELETE", "tasks"), |pool| async move {
            let deleted = sqlx::query("DELETE FROM tasks WHERE id = $1 AND owner_id = $2")
                .bind(id)
                .bind(owner)
                .execute(&pool)
                .await?;
            Ok(deleted.rows_affected() == 1)
        });
    if !delete.await? {
        return Err(ApiError::NotFound("task"));
    }
    note_write(&app, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn note_write(app: &App, caller: &Caller) -> Result<(), InternalError> {
    if let Some(position) = app.database.note_write(&caller.user_id).await? {
        caller.facts.set_wrote_up_to(position);
    }
    Ok(())
}

/// Where a page ended: everything after it is older, or as old with a smaller id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    created_at: i64,
    id: String,
}

impl Cursor {
    fn newest() -> Self {
        Self {
            created_at: i64::MAX,
            id: String::new(),
        }
    }

    fn parse(text: &str) -> Result<Self, ApiError> {
        let parts = text.split_once('.');
        let parsed = parts.and_then(|(time, id)| Some((time.parse().ok()?, id.parse().ok()?)));
        let Some((created_at, id)): Option<(i64, Uuid)> = parsed else {
            let message = format!("expected a next_cursor from an earlier page, got {text:?}");
            return Err(ApiError::Invalid(vec![FieldProblem {
                field: "cursor",
                message,
            }]));
        };
        Ok(Self {
            created_at,
            id: id.to_string(),
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.created_at, self.id)
    }
}

fn check_text(
    problems: &mut Vec<FieldProblem>,
    field: &'static str,
    text: &str,
    min: usize,
    max: usize,
) {
    let length = text.trim().chars().count();
    if !(min..=max).contains(&length) {
        let message = format!("must have {min} to {max} characters; got {length}");
        problems.push(FieldProblem { field, message });
    } else if text.contains('\0') {
        let message = "must not contain the character NUL".to_owned();
        problems.push(FieldProblem { field, message });
    }
}

fn check_time(problems: &mut Vec<FieldProblem>, field: &'static str, text: &str) -> Option<i64> {
    match text.parse::<Timestamp>() {
        Ok(time) => Some(time.as_millisecond()),
        Err(_) => {
            let message = format!("expected a time such as 2026-11-21T09:00:00Z, got {text:?}");
            problems.push(FieldProblem { field, message });
            None
        }
    }
}

fn refuse(problems: Vec<FieldProblem>) -> Result<(), ApiError> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid(problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_own_text() {
        let cursor = Cursor {
            created_at: 1_795_000_000_000,
            id: Uuid::new_v4().to_string(),
        };
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        for bad in ["", "5", "5.", "x.y", "5.not-a-uuid"] {
            assert!(Cursor::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_due_date_can_be_absent_null_or_set() {
        let due = |json: &str| serde_json::from_str::<TaskChange>(json).unwrap().due_at;
        assert_eq!(due("{}"), None);
        assert_eq!(due(r#"{"due_at":null}"#), Some(None));
        assert_eq!(due(r#"{"due_at":"t"}"#), Some(Some("t".to_owned())));
    }
}
