//! The customers of a shop: their past, and their next visits.

use audience_rules::time::format_time;
use fastrand::Rng;
use serde_json::{Value, json};

/// The shop that the demo begins with.
pub const SEED: u64 = 2_026;

const CUSTOMERS: usize = 2_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How far back the shop goes.
const PAST: i64 = 90 * DAY;

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
const CHANNELS: [&str; 5] = ["search", "newsletter", "social", "direct", "affiliate"];
const DEVICES: [&str; 3] = ["phone", "desktop", "tablet"];
/// Categories with the range of their prices.
const CATEGORIES: [(&str, u32, u32); 6] = [
    ("books", 8, 40),
    ("electronics", 60, 900),
    ("fashion", 20, 180),
    ("garden", 10, 150),
    ("groceries", 5, 60),
    ("toys", 10, 80),
];

/// A customer's habits.
#[derive(Clone, Debug)]
struct Customer {
    id: String,
    /// Whether they were seen before they said who they are.
    anonymous: Option<String>,
    traits: Value,
    joined: i64,
    /// When they were last seen, where they have gone.
    gone: Option<i64>,
    /// Days between visits.
    rhythm: f64,
    /// How likely a visit ends with something in the cart, and a cart with a purchase.
    carts: f64,
    buys: f64,
    favourite: usize,
}

/// A shop.
pub struct Shop {
    random: Rng,
    customers: Vec<Customer>,
    filled_at: i64,
    /// Numbers for events, orders and new customers.
    count: u64,
    name: u64,
}

impl Shop {
    /// The shop of a seed, filled at an instant. Its customers are those of [`SEED`].
    pub fn new(seed: u64, filled_at: i64) -> Shop {
        let mut random = Rng::with_seed(SEED);
        let customers = (0..CUSTOMERS).map(|number| customer(&mut random, number, filled_at)).collect();
        Shop { random: Rng::with_seed(seed), customers, filled_at, count: 0, name: seed }
    }

