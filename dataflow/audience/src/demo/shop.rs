//! The events of a shop: its past, and its future at the same pace.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use audience_rules::time::format_time;
use fastrand::Rng;
use serde_json::{Value, json};

use super::customers::{CATEGORIES, CUSTOMERS, Customer, DAY, HOUR, MINUTE, PAST, customer};

/// The shop that the demo begins with.
pub(super) const SEED: u64 = 2_026;

/// Between two who join, once the shop is filled: as it was at the end of its past.
const JOIN: i64 = PAST / (3 * CUSTOMERS as i64);

const CHANNELS: [&str; 5] = ["search", "newsletter", "social", "direct", "affiliate"];
const DEVICES: [&str; 3] = ["phone", "desktop", "tablet"];
/// A shop: one run of events without an end, in the order of time.
pub(super) struct Shop {
    random: Rng,
    customers: Vec<Customer>,
    /// The next steps, earliest first; steps of the same instant in the order that they came about.
    due: BinaryHeap<Reverse<Due>>,
    filled_at: i64,
    /// Events of the last day of the past.
    last_day: u32,
    /// Numbers for steps, events and orders.
    count: u64,
    name: u64,
}

/// A step that is due, in the order of time, and of number at the same instant.
struct Due {
    at: i64,
    number: u64,
    step: ShopStep,
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

/// A step of the shop.
enum ShopStep {
    /// A place of customers is taken by a new one.
    Replace,
    /// The customer of a place joins.
    Join(usize),
    /// The customer of a place, and of this id, comes.
    Visit(usize, String),
    Event(Value),
}

impl Shop {
    /// The shop of a seed, filled at an instant. Its customers are those of [`SEED`].
    pub(super) fn new(seed: u64, filled_at: i64) -> Shop {
        let mut random = Rng::with_seed(SEED);
        let customers = (0..CUSTOMERS).map(|number| customer(&mut random, number, filled_at)).collect();
        let due = BinaryHeap::new();
        let mut shop =
            Shop { random: Rng::with_seed(seed), customers, due, filled_at, last_day: 0, count: 0, name: seed };
        (0..CUSTOMERS).for_each(|place| shop.expect(shop.customers[place].joined - 10 * MINUTE, ShopStep::Join(place)));
        shop.expect(filled_at + JOIN, ShopStep::Replace);
        shop
    }

    /// Everything up to the instant that it is filled at.
    pub(super) fn past(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while self.due.peek().is_some_and(|Reverse(due)| due.at <= self.filled_at) {
            if let Some((at, event)) = self.step() {
                self.last_day += u32::from(at > self.filled_at - DAY);
                events.push(stamped(event, at));
            }
        }
        events
    }

    /// The time between events at the end of the past.
    pub(super) fn pace(&self) -> Duration {
        Duration::from_millis(DAY.unsigned_abs()) / self.last_day.max(1)
    }

    /// The next event after the past, as if it happened now.
    pub(super) fn next_event(&mut self, now: i64) -> Value {
        loop {
            if let Some((_, event)) = self.step() {
                return stamped(event, now);
            }
        }
    }

    /// Does what is due next; gives the event, if it is one.
    fn step(&mut self) -> Option<(i64, Value)> {
        let Reverse(Due { at, step, .. }) = self.due.pop()?;
        match step {
            ShopStep::Event(event) => return Some((at, event)),
            ShopStep::Join(place) => self.join(place, at),
            ShopStep::Visit(place, id) => self.come(place, &id, at),
            ShopStep::Replace => {
                let place = self.random.usize(0..self.customers.len());
                let number = CUSTOMERS + self.random.usize(0..1_000_000);
                self.customers[place] = customer(&mut self.random, number, at);
                self.join(place, at);
                self.expect(at + JOIN, ShopStep::Replace);
            }
        }
        None
    }

    fn expect(&mut self, at: i64, step: ShopStep) {
        self.count += 1;
        self.due.push(Reverse(Due { at, number: self.count, step }));
    }

    /// Lets an event happen.
    fn add(&mut self, at: i64, mut event: Value) {
        event["messageId"] = json!(format!("demo-{:x}-{}", self.name, self.count));
        self.expect(at, ShopStep::Event(event));
    }

    /// The customer of a place says who they are, perhaps after a first look, and comes for the first time.
    fn join(&mut self, place: usize, at: i64) {
        let customer = self.customers[place].clone();
        let mut event = json!({"userId": customer.id, "eventType": "identify", "traits": customer.traits});
        if let Some(anonymous) = &customer.anonymous {
            let visit = json!({
                "anonymousId": anonymous, "eventType": "page_view",
                "properties": {"path": "/", "channel": "search"}, "context": {"device": "phone"},
            });
            self.add(at, visit);
            event["anonymousId"] = json!(anonymous);
        }
        self.add(at + 10 * MINUTE, event);
        self.expect(at + 10 * MINUTE, ShopStep::Visit(place, customer.id));
    }

    /// The customer of a place comes, if they are still the one and have not gone, and will come again.
    fn come(&mut self, place: usize, id: &str, at: i64) {
        let customer = self.customers[place].clone();
        if customer.id != id || customer.gone.is_some_and(|gone| at >= gone) {
            return;
        }
        self.visit(&customer, at);
        // Between half and one and a half of the rhythm.
        let later = ((self.random.f64() + 0.5) * customer.rhythm * DAY as f64) as i64 + MINUTE;
        self.expect(at + later, ShopStep::Visit(place, customer.id));
    }

