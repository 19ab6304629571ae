//! A campaign that recurs is killed at each write: each occurrence reaches each of its members, once.

mod triggered;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use audience_contract::{HandOver, Mail, MailReply, Mailbox, Note, StoreError, VisitNote};
use audience_protocol::{
    CampaignResource, ChangeFilter, ChangePlace, ChangesRead, ContentResource, ContentStatus, GivenChange, UserSegment,
    UserValues, VisitChange,
};
use audience_sends::id::{SendId, SendKey};
use serde_json::json;

use super::*;

/// 2020-01-01T00:00:00Z: before the clock of whatever machine, so that everything that is planned is due.
const BEGIN: Millis = 1_577_836_800_000;
const MINUTE: Millis = 60_000;

/// Notes in memory that take only so many more writes: none after that, as if the process had been killed.
struct MortalNotes {
    map: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    left: Mutex<usize>,
}

impl MortalNotes {
    fn new() -> Arc<MortalNotes> {
        Arc::new(MortalNotes { map: Mutex::default(), left: Mutex::new(usize::MAX) })
    }

    fn live_for(&self, writes: usize) {
        *self.left.lock() = writes;
    }
}

impl Notes for MortalNotes {
    fn get(&self, key: &[u8]) -> audience_contract::Result<Option<Vec<u8>>> {
        Ok(self.map.lock().get(key).cloned())
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> audience_contract::Result<()> {
        let found: Vec<_> =
            self.map.lock().range(from.to_vec()..to.to_vec()).map(|(k, v)| (k.clone(), v.clone())).collect();
        let _ = found.iter().try_for_each(|(key, value)| match visit(key, value) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(()),
        });
        Ok(())
    }

    fn write(&self, notes: &[Note]) -> audience_contract::Result<()> {
        let mut left = self.left.lock();
        let killed = || StoreError::Refused { action: "writing", detail: "the process was killed".to_owned() };
        *left = left.checked_sub(1).ok_or_else(killed)?;
        let mut map = self.map.lock();
        for (key, value) in notes {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        Ok(())
    }
}

/// The members of the only segment with their changes, and everything else that campaigns ask for.
#[derive(Default)]
struct Town {
    members: Mutex<BTreeSet<String>>,
    /// Whether somebody entered, and who: each in a tick of its own.
    changes: Mutex<Vec<(bool, String)>>,
}

impl Town {
    fn enter(&self, user: &str) {
        if self.members.lock().insert(user.to_owned()) {
            self.changes.lock().push((true, user.to_owned()));
        }
    }

    fn leave(&self, user: &str) {
        if self.members.lock().remove(user) {
            self.changes.lock().push((false, user.to_owned()));
        }
    }
}

impl ChangeResource for Town {
    fn newest_change(&self) -> Result<ChangePlace> {
        Ok(ChangePlace { tick: self.changes.lock().len() as u64, index: 0 })
    }

    fn changes(
        &self,
        from: ChangePlace,
        filter: &ChangeFilter,
        _: bool,
        visit: &mut VisitChange<'_>,
    ) -> Result<ChangesRead> {
        let changes = self.changes.lock();
        for (tick, (is_entered, user)) in (1..).zip(&*changes).skip(from.tick as usize) {
            let next = ChangePlace { tick, index: 0 };
            let json = json!({"userId": user}).to_string();
            let change = GivenChange { next, is_entered: *is_entered, json: &json };
            if filter.only_entered.is_none_or(|only| only == *is_entered) && visit(change).is_break() {
                return Ok(ChangesRead::UpTo(next));
            }
        }
        Ok(ChangesRead::UpTo(ChangePlace { tick: changes.len() as u64, index: 0 }))
    }
}

impl SegmentResource for Town {
    fn visit_members(&self, _: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        take(self.members.lock().iter().cloned().collect());
        Ok(())
    }
}

impl UserResource for Town {
    fn user_segments(&self, user: &str) -> Result<Vec<UserSegment>> {
        let segment = || UserSegment { segment_id: "all".to_owned(), name: "All".to_owned() };
        Ok(self.members.lock().contains(user).then(segment).into_iter().collect())
    }

