//! The customers of a shop, and their habits.

use fastrand::Rng;
use serde_json::{Value, json};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// Customers of the shop.
pub(super) const CUSTOMERS: usize = 2_000;
/// How far back the shop goes.
pub(super) const PAST: i64 = 90 * DAY;

/// Categories with the range of their prices.
pub(super) const CATEGORIES: [(&str, u32, u32); 6] = [
    ("books", 8, 40),
    ("electronics", 60, 900),
    ("fashion", 20, 180),
    ("garden", 10, 150),
    ("groceries", 5, 60),
    ("toys", 10, 80),
];

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Amina", "Ben", "Chen", "Clara", "Diego", "Elif", "Emil", "Farid", "Ines", "Jonas", "Lena", "Mei", "Noah",
    "Priya", "Zoe",
];
const LAST_NAMES: [&str; 16] = [
    "Ahmed", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaya", "Lopez",
    "Moreau", "Novak", "Okafor", "Singh",
];
const COUNTRIES: [&str; 6] = ["DE", "FR", "ES", "NL", "TR", "IN"];
const PLANS: [&str; 3] = ["free", "plus", "gold"];

/// A customer's habits.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub id: String,
    /// Their anonymous id, if they were seen before they said who they are.
    pub anonymous: Option<String>,
    pub traits: Value,
    pub joined: i64,
    /// When they were last seen, where they have gone.
    pub gone: Option<i64>,
    /// Days between visits.
    pub rhythm: f64,
    /// How likely a visit ends with something in the cart, and a cart with a purchase.
    pub carts: f64,
    pub buys: f64,
    pub favourite: usize,
}

/// Makes a customer: one of the first as of the instant that the shop is filled at, or a new one.
pub(super) fn customer(random: &mut Rng, number: usize, now: i64) -> Customer {
    let mut one = |count: usize| random.usize(0..count);
    let (first, last) = (FIRST_NAMES[one(FIRST_NAMES.len())], LAST_NAMES[one(LAST_NAMES.len())]);
    let plan = PLANS[[0, 0, 0, 0, 0, 1, 1, 1, 2, 2][one(10)]];
    let mut traits = json!({
        "name": format!("{first} {last}"), "plan": plan, "country": COUNTRIES[one(COUNTRIES.len())],
        "birthYear": 1950 + one(56),
    });
    // Not everybody says everything.
    if one(10) < 8 {
        traits["newsletter"] = json!(one(2) == 0);
    }
    let favourite = one(CATEGORIES.len());
    let is_new = number >= CUSTOMERS;
    // The shop grows: most join late, and some were there from the beginning.
    let place = if random.u32(0..20) == 0 { random.f64() } else { random.f64().cbrt() };
    let joined = if is_new { now } else { now - HOUR - ((1.0 - place) * (PAST - 2 * HOUR) as f64) as i64 };
    let has_gone = !is_new && random.u32(0..100) < 25;
    let gone = has_gone.then(|| joined + ((now - joined) as f64 * random.f64() * 0.7) as i64);
    Customer {
        id: format!("{}-{number:04}", last.to_lowercase()),
        anonymous: (random.u32(0..100) < 15).then(|| format!("visitor-{number:04}")),
        traits,
        joined,
        gone,
        rhythm: 0.9 + 9.2 * random.f64() * random.f64(),
        carts: 0.15 + 0.5 * random.f64(),
        buys: if random.u32(0..100) < 20 { 0.05 } else { 0.3 + 0.6 * random.f64() },
        favourite,
    }
}
