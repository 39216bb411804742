//! All shadows, as a value: who has something to be told of, and who has been silent for too long.
//!
//! What always holds:
//! - A device with news is in the line once, whatever else happens to it before its turn; so the line is as long as there are
//!   devices with news, and who comes later is told later.
//! - A device is online from a report on and until `silence` has passed since its last one. Nobody offline is sent a diff.
//! - Of each device it is said in turn that it is online and offline, beginning with online.
//!
//! Why a report does not move its device in the set of those who are due: that would be its costliest part. A device is looked at
//! once in a time of `silence`, and goes back by its last report.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasherDefault, DefaultHasher, Hash},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Conflict, Diff, Event, Patch, View,
    device::{Device, Report},
};

/// The same hashes in every run. It is only asked for keys, never iterated.
type Places<K> = HashMap<K, usize, BuildHasherDefault<DefaultHasher>>;

pub(super) struct Fleet<K, V> {
    places: Places<K>,
    /// `None` where a device was forgotten.
    members: Vec<Option<Member<K, V>>>,
    free: Vec<usize>,
    /// Names of fields, once for all.
    names: BTreeSet<Arc<str>>,
    /// Who has news.
    news: VecDeque<usize>,
    /// Who is online, by the time it is to be looked at.
    due: BTreeSet<(Instant, usize)>,
    silence: Duration,
}

struct Member<K, V> {
    key: K,
    device: Device<V>,
    last_seen: Option<Instant>,
    online: bool,
    told_online: bool,
    /// A diff should go out when its turn comes.
    owes_diff: bool,
    has_news: bool,
    /// When it is to be looked at.
    due: Option<Instant>,
}

impl<K: Clone + Eq + Hash, V: Clone + PartialEq> Fleet<K, V> {
    pub(super) fn new(silence: Duration) -> Self {
        Self {
            places: Places::default(),
            members: Vec::new(),
            free: Vec::new(),
            names: BTreeSet::new(),
            news: VecDeque::new(),
            due: BTreeSet::new(),
            silence,
        }
    }

    /// The device's place; it gets one if it is new.
    fn place(&mut self, key: K) -> usize {
        if let Some(&place) = self.places.get(&key) {
            return place;
        }
        let member = Member {
            key: key.clone(),
            device: Device::new(),
            last_seen: None,
            online: false,
            told_online: false,
            owes_diff: false,
            has_news: false,
            due: None,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.members[place] = Some(member);
                place
            }
            None => {
                self.members.push(Some(member));
                self.members.len() - 1
            }
        };
        self.places.insert(key, place);
        place
    }

    pub(super) fn report(&mut self, now: Instant, key: K, number: u64, patch: Patch<V>) {
        let place = self.place(key);
        let Some(member) = &mut self.members[place] else { return };
        let report = member.device.report(number, patch, &mut |name| share(&mut self.names, name));
        if report == Report::Old {
            return;
        }
        member.last_seen = Some(now);
        if member.due.is_none() {
            member.due = Some(now + self.silence);
            self.due.insert((now + self.silence, place));
        }
        let is_back = !member.online;
        member.online = true;
        member.owes_diff |= is_back || report == Report::Contradicts;
        if is_back || member.owes_diff {
            self.has_news(place);
        }
    }

    pub(super) fn desire(
        &mut self,
        key: K,
        unchanged_since: Option<u64>,
        patch: Patch<V>,
    ) -> Result<u64, Conflict> {
        let place = self.place(key);
        let Some(member) = &mut self.members[place] else { return Ok(0) };
        let before = member.device.version();
        let names = &mut self.names;
        let version =
            member.device.desire(unchanged_since, patch, &mut |name| share(names, name))?;
        if version != before {
            member.owes_diff = true;
            if member.online {
                self.has_news(place);
            }
        }
        Ok(version)
    }

    pub(super) fn view(&self, key: &K) -> Option<View<V>> {
        let member = self.members[*self.places.get(key)?].as_ref()?;
        Some(member.device.view(member.online))
    }

    pub(super) fn forget(&mut self, key: &K) {
        let Some(place) = self.places.remove(key) else { return };
        let member = self.members[place].take();
        // Whoever gets the place must not find the other's marks.
        if let Some(due) = member.as_ref().and_then(|member| member.due) {
            self.due.remove(&(due, place));
        }
        if member.is_some_and(|member| member.has_news) {
            self.news.retain(|&other| other != place);
        }
        self.free.push(place);
    }

    fn has_news(&mut self, place: usize) {
        if let Some(member) = &mut self.members[place]
            && !member.has_news
        {
            member.has_news = true;
            self.news.push_back(place);
        }
    }

    pub(super) fn is_telling(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is to be said next. `None`: what there was to say is no longer so.
    pub(super) fn next_event(&mut self) -> Option<Event<K, V>> {
        let place = *self.news.front()?;
        let member = self.members[place].as_mut()?;
        // Presence first. Who went and came back meanwhile has been both, of which nobody was told.
        if member.told_online != member.online {
            member.told_online = member.online;
            if !(member.online && member.owes_diff) {
                self.done(place);
            }
            let Some(member) = &self.members[place] else { return None };
            let key = member.key.clone();
            return Some(if member.online { Event::Online(key) } else { Event::Offline(key) });
        }
        let diff = (member.online && member.owes_diff).then(|| {
            member.owes_diff = false;
            let (device, version) = (member.key.clone(), member.device.version());
            Diff { device, version, patch: member.device.diff() }
        });
        self.done(place);
        diff.filter(|diff| !diff.patch.is_empty()).map(Event::Diff)
    }

    fn done(&mut self, place: usize) {
        self.news.pop_front();
        if let Some(member) = &mut self.members[place] {
            member.has_news = false;
        }
    }

    /// When to call [`expire`](Self::expire) next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Those who have been silent for too long are offline.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(due, place)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            let Some(member) = &mut self.members[place] else { continue };
            let later = member.last_seen.map(|seen| seen + self.silence).filter(|due| *due > now);
            member.due = later;
            if let Some(due) = later {
                self.due.insert((due, place));
            } else {
                member.online = false;
                self.has_news(place);
            }
        }
    }
}