    fn user_values(&self, ids: &[String], _: &[String]) -> Result<Vec<UserValues>> {
        let raw = |value: serde_json::Value| serde_json::value::to_raw_value(&value).unwrap();
        let values = |id: &String| {
            let email = ("email".to_owned(), raw(json!(format!("{id}@example.org"))));
            BTreeMap::from([email, ("emailConsent".to_owned(), raw(json!(true)))])
        };
        Ok(ids.iter().map(values).collect())
    }
}

impl CatalogueResource for Town {
    fn record(&self, _: &str, _: AuditNote) -> Result<()> {
        Ok(())
    }
}

/// A provider with keys, and how often it was handed each mail.
#[derive(Default)]
struct KeyedPeer(Mutex<BTreeMap<String, usize>>);

impl MailProvider for KeyedPeer {
    fn name(&self) -> &str {
        "peer"
    }

    fn remembers(&self) -> Duration {
        Duration::MAX
    }

    fn hand_over(&self, mails: &[Mail]) -> Vec<HandOver> {
        mails.iter().for_each(|mail| *self.0.lock().entry(mail.id.clone()).or_default() += 1);
        mails.iter().map(|_| HandOver::Accepted(MailReply { code: 200, enhanced: String::new() })).collect()
    }
}

struct SmallWorld {
    notes: Arc<MortalNotes>,
    town: Arc<Town>,
    peer: Arc<KeyedPeer>,
}

impl SmallWorld {
    /// A campaign that recurs each minute, launched at [`BEGIN`].
    fn new() -> (SmallWorld, Arc<CampaignSender>) {
        SmallWorld::with(json!({"frequency": "* * * * *", "recursAfter": format_time(BEGIN)}))
    }

    /// A campaign that is launched at [`BEGIN`], with these members of its document.
    fn with(more: serde_json::Value) -> (SmallWorld, Arc<CampaignSender>) {
        let world = SmallWorld { notes: MortalNotes::new(), town: Arc::default(), peer: Arc::default() };
        ["ann", "bob"].iter().for_each(|user| world.town.enter(user));
        let sender = world.open();
        let content = json!({"name": "c", "purpose": "transactional", "subject": "s", "body": "b"});
        sender.create_content(serde_json::from_value(content).unwrap(), "ann").unwrap();
        sender.change_content("c", ContentStatus::Approved, None, "ann").unwrap();
        let begin = format_time(BEGIN);
        let mut campaign = json!({
            "id": "k", "name": "k", "segmentId": "all", "contentId": "c",
            "status": "scheduled", "contentVersion": 2, "launchedAt": begin,
            "version": 1, "createdAt": begin, "createdBy": "ann", "updatedAt": begin,
        });
        more.as_object().unwrap().iter().for_each(|(key, value)| campaign[key] = value.clone());
        sender.documents.put_campaign(&serde_json::from_value(campaign).unwrap()).unwrap();
        (world, sender)
    }

    fn open(&self) -> Arc<CampaignSender> {
        let from = Mailbox { name: String::new(), address: "shop@example.org".to_owned() };
        let identity = SenderIdentity { from, postal_address: String::new(), public_url: String::new() };
        let context = SenderContext {
            notes: self.notes.clone(),
            segments: self.town.clone(),
            users: self.town.clone(),
            changes: self.town.clone(),
            audit: self.town.clone(),
            provider: self.peer.clone(),
            identity,
            per_second: None,
        };
        CampaignSender::open(context).unwrap()
    }

    /// Goes on until there is nothing more to do at an instant. A sender that was killed is opened again; returns whether
    /// one was.
    fn until_idle(&self, sender: &mut Arc<CampaignSender>, now: Millis) -> bool {
        let mut is_killed = false;
        loop {
            match sender.pass(&Stop::new(), now) {
                Ok(_) if sender.troubles.count() > 0 => {
                    is_killed = true;
                    self.notes.live_for(usize::MAX);
                    *sender = self.open();
                }
                Ok(true) => {}
                Ok(false) => return is_killed,
                Err(error) => panic!("the campaigns are read: {error}"),
            }
        }
    }

