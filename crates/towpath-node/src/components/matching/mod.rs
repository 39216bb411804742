//! `match`: messages that belong together, found by their key; and what is missing or does not agree.
//!
//! ```yaml
//! papers: {uses: match, rules: purchase, window: 90d, settle: 1h, in: papers, out: {matched: done, differences: deviations}}
//! pairs:
//!   uses: match
//!   parts: {order: 1, receipt: 1.., invoice: 1..3, payment: 0..}
//!   each: {invoice: payment}
//!   equal: [[receipt, invoice]]
//!   after: {invoice: receipt}
//!   tolerance: 2%
//!   window: 30d
//!   in: [orders, receipts, invoices]
//!   out: {matched: done, differences: deviations}
//! ```
//!
//! In comes `{"key": "4507", "part": "receipt", "amount": 12.50, "id": 3, …}`. A set that has all it needs goes to `matched`, when nothing more
//! has come for `settle`: `{"key", "parts": [{"part", "message"}, …]}`. One that has not, by the end of its window, goes to
//! `differences`, with `why` (`deadline`, `evicted`, `ended`) and `differences`, in words; so does what comes too late, with `why: late`.
//!
//! | option | means | unless said |
//! |---|---|---|
//! | `parts` | the kinds of parts, and how many of each: `1`, `1..`, `0..3` | |
//! | `each` | of one kind as many as of another: each invoice is paid | |
//! | `equal`, `tolerance` | kinds whose amounts have the same sum, within a share (`2%`) or an amount (`0.05`) | exactly |
//! | `after` | a kind that does not come before another | |
//! | `rules: purchase`, `way` | in place of these the papers of purchase orders, by their `activity`: `three_way_after` (invoice after the goods), `three_way_before`, `two_way`, `consignment` | `three_way_after` |
//! | `window` | how long a set waits for its parts, from the first | `30d` |
//! | `settle` | how long a set that is complete waits for more | not at all |
//! | `time` | the field with the time of a part, in seconds or milliseconds since 1970: windows go by it, and parts come in its order | the clock |
//! | `key`, `part`, `amount`, `id` | fields of a message; one that comes twice with an `id` counts once | those names; with `purchase` `case` and `activity` |
//! | `others` | messages of no kind are passed over, and not refused | `false`; with `purchase` `true` |
//! | `open_max` | sets that wait at a time; then the one is closed that would be next | `1000000` |
//!
//! A message with `undo` takes back the part with that `id`. Amounts count to the hundredth.
//!
//! # What is promised
//! - Each message comes out once, in a set or alone; each set once.
//! - When the process is told to leave, as by a reload, sets that are open wait for the next one. A crash loses them: feed the streams again
//!   from where they come from.

mod body;
mod facet;
mod rules;

use std::sync::Arc;

use towpath::Ctx;

use crate::{
    component::{Component, Need, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    Component::new("match", "messages that belong together, by key: parts, each, equal, after, window; or rules: purchase")
        .input(Port::new("in").need(Need::Some))
        .output(Port::new("matched").need(Need::Maybe))
        .output(Port::new("differences"))
        .refuses()
        .makes(|options: rules::Options, _| {
            let made = rules::Made::of(options)?;
            Ok(async move |ctx: Ctx, ports: &mut Ports| match made {
                rules::Made::General(plan) => body::run(&ctx, ports, Arc::new(plan)).await,
                rules::Made::Purchase(plan) => body::run(&ctx, ports, Arc::new(plan)).await,
            })
        })
}