/// The same name, once in memory.
fn share(names: &mut BTreeSet<Arc<str>>, name: Arc<str>) -> Arc<str> {
    if let Some(known) = names.get(&name) {
        return known.clone();
    }
    names.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(60);

    struct Bench {
        fleet: Fleet<&'static str, u32>,
        zero: Instant,
        now: Duration,
    }

    impl Bench {
        fn new() -> Self {
            Self { fleet: Fleet::new(SILENCE), zero: Instant::now(), now: Duration::ZERO }
        }

        fn at(&mut self, seconds: u64) {
            self.now = Duration::from_secs(seconds);
            self.fleet.expire(self.zero + self.now);
        }

        fn report(&mut self, key: &'static str, number: u64, value: u32) {
            let patch = Patch::new().set("t", value);
            self.fleet.report(self.zero + self.now, key, number, patch);
        }

        fn desire(&mut self, key: &'static str, value: u32) {
            self.fleet.desire(key, None, Patch::new().set("t", value)).unwrap();
        }

        /// All that is to be said, in words.
        fn told(&mut self) -> String {
            let mut told = Vec::new();
            while self.fleet.is_telling() {
                told.extend(self.fleet.next_event().map(|event| match event {
                    Event::Online(key) => format!("+{key}"),
                    Event::Offline(key) => format!("-{key}"),
                    Event::Diff(diff) => {
                        let (_, value) = diff.patch.fields().next().unwrap();
                        format!("{}={}", diff.device, value.unwrap())
                    }
                }));
            }
            told.join(" ")
        }
    }

    #[test]
    fn one_diff_says_all_that_was_desired_meanwhile() {
        let mut bench = Bench::new();
        bench.desire("a", 1);
        assert_eq!(bench.told(), "", "nobody is there");
        bench.desire("a", 2);
        bench.report("a", 1, 0);
        bench.report("b", 1, 0);
        assert_eq!(bench.told(), "+a a=2 +b");
        bench.desire("a", 3);
        bench.desire("b", 4);
        bench.desire("a", 5);
        assert_eq!(bench.told(), "a=5 b=4");
        bench.desire("a", 6);
        bench.report("a", 2, 6);
        assert_eq!(bench.told(), "", "it has done so by itself");
    }

    #[test]
    fn who_is_silent_is_offline_and_hears_of_everything_when_it_is_back() {
        let mut bench = Bench::new();
        bench.report("a", 1, 0);
        bench.at(30);
        bench.report("b", 1, 0);
        bench.report("a", 2, 0);
        assert_eq!(bench.told(), "+a +b");
        bench.at(40);
        bench.report("a", 3, 0);
        bench.at(89);
        assert_eq!(bench.told(), "");
        bench.report("b", 2, 0);
        bench.at(99);
        assert_eq!(bench.told(), "");
        bench.at(100);
        assert_eq!(bench.told(), "-a");
        bench.desire("a", 1);
        bench.desire("a", 2);
        assert_eq!(bench.told(), "");
        bench.report("a", 3, 9);
        assert_eq!(bench.told(), "", "an old report is no sign of life");
        bench.report("a", 4, 0);
        assert_eq!(bench.told(), "+a a=2");
        bench.at(149);
        assert_eq!(bench.told(), "-b");
        bench.at(160);
        assert_eq!(bench.told(), "-a");
        assert!(bench.fleet.next_due().is_none());
    }

    #[test]
    fn who_contradicts_is_told_again() {
        let mut bench = Bench::new();
        bench.report("a", 1, 0);
        bench.desire("a", 1);
        assert_eq!(bench.told(), "+a a=1");
        bench.report("a", 2, 0);
        assert_eq!(bench.told(), "a=1");
        bench.report("a", 3, 1);
        assert_eq!(bench.told(), "");
    }

    #[test]
    fn who_went_and_came_back_unseen_is_not_told_of() {
        let mut bench = Bench::new();
        bench.report("a", 1, 0);
        assert_eq!(bench.told(), "+a");
        bench.at(60);
        bench.report("a", 2, 0);
        assert_eq!(bench.told(), "");
        bench.at(200);
        bench.report("b", 1, 0);
        assert_eq!(bench.told(), "-a +b");
    }

    #[test]
    fn who_is_forgotten_leaves_nothing_to_the_next() {
        let mut bench = Bench::new();
        bench.report("a", 5, 0);
        bench.desire("a", 1);
        bench.fleet.forget(&"a");
        bench.fleet.forget(&"a");
        assert_eq!(bench.told(), "");
        bench.report("b", 1, 0);
        bench.report("a", 1, 7);
        assert_eq!(bench.told(), "+b +a");
        assert_eq!(bench.fleet.members.len(), 2, "its place was used again");
        let view = bench.fleet.view(&"a").unwrap();
        assert_eq!((view.version, view.reported.get("t"), view.desired.len()), (1, Some(&7), 0));
    }
}
