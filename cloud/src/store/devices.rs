//! What devices told of themselves last, and the orders that are open for them.

use platen_model::device::{DeviceReport, Order, OrderDone, OrderKind};
use platen_model::{DeviceId, TenantId};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Store, StoreError, Write, json, now_ms, to_json, word};

/// How long orders that ended are kept, in milliseconds.
const KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// The last report of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The device.
    pub device_id: DeviceId,
    /// When it came, in milliseconds since 1970.
    pub received_ms: i64,
    /// What it said.
    pub report: DeviceReport,
}

/// An order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOrder {
    /// The order.
    pub order: Order,
    /// The device.
    pub device_id: DeviceId,
    /// Who gave it.
    pub asked_by: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ended; 0 while it is open.
    pub done_ms: i64,
    /// What came of it.
    pub outcome: String,
}

/// Keeps a device's report in the place of its last one, and ends the orders that it confirms.
pub async fn report(
    write: &mut Write,
    tenant: &TenantId,
    device: DeviceId,
    report: &DeviceReport,
) -> Result<(), StoreError> {
    for OrderDone { order_id, outcome } in &report.done {
        sqlx::query(
            "UPDATE device_orders SET done_ms = $1, outcome = $2
             WHERE tenant_id = $3 AND device_id = $4 AND order_id = $5 AND done_ms = 0",
        )
        .bind(now_ms())
        .bind(outcome)
        .bind(tenant.as_str())
        .bind(device.to_string())
        .bind(order_id.to_string())
        .execute(&mut **write)
        .await?;
    }
    sqlx::query(
        "INSERT INTO device_reports (device_id, tenant_id, received_ms, report) VALUES ($1, $2, $3, $4)
         ON CONFLICT (device_id) DO UPDATE SET received_ms = excluded.received_ms, report = excluded.report",
    )
    .bind(device.to_string())
    .bind(tenant.as_str())
    .bind(now_ms())
    .bind(to_json(report))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The last reports of the tenant's devices.
pub async fn reports(store: &Store, tenant: &TenantId) -> Result<Vec<Reported>, StoreError> {
    let rows = sqlx::query("SELECT device_id, received_ms, report FROM device_reports WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    rows.iter().map(reported).collect()
}

fn reported(row: &AnyRow) -> Result<Reported, StoreError> {
    Ok(Reported {
        device_id: word(row.get("device_id"))?,
        received_ms: row.get("received_ms"),
        report: json(row.get("report"))?,
    })
}

/// The last report of a device.
pub async fn report_of(
    store: &Store,
    tenant: &TenantId,
    device: DeviceId,
) -> Result<Option<Reported>, StoreError> {
    let row = sqlx::query(
        "SELECT device_id, received_ms, report FROM device_reports WHERE tenant_id = $1 AND device_id = $2",
    )
    .bind(tenant.as_str())
    .bind(device.to_string())
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| reported(&row)).transpose()
}

/// The orders that are open for a device, oldest first.
pub async fn open_orders(
    write: &mut Write,
    tenant: &TenantId,
    device: DeviceId,
) -> Result<Vec<Order>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM device_orders WHERE tenant_id = $1 AND device_id = $2 AND done_ms = 0 ORDER BY order_id",
    )
    .bind(tenant.as_str())
    .bind(device.to_string())
    .fetch_all(&mut **write)
    .await?;
    rows.iter().map(|row| kept(row).map(|kept| kept.order)).collect()
}

/// Gives a device an order, unless as many as may be are open. Answers it.
pub async fn order(
    write: &mut Write,
    tenant: &TenantId,
    device: DeviceId,
    kind: OrderKind,
    asked_by: &str,
) -> Result<Option<Order>, StoreError> {
    write.hold(format!("orders of {device}")).await?;
    sqlx::query("DELETE FROM device_orders WHERE tenant_id = $1 AND done_ms > 0 AND done_ms < $2")
        .bind(tenant.as_str())
        .bind(now_ms() - KEPT_MS)
        .execute(&mut **write)
        .await?;
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM device_orders WHERE tenant_id = $1 AND device_id = $2 AND done_ms = 0",
    )
    .bind(tenant.as_str())
    .bind(device.to_string())
    .fetch_one(&mut **write)
    .await?;
    if row.get::<i64, _>("count") >= platen_model::device::ORDERS_OPEN as i64 {
        return Ok(None);
    }
    let order = Order { order_id: Uuid::now_v7(), kind };
    sqlx::query(
        "INSERT INTO device_orders (order_id, device_id, tenant_id, kind, asked_by, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(order.order_id.to_string())
    .bind(device.to_string())
    .bind(tenant.as_str())
    .bind(to_json(&kind))
    .bind(asked_by)
    .bind(now_ms())
    .execute(&mut **write)
    .await?;
    Ok(Some(order))
}

/// The tenant's orders, oldest first: those that are open, and those that ended in the last weeks.
pub async fn orders(store: &Store, tenant: &TenantId) -> Result<Vec<KeptOrder>, StoreError> {
    let rows = sqlx::query("SELECT * FROM device_orders WHERE tenant_id = $1 ORDER BY order_id")
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &AnyRow) -> Result<KeptOrder, StoreError> {
    Ok(KeptOrder {
        order: Order { order_id: word(row.get("order_id"))?, kind: json(row.get("kind"))? },
        device_id: word(row.get("device_id"))?,
        asked_by: row.get("asked_by"),
        created_ms: row.get("created_ms"),
        done_ms: row.get("done_ms"),
        outcome: row.get("outcome"),
    })
}
