//! The `webhook_endpoints` and `webhook_deliveries` tables: where a tenant is told of events, and what was sent there.

use std::time::Duration;

use platen_model::TenantId;
use sqlx::{Any, AssertSqlSafe, Executor, Row as _};
use uuid::Uuid;

use super::{DbRow, Store, StoreError, Write, jobs, now_ms, word};

/// An address that events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub endpoint_id: Uuid,
    /// Its tenant.
    pub tenant: TenantId,
    /// Where to send.
    pub url: String,
    /// Names of the events it wants; none stands for all.
    pub events: Vec<String>,
    /// Which of its secrets signs now, from 1.
    pub secret_number: i64,
    /// Until when the secret before signs as well, in milliseconds since 1970.
    pub former_until_ms: i64,
    /// Why nothing is sent any more; empty while it is.
    pub disabled: String,
    /// Since when every attempt failed, in milliseconds since 1970; 0 while they do not.
    pub failing_ms: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; the same at each attempt, so that a receiver can tell a repetition.
    pub delivery_id: Uuid,
    /// Where it goes.
    pub endpoint_id: Uuid,
    /// The event's place in the tenant's feed.
    pub position: i64,
    /// The event's name.
    pub event: String,
    /// Where it is.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// The status of the last answer; 0 where none came.
    pub status: u16,
    /// What went wrong the last time; empty where nothing did.
    pub trouble: String,
    /// When the event happened, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last tried, in milliseconds since 1970; 0 where it was not yet.
    pub tried_ms: i64,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It will be tried, for the first time or again.
    Waiting,
    /// The endpoint took it.
    Delivered,
    /// It was given up; it can be replayed.
    Failed,
}

impl State {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for State {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Waiting, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or("no state of a delivery")
    }
}

/// Adds an endpoint.
pub async fn add(write: &mut Write, endpoint: &Endpoint) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhook_endpoints (endpoint_id, tenant_id, url, events, created_ms)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(endpoint.endpoint_id.to_string())
    .bind(endpoint.tenant.as_str())
    .bind(&endpoint.url)
    .bind(endpoint.events.join(" "))
    .bind(endpoint.created_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Changes an endpoint to what is given here.
pub async fn change(write: &mut Write, endpoint: &Endpoint) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE webhook_endpoints SET url = $1, events = $2, secret_number = $3, former_until_ms = $4, disabled = $5,
           failing_ms = $6 WHERE tenant_id = $7 AND endpoint_id = $8",
    )
    .bind(&endpoint.url)
    .bind(endpoint.events.join(" "))
    .bind(endpoint.secret_number)
    .bind(endpoint.former_until_ms)
    .bind(&endpoint.disabled)
    .bind(endpoint.failing_ms)
    .bind(endpoint.tenant.as_str())
    .bind(endpoint.endpoint_id.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Removes an endpoint and what was sent to it; answers whether it was there.
pub async fn remove(write: &mut Write, tenant: &TenantId, endpoint: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2")
        .bind(tenant.as_str())
        .bind(endpoint.to_string())
        .execute(&mut **write)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// An endpoint of the tenant.
pub async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    endpoint: Uuid,
) -> Result<Option<Endpoint>, StoreError> {
    let row = sqlx::query("SELECT * FROM webhook_endpoints WHERE tenant_id = $1 AND endpoint_id = $2")
        .bind(tenant.as_str())
        .bind(endpoint.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(|row| read_endpoint(&row)).transpose()
}

/// The tenant's endpoints, oldest first. They are few: [`crate::webhooks::ENDPOINTS`].
pub async fn list<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
) -> Result<Vec<Endpoint>, StoreError> {
    let rows = sqlx::query("SELECT * FROM webhook_endpoints WHERE tenant_id = $1 ORDER BY endpoint_id")
        .bind(tenant.as_str())
        .fetch_all(executor)
        .await?;
    rows.iter().map(read_endpoint).collect()
}

fn read_endpoint(row: &DbRow) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        endpoint_id: word(row.get("endpoint_id"))?,
        tenant: word(row.get("tenant_id"))?,
        url: row.get("url"),
        events: row.get::<&str, _>("events").split_whitespace().map(str::to_owned).collect(),
        secret_number: row.get("secret_number"),
        former_until_ms: row.get("former_until_ms"),
        disabled: row.get("disabled"),
        failing_ms: row.get("failing_ms"),
        created_ms: row.get("created_ms"),
    })
}

/// Asks that the tenant's endpoints be told of an event: in the transaction of the event itself.
pub(super) async fn announce(
    write: &mut Write,
    tenant: &TenantId,
    position: i64,
    event: &str,
) -> Result<(), StoreError> {
    for endpoint in list(&mut **write, tenant).await? {
        let wanted = endpoint.events.is_empty() || endpoint.events.iter().any(|name| name == event);
        if !wanted || !endpoint.disabled.is_empty() {
            continue;
        }
        let delivery = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, position, event, state, created_ms)
             VALUES ($1, $2, $3, $4, $5, 'waiting', $6)",
        )
        .bind(delivery.to_string())
        .bind(tenant.as_str())
        .bind(endpoint.endpoint_id.to_string())
        .bind(position)
        .bind(event)
        .bind(now_ms())
        .execute(&mut **write)
        .await?;
        ask_for(write, tenant, delivery).await?;
    }
    Ok(())
}

