//! Networks with circles: their processes keep each other's inputs open, and end all the same when nothing is under way.

use serde_json::json;

use super::*;

const RIDES: &str = "
version: 1
name: rides
channels: {signals: , life: , paid: , to_bank: , answers: , bad: , again: {capacity: 0}}
processes:
  source: {uses: quiet, out: signals}
  life: {uses: machine, table: machines/ride.yaml, key: key, default_event: Pay, durable: true, in: [signals, paid, again], out: life, on_error: bad}
  pay: {uses: saga, steps: [{name: charge, do: bank, timeout: 10d}], quarantine_after: 100, in: {in: life, answers: answers}, out: {bank: to_bank, outcomes: paid}, on_error: bad}
  bank: {uses: service, takes: 20ms, in: to_bank, out: answers}
  letters: {uses: dead_letters, in: bad, out: {replayed: again}}
";

#[towpath::test(schedules = 20, max_steps = 2000000)]
async fn a_circle_ends_when_nothing_is_under_way() {
    let story = run(RIDES, &disk(), |node, _| async move {
        put(
            &node,
            "signals",
            [
                json!({"key": 1, "event": "NoDriver"}),
                json!({"key": 2, "event": "Cancel"}),
                json!({"key": 3, "event": "Fly"}),
            ],
        );
        until("the letters", || shown(&node, "letters", &[])["total"] == 3).await;
        Ok(())
    });
    story.await.unwrap();
}
