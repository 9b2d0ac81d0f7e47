//! Every query that runs often is served by an index, in order, on the server that knows least about its
//! data: SQLite, which keeps no statistics.

use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection};

use super::statements::{Dialect, Statements};
use super::{StateTable, schema};
use crate::entity::{Column, ColumnKind, ColumnValue};
use crate::reference::Kind;

const COLUMNS: &[Column] = &[Column { name: "category", kind: ColumnKind::Text }];
const TABLE: StateTable = StateTable { kind: Kind { service: "inventory", entity: "stock" }, columns: COLUMNS };

const STATE: &str = "CREATE TABLE nakku_inventory__stock_state (
    shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, part VARBINARY(192) NOT NULL, version BIGINT NOT NULL,
    seq BIGINT NOT NULL, data LONGBLOB NOT NULL, wake_at BIGINT NULL, category VARBINARY(64) NULL,
    PRIMARY KEY (shard, entity, part));
    CREATE INDEX inventory_stock_wake_at ON nakku_inventory__stock_state (wake_at, entity);
    CREATE INDEX inventory_stock_category ON nakku_inventory__stock_state (category, entity);";

#[tokio::test]
async fn frequent_queries_are_served_by_an_index_in_order() {
    let statements = Statements::new(Dialect::Sqlite);
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let prefix = statements.prefix("inventory").unwrap();
    for migration in schema::SERVICE {
        let sql = migration.sql.replace("{prefix}", &prefix).replace("{service}", "inventory");
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    connection.execute(STATE).await.unwrap();

    let by_category = [("category", ColumnValue::Text("dairy".into()))];
    for (sql, index) in [
        (statements.due(TABLE.kind, 32, false).unwrap(), "inventory_stock_wake_at"),
        (statements.due(TABLE.kind, 32, true).unwrap(), "inventory_stock_wake_at"),
        (statements.list(&TABLE, &by_category, false).unwrap(), "inventory_stock_category"),
        (statements.list(&TABLE, &by_category, true).unwrap(), "inventory_stock_category"),
        (statements.load(TABLE.kind).unwrap(), "sqlite_autoindex_nakku_inventory__stock_state_1"),
        (statements.journal("inventory").unwrap(), "sqlite_autoindex_nakku_inventory__journal_1"),
        (statements.last_rows("inventory", 4).unwrap(), "sqlite_autoindex_nakku_inventory__journal_1"),
        (statements.state_delete(TABLE.kind, 4).unwrap(), "sqlite_autoindex_nakku_inventory__stock_state_1"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = connection.fetch_all(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(&format!("INDEX {index} (")), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        assert!(!plan.contains("SCAN nakku_"), "{sql}: {plan}");
    }
}