    fn visit(&mut self, customer: &Customer, begin: i64) {
        let mut at = begin;
        for _ in 0..self.random.u32(2..7) {
            at += self.random.i64(20_000..4 * MINUTE);
            self.view(customer, at);
        }
        if self.random.u32(0..100) < 15 {
            self.mail(customer, at + MINUTE);
        }
        if self.random.f64() < customer.carts {
            at += 2 * MINUTE;
            let (product, category, price) = self.cart(customer, at);
            if self.random.f64() < customer.buys {
                at += self.random.i64(MINUTE..6 * HOUR);
                self.buy(customer, at, (&product, category, price));
                if self.random.u32(0..100) < 7 {
                    let later = self.random.i64(DAY..10 * DAY);
                    self.refund(customer, at + later, price);
                }
            }
        }
    }

    fn view(&mut self, customer: &Customer, at: i64) {
        let (category, _, _) = CATEGORIES[self.category(customer)];
        let (channel, device) = (self.one(&CHANNELS), self.one(&DEVICES));
        let event = json!({
            "userId": customer.id, "eventType": "page_view",
            "properties": {"path": format!("/{category}"), "category": category, "channel": channel},
            "context": {"device": device},
        });
        self.add(at, event);
    }

    fn cart(&mut self, customer: &Customer, at: i64) -> (String, &'static str, u32) {
        let (category, least, most) = CATEGORIES[self.category(customer)];
        let (number, price) = (self.random.u32(1..40), self.random.u32(least..most));
        let product = format!("{category}-{number}");
        let event = json!({
            "userId": customer.id, "eventType": "add_to_cart",
            "properties": {"product": product, "category": category, "price": price},
        });
        self.add(at, event);
        (product, category, price)
    }

    fn buy(&mut self, customer: &Customer, at: i64, item: (&str, &str, u32)) {
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
        self.add(at, event);
    }

    fn refund(&mut self, customer: &Customer, at: i64, price: u32) {
        let reason = self.one(&["damaged", "size", "late", "other"]);
        let event = json!({
            "userId": customer.id, "eventType": "refund",
            "properties": {"amount": f64::from(price) - 0.05, "reason": reason},
        });
        self.add(at, event);
    }

    fn mail(&mut self, customer: &Customer, at: i64) {
        let campaign = self.one(&["autumn-sale", "weekly-picks", "win-back"]);
        let event = json!({
            "userId": customer.id, "eventType": "email_opened", "properties": {"campaign": campaign},
        });
        self.add(at, event);
    }

    fn one(&mut self, words: &[&'static str]) -> &'static str {
        words[self.random.usize(0..words.len())]
    }

    /// Mostly the favourite one.
    fn category(&mut self, customer: &Customer) -> usize {
        if self.random.bool() { customer.favourite } else { self.random.usize(0..CATEGORIES.len()) }
    }
}

/// An event with its time.
fn stamped(mut event: Value, at: i64) -> Value {
    event["timestamp"] = json!(format_time(at));
    event
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const NOW: i64 = 1_770_000_000_000;

    #[test]
    fn the_same_seed_is_the_same_shop() {
        let past = Shop::new(SEED, NOW).past();
        assert!(past == Shop::new(SEED, NOW).past());
        assert!(past != Shop::new(SEED + 1, NOW).past());
        let later: Vec<Value> = (0..2).map(|_| Shop::new(9, NOW).next_event(NOW)).collect();
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
        let messages: BTreeSet<&str> = past.iter().filter_map(|event| event["messageId"].as_str()).collect();
        assert_eq!(messages.len(), past.len());
    }

    #[test]
    fn customers_come_and_go_and_are_no_more_than_before() {
        let mut shop = Shop::new(7, NOW);
        shop.past();
        let before: BTreeSet<String> = shop.customers.iter().map(|customer| customer.id.clone()).collect();
        (0..5_000).for_each(|step| drop(shop.next_event(NOW + step)));
        assert_eq!(shop.customers.len(), CUSTOMERS);
        assert!(shop.customers.iter().filter(|customer| !before.contains(&customer.id)).count() > 50);
    }

    /// A day of what comes after the past is like its last days, in number and in kind.
    #[test]
    fn it_goes_on_as_it_was() {
        let mut shop = Shop::new(SEED, NOW);
        let past = shop.past();
        let day = Duration::from_millis(DAY.unsigned_abs()).as_secs_f64() / shop.pace().as_secs_f64();
        let day = day as usize;
        let count = |events: &[Value], kind: &str| events.iter().filter(|event| event["eventType"] == kind).count();
        let next: Vec<Value> = (0..2 * day).map(|_| shop.next_event(NOW)).collect();
        let last = &past[past.len() - 2 * day..];
        for kind in ["identify", "page_view", "add_to_cart", "purchase"] {
            let (before, after) = (count(last, kind) as f64, count(&next, kind) as f64);
            assert!((after / before - 1.0).abs() < 0.25, "{kind}: {before} in two days, then {after}");
        }
        assert!((10..30).contains(&shop.pace().as_secs()), "there is always something to see: {:?}", shop.pace());
    }
}
