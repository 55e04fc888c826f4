//! What a read finds.

use std::collections::BTreeMap;

use event::RecordKind;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use source::{Account, Cursor, Row, suite::Fixture};

use crate::fixture::Budget;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn payloads(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.payload.as_str()).collect()
}

fn leg(amount: i64, category: &str) -> Value {
    json!({"id": format!("leg{amount}"), "amount": amount, "category_id": category, "transfer_account_id": null, "deleted": false})
}

#[tokio::test]
async fn an_edit_of_an_old_row_is_found_because_the_date_is_always_sent() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    let id = budget.spend("2024-01-01", -5_000, "food");
    assert_eq!(budget.drain(&mut cursor).await, []);
    budget.change(&id, |row| row["date"] = json!("2026-07-10"));
    let rows = budget.drain(&mut cursor).await;
    assert_eq!(payloads(&rows), [r#"{"date":"2026-07-10","parts":[{"category":"food","amount":-5000}]}"#]);
    budget.change(&id, |row| row["date"] = json!("2024-01-01"));
    let rows = budget.drain(&mut cursor).await;
    assert_eq!((rows.len(), rows[0].kind, rows[0].seen_before), (1, RecordKind::Deleted, true));
}

#[tokio::test]
async fn only_what_is_spent_or_earned_counts() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    let row = |change: fn(&mut Value)| {
        let id = budget.spend("2026-07-10", -1_000, "food");
        budget.change(&id, change);
    };
    row(|row| row["transfer_account_id"] = json!("savings"));
    row(|row| row["account_id"] = json!("house"));
    row(|row| row["category_id"] = Value::Null);
    row(|row| row["category_id"] = json!("none"));
    assert_eq!(budget.drain(&mut cursor).await, []);
    row(|row| row["transfer_account_id"] = json!("house"));
    row(|row| {
        row["category_name"] = json!("Split");
        row["category_id"] = json!("split");
        row["subtransactions"] = json!([leg(-600, "food"), leg(-300, "fun"), leg(-100, "none")]);
    });
    row(|row| {
        row["category_id"] = json!("in");
        row["amount"] = json!(9_000);
    });
    let expected = [
        r#"{"date":"2026-07-10","parts":[{"category":"food","amount":-1000}]}"#,
        r#"{"date":"2026-07-10","parts":[{"category":"food","amount":-600},{"category":"fun","amount":-300}]}"#,
        r#"{"date":"2026-07-10","parts":[{"category":"in","amount":9000,"inflow":true}]}"#,
    ];
    assert_eq!(payloads(&budget.drain(&mut cursor).await), expected);
}

#[tokio::test]
async fn legs_that_came_only_in_part_are_read_with_the_whole_transaction() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    let id = budget.spend("2026-07-10", -1_000, "food");
    budget.drain(&mut cursor).await;
    budget.world.lock().unwrap().partial_legs = true;
    budget.change(&id, |row| {
        row["category_name"] = json!("Split");
        row["subtransactions"] = json!([leg(-600, "food"), leg(-400, "fun")]);
    });
    let rows = budget.drain(&mut cursor).await;
    let expected =
        r#"{"date":"2026-07-10","parts":[{"category":"food","amount":-600},{"category":"fun","amount":-400}]}"#;
    assert_eq!(payloads(&rows), [expected]);
}

#[tokio::test]
async fn a_restored_plan_is_read_in_full_and_compared() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    let kept = budget.spend("2026-07-10", -1_000, "food");
    budget.spend("2026-07-11", -2_000, "food");
    budget.drain(&mut cursor).await;
    {
        let mut world = budget.world.lock().unwrap();
        world.rows.truncate(1);
        world.rows[0]["amount"] = json!(-1_500);
        world.rows[0]["log"] = json!(50);
        world.knowledge = 50;
        world.now += DAY;
    }
    let rows = budget.drain(&mut cursor).await;
    let kinds: BTreeMap<String, RecordKind> = rows.iter().map(|row| (row.external_id.to_string(), row.kind)).collect();
    assert_eq!(kinds, BTreeMap::from([(kept, RecordKind::Present), ("tr1".to_owned(), RecordKind::Deleted)]));
}

