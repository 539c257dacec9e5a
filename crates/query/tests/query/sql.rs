//! SQL over attributes, executed.

use datafusion::common::assert_batches_eq;
use datafusion::execution::context::SQLOptions;

use crate::{search, table};

async fn run(text: &str) -> Vec<datafusion::arrow::array::RecordBatch> {
    let sql = query::sql::read(text).unwrap();
    let session = table::session(&search::records(), &sql.keys);
    let plan = session
        .state()
        .statement_to_plan(sql.statement)
        .await
        .unwrap();
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .unwrap();
    let frame = session.execute_logical_plan(plan).await.unwrap();
    frame.collect().await.unwrap()
}

#[tokio::test]
async fn attributes_and_functions_are_at_hand() {
    let batches = run(
        "SELECT service, attributes['status'] AS status, duration(attributes['took']) AS seconds \
         FROM logs WHERE resource['zone'] = 'eu-1' AND has_word(body, 'took') OR number(attributes['status']) >= 500 \
         ORDER BY timestamp",
    )
    .await;
    assert_batches_eq!(
        [
            "+---------+--------+---------+",
            "| service | status | seconds |",
            "+---------+--------+---------+",
            "| api     | 500    | 1.5     |",
            "| api     | 200    | 0.012   |",
            "+---------+--------+---------+",
        ],
        &batches
    );
}

#[tokio::test]
async fn a_wrong_pattern_is_an_error_of_planning() {
    let sql = query::sql::read("SELECT 1 FROM logs WHERE has_word(body, 'two words')").unwrap();
    let session = table::session(&search::records(), &sql.keys);
    let plan = session
        .state()
        .statement_to_plan(sql.statement)
        .await
        .unwrap();
    let planned = session.state().create_physical_plan(&plan).await;
    let error = planned.unwrap_err().to_string();
    assert!(error.contains("use has_phrase"), "{error}");
}

#[test]
fn the_widest_statement_runs_on_a_small_stack() {
    let operators = query::sql::MAX_OPERATORS - 1;
    let text = format!("SELECT 1{} AS x", "+1".repeat(operators));
    let conditions = format!(
        "SELECT count(*) AS x FROM logs WHERE{} seq = 1",
        " seq <> 0 OR".repeat(operators / 2 - 1)
    );
    for text in [text, conditions] {
        let thread = std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(run(&text)).len()
            })
            .unwrap();
        assert_eq!(thread.join().unwrap(), 1);
    }
}
