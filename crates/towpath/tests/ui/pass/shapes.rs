//! Every shape in which an arm may be written.

use towpath::{after, bounded, select, select_blocking};

fn main() {
    let (tx, mut rx) = bounded::<u32>(4);
    let hour = std::time::Duration::from_secs(3_600);
    let ready = true;
    towpath::block_on(async {
        // Blocks with and without a comma, expressions with one, none after the last.
        select! { _ = tx.send(1) => {} _ = after(hour) => {} }
        select! { _ = tx.send(2) => {}, _ = after(hour) => {}, }
        let got: u32 = select! {
            got = rx.recv(), if ready => got.unwrap(),
            got = after(hour), if !ready => { let () = got; 0 }
            _ = after(hour) => if ready { 1 } else { 2 },
            _ = after(hour) => match 3 { n => n },
            default => 0
        };
        assert_eq!(got, 1);
        select! { biased; got = rx.recv() => assert_eq!(got, Some(2)), default => unreachable!() }
        select! { default => {} }
    });
    select_blocking! {
        biased;
        mut got = rx.recv() => { got.take(); }
        Ok(()) | Err(_) = tx.send(3), if ready && rx_is_open() => {}
    }
}

fn rx_is_open() -> bool {
    true
}