/// Asks that a delivery be tried now.
pub async fn ask_for(write: &mut Write, tenant: &TenantId, delivery: Uuid) -> Result<(), StoreError> {
    let job = jobs::New {
        kind: crate::jobs::kinds::DELIVER.into(),
        document: None,
        argument: delivery.to_string(),
        run_at_ms: 0,
    };
    jobs::enqueue(write, tenant, job).await
}

/// Deliveries that wait for an endpoint which may not be called for a while.
#[derive(Clone, Copy, Debug)]
pub struct Others {
    /// The endpoint.
    pub endpoint: Uuid,
    /// But for this one, which may call it.
    pub but: Uuid,
    /// Those that would ask within this time.
    pub due_in: Duration,
}

/// Puts off some deliveries that would ask in vain, as if each had asked; what a person replays comes when it was to come.
pub async fn put_off(
    store: &Store,
    tenant: &TenantId,
    others: &Others,
    wait: Duration,
) -> Result<u64, StoreError> {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let now = store.now_ms().await?;
    let Others { endpoint, but, due_in } = others;
    let done = sqlx::query(PUT_OFF)
        .bind(now.saturating_add(ms(wait)))
        .bind(tenant.as_str())
        .bind(now.saturating_add(ms(*due_in)))
        .bind(endpoint.to_string())
        .bind(but.to_string())
        .execute(store.writing())
        .await?;
    Ok(done.rows_affected())
}

pub(super) const PUT_OFF: &str = "UPDATE jobs SET run_at_ms = $1 WHERE state = 'ready' AND job_id IN (
     SELECT j.job_id FROM jobs j CROSS JOIN webhook_deliveries d
     WHERE d.delivery_id = j.argument AND j.tenant_id = $2 AND j.state = 'ready' AND j.lane = 'deliver' AND j.run_at_ms <= $3
       AND d.endpoint_id = $4 AND d.delivery_id <> $5 AND d.state = 'waiting' AND (d.attempts > 0 OR d.tried_ms = 0)
     ORDER BY j.run_at_ms LIMIT 500)";

/// A delivery of the tenant.
pub async fn delivery<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    delivery: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    let row = sqlx::query("SELECT * FROM webhook_deliveries WHERE tenant_id = $1 AND delivery_id = $2")
        .bind(tenant.as_str())
        .bind(delivery.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(|row| read_delivery(&row)).transpose()
}

/// Which deliveries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only to this endpoint.
    pub endpoint: Option<Uuid>,
    /// Only in this state.
    pub state: Option<State>,
    /// Go on after this one (older ones follow).
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: u32,
}

/// The tenant's deliveries, newest first.
pub async fn deliveries(
    store: &Store,
    tenant: &TenantId,
    filter: &Filter,
) -> Result<Vec<Delivery>, StoreError> {
    let (sql, values) = wording(tenant, filter);
    let query = values.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| query.bind(value));
    query.fetch_all(store.reading()).await?.iter().map(read_delivery).collect()
}

/// The statement of a list and its values. Only the conditions that are asked for: one that may hold for any row would
/// keep the indices from being used.
pub(super) fn wording(tenant: &TenantId, filter: &Filter) -> (String, Vec<String>) {
    let mut values = vec![tenant.to_string()];
    let mut sql = "SELECT * FROM webhook_deliveries WHERE tenant_id = $1".to_owned();
    let conditions = [
        ("endpoint_id =", filter.endpoint.map(|id| id.to_string())),
        ("state =", filter.state.map(|state| state.as_str().to_owned())),
        ("delivery_id <", filter.after.map(|id| id.to_string())),
    ];
    for (condition, value) in conditions {
        let Some(value) = value else { continue };
        values.push(value);
        sql += &format!(" AND {condition} ${}", values.len());
    }
    sql += &format!(" ORDER BY delivery_id DESC LIMIT {}", filter.limit);
    (sql, values)
}

/// Records where a delivery is now.
pub async fn record(write: &mut Write, tenant: &TenantId, delivery: &Delivery) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE webhook_deliveries SET state = $1, attempts = $2, status = $3, trouble = $4, tried_ms = $5
         WHERE tenant_id = $6 AND delivery_id = $7",
    )
    .bind(delivery.state.as_str())
    .bind(i64::from(delivery.attempts))
    .bind(i64::from(delivery.status))
    .bind(&delivery.trouble)
    .bind(delivery.tried_ms)
    .bind(tenant.as_str())
    .bind(delivery.delivery_id.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Forgets some deliveries that ended before a time, in milliseconds since 1970; their events stay in the feed. Answers how
/// many.
pub async fn forget(store: &Store, before_ms: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(FORGET).bind(before_ms).execute(store.writing()).await?;
    Ok(done.rows_affected())
}

pub(super) const FORGET: &str = "DELETE FROM webhook_deliveries WHERE delivery_id IN (
     SELECT delivery_id FROM webhook_deliveries WHERE created_ms < $1 AND state <> 'waiting'
     ORDER BY created_ms LIMIT 500)";

fn read_delivery(row: &DbRow) -> Result<Delivery, StoreError> {
    let number = |column: &str| row.get::<i64, _>(column);
    Ok(Delivery {
        delivery_id: word(row.get("delivery_id"))?,
        endpoint_id: word(row.get("endpoint_id"))?,
        position: number("position"),
        event: row.get("event"),
        state: word(row.get("state"))?,
        attempts: u32::try_from(number("attempts")).unwrap_or(u32::MAX),
        status: u16::try_from(number("status")).unwrap_or_default(),
        trouble: row.get("trouble"),
        created_ms: number("created_ms"),
        tried_ms: number("tried_ms"),
    })
}
