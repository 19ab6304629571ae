//! Segments of every kind, and computed traits, for the shop.

use audience_engine::service::Service;
use audience_protocol::{PlatformError, SegmentInput, TraitInput};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Their author.
const AUTHOR: &str = "demo";

/// Creates what is not there yet.
pub(super) fn create(service: &Service) -> anyhow::Result<()> {
    for definition in traits() {
        let definition = RawValue::from_string(definition.to_string())?;
        unless_there(service.platform().traits.put_trait(TraitInput { definition, note: None }, Some(0), AUTHOR))?;
    }
    let first = json!({
        "id": "high-value", "name": "High value", "tags": ["value"], "owner": "Ada",
        "rules": {"conditions": [{"field": "totalSpent", "operator": "gt", "value": 2000}]},
    });
    // A segment with a history: each of these is a version of it.
    let edits = [
        json!({
            "name": "High value", "description": "Spent more than 1,500 in all.", "tags": ["value"], "owner": "Ada",
            "rules": {"conditions": [{"field": "totalSpent", "operator": "gt", "value": 1500}]},
        }),
        json!({
            "name": "High value", "description": "Spent more than 1,000 in all, and gave little back.",
            "tags": ["value"], "owner": "Ada",
            "rules": {"conditions": [
                {"field": "totalSpent", "operator": "gt", "value": 1000},
                {"event": "refund", "measure": {"fn": "sum", "of": "amount"}, "operator": "lt", "value": 100, "within": "30d"},
            ]},
        }),
    ];
    if unless_there(service.platform().segments.create_segment(input(&first)?, AUTHOR))? {
        for edit in &edits {
            service.platform().segments.replace_segment("high-value", input(edit)?, None, AUTHOR)?;
        }
    }
    for segment in segments() {
        unless_there(service.platform().segments.create_segment(input(&segment)?, AUTHOR))?;
    }
    Ok(())
}

/// Through text: rules stay as they are written.
fn input(segment: &Value) -> Result<SegmentInput, serde_json::Error> {
    serde_json::from_str(&segment.to_string())
}

