//! `saga`: work in steps, each of which is done or taken back, whatever crashes meanwhile.
//!
//! ```yaml
//! pay:
//!   uses: saga
//!   steps:
//!     - {name: reserve, do: bank, undo: bank, timeout: 2s, attempts: 5}
//!     - {name: charge, do: bank, undo: bank}
//!     - {name: tell, do: notices}
//!   in: {in: completed, answers: answers}
//!   out: {bank: to_bank, notices: to_notices, outcomes: paid}
//! ```
//!
//! In comes `{"key": 7, …}`, which starts the saga 7 once. A step is a call on the port that `do` names:
//! `{"saga": "pay", "key": 7, "step": "charge", "attempt": 1, "idempotency": "7/charge", "input": {…}}`, with `"undo": true` when it is to be
//! taken back, and `outputs` with what earlier steps have answered. The answer comes by `answers`: the same `key`, `step` and `undo`, and
//! `"ok": …`, or `"error": "why"` with perhaps a `class`. When all is over the message that started it goes to `outcomes`, with `outcome` (`done`,
//! `compensated`, `failed`), `why`, and `steps`, their names with what became of them.
//!
//! | `class` of an error | means |
//! |---|---|
//! | `transient`, or none | nothing was done, and another try may succeed |
//! | `timeout` | nobody knows whether it was done; it is called again, with the same `idempotency` |
//! | `schema`, `fatal`, `refused` | another try is of no use: the saga turns back |
//!
//! | option | means | unless said |
//! |---|---|---|
//! | `steps` | each with `name`, and `do: <port>`, perhaps `undo: <port>`; or `sleep: 1min` | |
//! | of a step: `timeout`, `attempts`, `pause`, `longest_pause` | how long an answer may take, how often it is called, and how long between | `30s`, `8`, `100ms`, `30s` |
//! | of a step: `pivot: true` | behind it there is no way back; what follows is tried until somebody looks | |
//! | `key` | the field that says which saga a message starts | `key` |
//! | `version` | another one when steps are added, removed, renamed or moved | `1` |
//! | `quarantine_after` | crashes with a call of a saga under way, after which it waits for a person | `3` |
//! | `unfinished_max` | sagas under way; when there are as many, no more are taken | `10000` |
//!
//! # What is promised
//! - A saga that was started ends with all its steps done, or with everything taken back that was done or may have been, or it stands in the
//!   list of the facet until a person has looked. Its journal survives crashes; it goes on where it was.
//! - A key is started once, for as long as the latest 65,536 ended ones are remembered; a message that comes again is told the same
//!   outcome again. So whoever does not know whether a start was heard sends it again.
//! - Calls are made again after a crash, with the same `idempotency`. Who is called does the work of one such key once.

mod body;
mod facet;
mod plan;

use std::sync::Arc;

use towpath::Ctx;

use crate::{
    component::{Component, Need, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    Component::new(
        "saga",
        "work in steps that are done or taken back: steps of name, do, undo, timeout, attempts",
    )
    .input(Port::new("in").need(Need::Some))
    .input(Port::new("answers").need(Need::Some))
    .outputs_by(plan::ports_of)
    .output(Port::new("outcomes").need(Need::Maybe))
    .refuses()
    .makes(|options: plan::Options, _| {
        let plan = Arc::new(plan::Plan::of(options)?);
        Ok(async move |ctx: Ctx, ports: &mut Ports| body::run(&ctx, ports, plan).await)
    })
}