    fn handed(&self) -> BTreeSet<String> {
        self.peer.0.lock().keys().cloned().collect()
    }
}

/// The ids of the sends of an occurrence, so many minutes after the launch.
fn ids(minute: Millis, users: &[&str]) -> Vec<String> {
    let occurrence = format_time(BEGIN + minute * MINUTE);
    let key = |user| SendKey { tenant: 0, object: "k", occurrence: &occurrence, user, channel: "email", slot: 0 };
    users.iter().map(|user| SendId::of(&key(user)).to_string()).collect()
}

#[test]
fn an_occurrence_reaches_each_member_once_whichever_write_is_the_last() {
    let mut deaths = 0;
    for writes in 0.. {
        let (world, mut sender) = SmallWorld::new();
        world.notes.live_for(writes);
        let mut is_killed = false;
        for half_minutes in 0..=8 {
            if half_minutes == 5 {
                world.town.enter("cat");
            }
            is_killed |= world.until_idle(&mut sender, BEGIN + half_minutes * MINUTE / 2);
        }
        let both = ["ann", "bob"];
        let all = ["ann", "bob", "cat"];
        let expected = [ids(1, &both), ids(2, &both), ids(3, &all), ids(4, &all)].concat();
        assert_eq!(world.handed(), expected.iter().cloned().collect(), "killed after {writes} writes");
        let view = sender.campaign("k").unwrap();
        assert_eq!(view.stats, BTreeMap::from([("accepted".to_owned(), 10)]), "killed after {writes} writes");
        assert_eq!(view.campaign.status, CampaignStatus::Scheduled, "the next occurrence is waited for");
        assert_eq!(view.next_at, Some(format_time(BEGIN + 5 * MINUTE)));
        if !is_killed {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 25, "{deaths}");
}

#[test]
fn of_the_occurrences_that_were_missed_the_newest_is_made_up_for() {
    let (world, mut sender) = SmallWorld::new();
    world.until_idle(&mut sender, BEGIN + MINUTE);
    world.until_idle(&mut sender, BEGIN + 10 * MINUTE + 1);
    let both = ["ann", "bob"];
    assert_eq!(world.handed(), [ids(1, &both), ids(10, &both)].concat().into_iter().collect());
}

#[test]
fn a_paused_campaign_does_not_recur_and_one_past_its_end_is_completed() {
    let (world, mut sender) = SmallWorld::new();
    sender.change("k", |campaign| campaign.input.end_date = Some(format_time(BEGIN + 3 * MINUTE))).unwrap();
    sender.change("k", |campaign| campaign.status = CampaignStatus::Paused).unwrap();
    world.until_idle(&mut sender, BEGIN + MINUTE);
    assert_eq!(world.handed(), BTreeSet::new());
    sender.change("k", |campaign| campaign.status = CampaignStatus::Scheduled).unwrap();
    world.until_idle(&mut sender, BEGIN + 2 * MINUTE);
    assert_eq!(sender.campaign("k").unwrap().campaign.status, CampaignStatus::Completed, "none is left before the end");
    world.until_idle(&mut sender, BEGIN + 5 * MINUTE);
    // The machine's clock is years past the end by which mails had to be handed over.
    let view = sender.campaign("k").unwrap();
    assert_eq!((world.handed(), view.suppressed), (BTreeSet::new(), BTreeMap::from([("over".to_owned(), 2)])));
}

#[test]
fn a_campaign_that_fails_holds_up_no_other_and_goes_on_once_it_can() {
    let (world, sender) = SmallWorld::new();
    // Earlier by its id, and without the content that it names.
    let mut faulty = sender.documents.campaign("k").unwrap();
    faulty.id = "a".to_owned();
    faulty.input.content_id = "late".to_owned();
    sender.documents.put_campaign(&faulty).unwrap();
    let go_on = |now| {
        for _ in 0..20 {
            sender.pass(&Stop::new(), now).unwrap();
        }
    };
    let now = BEGIN + MINUTE;
    go_on(now);
    assert_eq!(world.handed(), ids(1, &["ann", "bob"]).into_iter().collect(), "the other has sent");
    let fault = sender.campaign("a").unwrap().fault.unwrap();
    assert!(fault.contains("late"), "{fault}");
    assert_eq!(sender.campaign("k").unwrap().fault, None);
    assert!(sender.figures().contains("\naudience_mail_campaigns_faulty 1\n"), "{}", sender.figures());
    let content = json!({"id": "late", "name": "late", "purpose": "transactional", "subject": "s", "body": "b"});
    sender.create_content(serde_json::from_value(content).unwrap(), "ann").unwrap();
    sender.change_content("late", ContentStatus::Approved, None, "ann").unwrap();
    go_on(now);
    assert!(sender.campaign("a").unwrap().fault.is_some(), "it waits a little");
    go_on(now + 10_000);
    let view = sender.campaign("a").unwrap();
    assert_eq!((view.fault, view.stats), (None, BTreeMap::from([("accepted".to_owned(), 2)])));
    assert!(sender.figures().contains("\naudience_mail_campaigns_faulty 0\n"));
}