/// Returns whether it was made now; it may have been made before a start that was cut off.
fn unless_there<T>(made: Result<T, PlatformError>) -> Result<bool, PlatformError> {
    match made {
        Ok(_) => Ok(true),
        Err(PlatformError::Exists { .. } | PlatformError::VersionMismatch { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn traits() -> Vec<Value> {
    vec![
        json!({"name": "averageOrder", "event": "purchase", "measure": {"fn": "avg", "of": "amount"}}),
        json!({"name": "daysActive30", "event": "*", "measure": {"fn": "days"}, "within": "30d"}),
        json!({"name": "lastCategory", "event": "purchase", "measure": {"fn": "last", "of": "category"}}),
    ]
}

fn segments() -> Vec<Value> {
    [of_time(), of_behaviour(), of_users()].concat()
}

/// By when customers did something, or did not.
fn of_time() -> Vec<Value> {
    vec![
        json!({
            "id": "active-now", "name": "Active now", "tags": ["live"],
            "description": "Any event within the last minute: people enter and leave all the time.",
            "rules": {"event": "*", "within": "1m"},
        }),
        json!({
            "id": "cart-abandoners", "name": "Cart abandoners", "tags": ["recovery"], "owner": "Ben",
            "description": "Put something into the cart within the last two days, and bought nothing in these two days.",
            "rules": {"conditions": [
                {"event": "add_to_cart", "within": "2d"},
                {"logic": "NOT", "conditions": [{"event": "purchase", "within": "2d"}]},
            ]},
        }),
        json!({
            "id": "lapsing", "name": "Lapsing", "tags": ["recovery"], "owner": "Ben",
            "description": "Bought before, and nothing for 30 days.",
            "rules": {"event": "purchase", "measure": {"fn": "since_last"}, "operator": "gt", "value": "30d"},
        }),
        json!({
            "id": "new-customers", "name": "New customers", "tags": ["lifecycle"],
            "description": "First seen within seven days.",
            "rules": {"event": "*", "measure": {"fn": "since_first"}, "operator": "lte", "value": "7d"},
        }),
        json!({
            "id": "never-bought", "name": "Never bought", "tags": ["lifecycle"],
            "description": "Seen for two weeks or more without any purchase.",
            "rules": {"conditions": [
                {"logic": "NOT", "conditions": [{"event": "purchase"}]},
                {"field": "firstSeen", "operator": "before", "value": "14d"},
            ]},
        }),
    ]
}

/// By what customers do.
fn of_behaviour() -> Vec<Value> {
    vec![
        json!({
            "id": "quick-buyers", "name": "Quick buyers", "tags": ["value"],
            "description": "Looked, put into the cart and bought within two hours, in the last 30 days.",
            "rules": {
                "sequence": [
                    {"event": "page_view"},
                    {"event": "add_to_cart", "maxGap": "1h"},
                    {"event": "purchase", "maxGap": "1h"},
                ],
                "within": "30d",
            },
        }),
        json!({
            "id": "electronics-again", "name": "Electronics, again and again", "tags": ["category"],
            "description": "Two purchases or more above 100 in electronics within 60 days.",
            "rules": {
                "event": "purchase", "operator": "gte", "value": 2, "within": "60d",
                "where": [
                    {"field": "category", "operator": "eq", "value": "electronics"},
                    {"field": "amount", "operator": "gt", "value": 100},
                ],
            },
        }),
        json!({
            "id": "regulars", "name": "Regulars", "tags": ["lifecycle"],
            "description": "Active on ten days or more of the last 30, and opened a newsletter.",
            "rules": {"conditions": [
                {"field": "daysActive30", "operator": "gte", "value": 10},
                {"event": "email_opened", "within": "30d"},
            ]},
        }),
    ]
}

/// By who customers are, beside others.
fn of_users() -> Vec<Value> {
    let invited: Vec<String> = ["ahmed", "bauer", "costa", "dubois", "ito", "kaya", "novak", "singh"]
        .iter()
        .flat_map(|name| (0..60).map(move |number| format!("{name}-{number:04}")))
        .collect();
    vec![
        json!({
            "id": "best-100", "name": "The best 100", "tags": ["value"],
            "description": "The 100 customers who spent most within 90 days.",
            "rules": {
                "rank": {"by": {"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "within": "90d"}},
                "top": 100,
            },
        }),
        json!({
            "id": "keenest-gold", "name": "Keenest of gold", "tags": ["value"],
            "description": "Of those with the gold plan, the tenth who look at most pages.",
            "rules": {
                "rank": {"by": "pageViews"}, "percent": 10,
                "among": {"field": "plan", "operator": "eq", "value": "gold"},
            },
        }),
        json!({
            "id": "invited", "name": "Invited to the preview", "type": "STATIC", "tags": ["event"],
            "description": "A list, with people who were never seen too.",
            "members": invited,
        }),
        json!({
            "id": "valuable-at-risk", "name": "Valuable, at risk", "tags": ["recovery", "value"], "owner": "Ada",
            "description": "A segment of segments: invited or of high value, and lapsing.",
            "rules": {"conditions": [
                {"logic": "OR", "conditions": [{"segment": "high-value"}, {"segment": "invited"}]},
                {"segment": "lapsing"},
            ]},
        }),
        json!({
            "id": "test-group-a", "name": "Test group A", "tags": ["experiment"],
            "description": "A stable half of those who did not refuse the newsletter.",
            "rules": {"conditions": [
                {"sample": {"salt": "autumn", "from": 0, "to": 4999}},
                {"field": "newsletter", "operator": "ne", "value": false},
            ]},
        }),
        json!({
            "id": "gold-in-germany", "name": "Gold in Germany", "status": "DRAFT", "tags": ["event"],
            "description": "Not in use yet.",
            "rules": {"conditions": [
                {"field": "plan", "operator": "eq", "value": "gold"},
                {"field": "country", "operator": "eq", "value": "DE"},
            ]},
        }),
    ]
}
