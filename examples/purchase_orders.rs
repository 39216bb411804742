//! A year of a company's purchase orders, event by event, held against what the company says it does.
//!
//! The log is real: BPI Challenge 2019, every distinct behaviour of an order's item, 11,973 of them. The machine was written by hand from
//! the documentation of the log (`towpath_patterns::machine::purchase`); it accepts each event or refuses it and says why. So the output
//! is how many items keep to the rules, and where the others leave them.
//!
//! ```text
//!   reader (thread) ──(item, event)──▶ Keyed: one machine per item ──refusals──▶ here
//! ```
//!
//! A refused event changes nothing, so an item goes on from where it was, and may deviate again.
//!
//! `purchase_orders [FILE]`; without a file it looks for `orders/bpic2019-variants.xes.gz` in the folder that `TOWPATH_DATA` names, or in
//! `shared/data` beside the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use towpath::{BoxError, Ctx, Sender, scope};
use towpath_patterns::machine::Keyed;
use towpath_patterns::machine::keyed::{Input, Output, Rejected};
use towpath_patterns::machine::purchase::{Event, PurchaseItem, State};
use towpath_patterns::xes::Log;

/// Events on their way to the machine: enough for the reader to unpack while a batch is handled.
const MAILBOX: usize = 4096;

/// Outcomes on their way here, one for each event.
const OUTCOMES: usize = 4096;

/// Deviations that are shown.
const SHOWN: usize = 12;

/// Where the log is, if it is anywhere.
fn log_file() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("TOWPATH_DATA").map_or_else(beside, PathBuf::from);
    let given = env::args_os().nth(1).map(PathBuf::from);
    given.unwrap_or_else(|| folder.join("orders/bpic2019-variants.xes.gz"))
}

/// Sends each event of the log as one of its item; items are numbered as they come.
fn read(file: &Path, events: &Sender<Input<u32, Event>>) -> Result<(), BoxError> {
    let mut log = Log::open(file)?;
    let mut item = 0;
    while let Some(trace) = log.next_trace()? {
        for event in &trace.events {
            let activity = event.name().ok_or("an event without a name")?;
            let event = Event::of_activity(activity)
                .ok_or_else(|| format!("the machine does not know the activity {activity:?}"))?;
            events.send_blocking((item, event).into())?;
        }
        item += 1;
    }
    Ok(())
}

/// What became of all items.
#[derive(Default)]
struct Balance {
    events: usize,
    /// The last state of each item.
    states: BTreeMap<u32, State>,
    deviating: BTreeSet<u32>,
    /// Event, state and reason, with how often and in which items.
    deviations: BTreeMap<(String, String, String), (usize, BTreeSet<u32>)>,
}

impl Balance {
    fn count(&mut self, output: Output<u32, PurchaseItem>) {
        self.events += 1;
        match output.outcome {
            Ok(transition) => drop(self.states.insert(output.key, transition.to)),
            Err(Rejected::Refused { refused, .. }) => {
                self.deviating.insert(output.key);
                let (event, state) = (refused.event.to_string(), refused.state.to_string());
                let place = (event, state, refused.reason.to_string());
                let (count, items) = self.deviations.entry(place).or_default();
                *count += 1;
                items.insert(output.key);
            }
            Err(Rejected::Duplicate { .. }) => {}
        }
    }

    fn print(&self) {
        let items = self.states.len();
        let percent = |part: usize| 100.0 * part as f64 / items.max(1) as f64;
        println!("{items} items of purchase orders, {} events", self.events);
        let conform = items - self.deviating.len();
        println!("{conform} conform ({:.1} %), {} deviate", percent(conform), self.deviating.len());
        println!("\nwhere they ended");
        let mut ends: BTreeMap<State, usize> = BTreeMap::new();
        for state in self.states.values() {
            *ends.entry(*state).or_default() += 1;
        }
        for (state, count) in ends {
            println!("  {:<10} {count:>6} items", state.to_string());
        }
        println!("\nthe most frequent deviations");
        let mut most: Vec<_> = self.deviations.iter().collect();
        // Stable, so those that are equally frequent stay in the order of their names.
        most.sort_by_key(|(_, (_, items))| std::cmp::Reverse(items.len()));
        for ((event, state, reason), (count, items)) in most.iter().take(SHOWN) {
            println!("  {:>5} items, {count:>5} events: {event} in {state}: {reason}", items.len());
        }
        let rest: usize = most.iter().skip(SHOWN).map(|(_, (count, _))| count).sum();
        println!("  and {} other kinds, {rest} events", most.len().saturating_sub(SHOWN));
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let file = log_file();
    if !file.exists() {
        println!(
            "the log is not here: TOWPATH_DATA names the folder in which orders/bpic2019-variants.xes.gz is"
        );
        return Ok(());
    }
    let balance = scope(&Ctx::root(), |s| async move {
        let (events, mailbox) = towpath::bounded(MAILBOX);
        let (outcomes_out, mut outcomes) = towpath::bounded(OUTCOMES);
        s.spawn_blocking("reader", move |_| read(&file, &events));
        let items = Keyed::new(PurchaseItem).report_all();
        s.spawn("items", move |ctx| items.run(ctx, mailbox, outcomes_out));
        let mut balance = Balance::default();
        while let Some(outcome) = outcomes.recv().await {
            balance.count(outcome);
        }
        Ok(balance)
    });
    balance.await?.print();
    println!("\ndata: BPI Challenge 2019, B. van Dongen, 4TU.ResearchData, CC BY 4.0,");
    println!("doi 10.4121/uuid:d06aff4b-79f0-45e6-8ec8-e19730c248f1");
    Ok(())
}