#[tokio::test]
async fn an_account_that_leaves_the_budget_takes_its_rows_along() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    budget.spend("2026-07-10", -1_000, "food");
    assert_eq!(budget.drain(&mut cursor).await.len(), 1);
    budget.world.lock().unwrap().accounts[0]["on_budget"] = json!(false);
    budget.move_clock(SignedDuration::from_hours(1));
    assert_eq!(payloads(&budget.drain(&mut cursor).await), [r#"{"date":"2026-07-10","parts":[]}"#]);
}

#[tokio::test]
async fn a_row_of_an_account_that_is_new_waits_for_the_account() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    budget.drain(&mut cursor).await;
    let account = json!({"id": "new", "on_budget": false});
    budget.world.lock().unwrap().accounts.as_array_mut().unwrap().push(account);
    let id = budget.spend("2026-07-10", -1_000, "food");
    budget.change(&id, |row| row["account_id"] = json!("new"));
    assert_eq!(budget.drain(&mut cursor).await, [], "it is off budget");
}

#[tokio::test]
async fn an_imported_row_that_is_matched_counts_once() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    let by_hand = budget.spend("2026-07-10", -1_000, "food");
    let imported = budget.spend("2026-07-10", -1_000, "food");
    budget.change(&by_hand, |row| row["matched_transaction_id"] = json!("tr1"));
    budget.change(&imported, |row| {
        row["matched_transaction_id"] = json!("tr0");
        row["import_id"] = json!("YNAB:-1000:2026-07-10:1");
    });
    let rows = budget.drain(&mut cursor).await;
    assert_eq!(rows.iter().map(|row| row.external_id.as_str()).collect::<Vec<_>>(), [by_hand]);
}

#[tokio::test]
async fn a_connection_at_rest_costs_one_request_and_old_rows_leave_the_window_unsaid() {
    let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
    budget.spend("2026-06-14", -1_000, "food");
    assert_eq!(budget.drain(&mut cursor).await.len(), 1);
    let before = budget.asked().len();
    budget.drain(&mut cursor).await;
    assert_eq!(budget.asked().len() - before, 1);
    for _ in 0..30 {
        budget.move_clock(DAY);
        assert_eq!(budget.drain(&mut cursor).await, []);
    }
}

#[tokio::test]
async fn the_plan_of_a_fresh_grant_is_the_one_last_used() {
    let budget = Budget::start().await;
    let account = Account { credentials: json!({"access_token": crate::fixture::TOKEN}), ..budget.account() };
    let completed = budget.source().complete(&account, budget.now()).await.unwrap();
    assert_eq!(completed["plan_id"], budget.account().credentials["plan_id"]);
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Spend { day: u8, amount: i64 },
    Edit { place: usize, day: u8, amount: i64 },
    Delete { place: usize },
    Read,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u8..30, -9_000i64..9_000).prop_map(|(day, amount)| Step::Spend { day, amount }),
        (0usize..20, 1u8..30, -9_000i64..9_000).prop_map(|(place, day, amount)| Step::Edit { place, day, amount }),
        (0usize..20).prop_map(|place| Step::Delete { place }),
        Just(Step::Read),
        Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_happens_the_newest_rows_are_what_the_plan_holds(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (budget, mut cursor) = (Budget::start().await, Cursor::fresh());
            let mut newest: BTreeMap<String, Option<String>> = BTreeMap::new();
            let mut apply = |rows: Vec<Row>| newest.extend(rows.into_iter().map(|row| {
                (row.external_id.to_string(), (row.kind == RecordKind::Present).then_some(row.payload))
            }));
            // Nothing of June 20th and later leaves the window.
            let date = |day: u8| format!("2026-07-{day:02}");
            for step in steps {
                let count = budget.world.lock().unwrap().rows.len();
                match step {
                    Step::Spend { day, amount } => drop(budget.spend(&date(day), amount, "food")),
                    Step::Edit { place, day, amount } if place < count => budget.change(&format!("tr{place}"), |row| {
                        row["date"] = json!(date(day));
                        row["amount"] = json!(amount);
                    }),
                    Step::Delete { place } if place < count => budget.change(&format!("tr{place}"), |row| row["deleted"] = json!(true)),
                    Step::Read => apply(budget.drain(&mut cursor).await),
                    Step::Wait => budget.move_clock(SignedDuration::from_hours(9)),
                    Step::Edit { .. } | Step::Delete { .. } => {}
                }
            }
            apply(budget.drain(&mut cursor).await);
            let found: Vec<String> = newest.into_values().flatten().collect();
            let mut found = found;
            found.sort();
            let world = budget.world.lock().unwrap();
            let alive = world.rows.iter().filter(|row| row["deleted"] == false);
            let mut expected: Vec<String> = alive.map(|row| format!(
                r#"{{"date":{},"parts":[{{"category":"food","amount":{}}}]}}"#, row["date"], row["amount"]
            )).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}