    /// Everything up to the instant that it is filled at, in the order of time.
    pub fn past(&mut self) -> Vec<Value> {
        let mut events: Vec<(i64, Value)> = Vec::new();
        for customer in self.customers.clone() {
            let end = customer.gone.unwrap_or(self.filled_at);
            let mut at = customer.joined;
            self.join(&customer, at, &mut events);
            while at < end {
                self.visit(&customer, at, &mut events);
                // Between half and one and a half of the rhythm.
                at += ((self.random.f64() + 0.5) * customer.rhythm * DAY as f64) as i64 + MINUTE;
            }
        }
        events.retain(|(at, _)| *at <= self.filled_at);
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// What comes next, all of it now: one step of somebody, or somebody new.
    pub fn next_visit(&mut self, now: i64) -> Vec<Value> {
        let mut events = Vec::new();
        if self.random.u32(0..100) < 3 {
            let number = self.customers.len() + self.random.usize(0..1_000_000);
            let new = customer(&mut self.random, number, now);
            self.join(&new, now, &mut events);
            self.customers.push(new);
            // As many as there were: memory stays as it is.
            let leaver = self.random.usize(0..self.customers.len());
            self.customers.swap_remove(leaver);
        } else {
            let chosen = self.random.usize(0..self.customers.len());
            let customer = self.customers[chosen].clone();
            match self.random.u32(0..100) {
                0..55 => self.view(&customer, now, &mut events),
                55..75 => drop(self.cart(&customer, now, &mut events)),
                75..92 => {
                    let (product, category, price) = self.cart(&customer, now, &mut events);
                    self.buy(&customer, now, (&product, category, price), &mut events);
                }
                92..95 => self.refund(&customer, now, 50, &mut events),
                _ => self.mail(&customer, now, &mut events),
            }
        }
        events.into_iter().map(|(_, event)| event).collect()
    }

    fn add(&mut self, at: i64, mut event: Value, events: &mut Vec<(i64, Value)>) {
        self.count += 1;
        event["messageId"] = json!(format!("demo-{:x}-{}", self.name, self.count));
        event["timestamp"] = json!(format_time(at));
        events.push((at, event));
    }

    fn join(&mut self, customer: &Customer, at: i64, events: &mut Vec<(i64, Value)>) {
        let mut event = json!({"userId": customer.id, "eventType": "identify", "traits": customer.traits});
        if let Some(anonymous) = &customer.anonymous {
            let visit = json!({
                "anonymousId": anonymous, "eventType": "page_view",
                "properties": {"path": "/", "channel": "search"}, "context": {"device": "phone"},
            });
            self.add(at - 10 * MINUTE, visit, events);
            event["anonymousId"] = json!(anonymous);
        }
        self.add(at, event, events);
    }

    fn visit(&mut self, customer: &Customer, begin: i64, events: &mut Vec<(i64, Value)>) {
        let mut at = begin;
        for _ in 0..self.random.u32(1..4) {
            at += self.random.i64(20_000..4 * MINUTE);
            self.view(customer, at, events);
        }
        if self.random.u32(0..100) < 15 {
            self.mail(customer, at + MINUTE, events);
        }
        if self.random.f64() < customer.carts {
            at += 2 * MINUTE;
            let (product, category, price) = self.cart(customer, at, events);
            if self.random.f64() < customer.buys {
                at += self.random.i64(MINUTE..6 * HOUR);
                self.buy(customer, at, (&product, category, price), events);
                if self.random.u32(0..100) < 7 {
                    let later = self.random.i64(DAY..10 * DAY);
                    self.refund(customer, at + later, price, events);
                }
            }
        }
    }

    fn view(&mut self, customer: &Customer, at: i64, events: &mut Vec<(i64, Value)>) {
        let (category, _, _) = CATEGORIES[self.category(customer)];
        let (channel, device) = (self.one(&CHANNELS), self.one(&DEVICES));
        let event = json!({
            "userId": customer.id, "eventType": "page_view",
            "properties": {"path": format!("/{category}"), "category": category, "channel": channel},
            "context": {"device": device},
        });
        self.add(at, event, events);
    }

    fn cart(&mut self, customer: &Customer, at: i64, events: &mut Vec<(i64, Value)>) -> (String, &'static str, u32) {
        let (category, least, most) = CATEGORIES[self.category(customer)];
        let (number, price) = (self.random.u32(1..40), self.random.u32(least..most));
        let product = format!("{category}-{number}");
        let event = json!({
            "userId": customer.id, "eventType": "add_to_cart",
            "properties": {"product": product, "category": category, "price": price},
        });
        self.add(at, event, events);
        (product, category, price)
    }

    fn buy(&mut self, customer: &Customer, at: i64, item: (&str, &str, u32), events: &mut Vec<(i64, Value)>) {
        let (product, category, price) = item;
        let mut event = json!({
            "userId": customer.id, "eventType": "purchase",
            "properties": {
                "orderId": format!("{:x}-{}", self.name, self.count), "amount": f64::from(price) - 0.05,
                "category": category, "product": product, "currency": "EUR",
            },
        });
        if self.random.u32(0..100) < 12 {
            event["properties"]["coupon"] = json!("WELCOME10");
        }
        self.add(at, event, events);
    }

    fn refund(&mut self, customer: &Customer, at: i64, price: u32, events: &mut Vec<(i64, Value)>) {
        let reason = self.one(&["damaged", "size", "late", "other"]);
        let event = json!({
            "userId": customer.id, "eventType": "refund",
            "properties": {"amount": f64::from(price) - 0.05, "reason": reason},
        });
        self.add(at, event, events);
    }

    fn mail(&mut self, customer: &Customer, at: i64, events: &mut Vec<(i64, Value)>) {
        let campaign = self.one(&["autumn-sale", "weekly-picks", "win-back"]);
        let event = json!({
            "userId": customer.id, "eventType": "email_opened", "properties": {"campaign": campaign},
        });
        self.add(at, event, events);
    }

    fn one(&mut self, words: &[&'static str]) -> &'static str {
        words[self.random.usize(0..words.len())]
    }

    /// Mostly the favourite one.
    fn category(&mut self, customer: &Customer) -> usize {
        if self.random.bool() { customer.favourite } else { self.random.usize(0..CATEGORIES.len()) }
    }
}

fn customer(random: &mut Rng, number: usize, now: i64) -> Customer {
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
    let joined = if is_new { now } else { now - random.i64(HOUR..PAST - HOUR) };
    let has_gone = !is_new && random.u32(0..100) < 25;
    let gone = has_gone.then(|| joined + ((now - joined) as f64 * random.f64() * 0.7) as i64);
    Customer {
        id: format!("{}-{number:04}", last.to_lowercase()),
        anonymous: (random.u32(0..100) < 15).then(|| format!("visitor-{number:04}")),
        traits,
        joined,
        gone,
        rhythm: 1.5 + 18.0 * random.f64() * random.f64(),
        carts: 0.15 + 0.5 * random.f64(),
        buys: if random.u32(0..100) < 20 { 0.05 } else { 0.3 + 0.6 * random.f64() },
        favourite,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: i64 = 1_770_000_000_000;

    #[test]
    fn the_same_seed_is_the_same_shop() {
        let past = Shop::new(SEED, NOW).past();
        assert!(past == Shop::new(SEED, NOW).past());
        assert!(past != Shop::new(SEED + 1, NOW).past());
        let later: Vec<Vec<Value>> = (0..2).map(|_| Shop::new(9, NOW).next_visit(NOW)).collect();
        assert_eq!(later[0], later[1]);
    }

    #[test]
    fn it_has_a_past_of_every_kind() {
        let past = Shop::new(SEED, NOW).past();
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        past.iter().for_each(|event| *types.entry(event["eventType"].as_str().expect("a type")).or_default() += 1);
        for (name, least) in
            [("identify", 2_000), ("page_view", 20_000), ("add_to_cart", 3_000), ("purchase", 2_000), ("refund", 100)]
        {
            assert!(types.get(name).is_some_and(|count| *count >= least), "{name}: {types:?}");
        }
        // So that the place in a rank can be explained.
        assert!(past.len() < 100_000, "{}", past.len());
        let messages: std::collections::BTreeSet<&str> =
            past.iter().filter_map(|event| event["messageId"].as_str()).collect();
        assert_eq!(messages.len(), past.len());
    }

    #[test]
    fn customers_come_and_go_and_are_no_more_than_before() {
        let mut shop = Shop::new(7, NOW);
        let events: usize = (0..5_000).map(|step| shop.next_visit(NOW + step).len()).sum();
        assert!(events >= 5_000);
        assert_eq!(shop.customers.len(), CUSTOMERS);
    }
}
