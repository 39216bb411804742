//! Power cuts on the simulator's disk.

use towpath_journal::{Entry, Lsn, Options};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

#[test]
fn what_was_acknowledged_is_there_after_the_power_went() {
    for seed in 0..200 {
        let disk = Disk::seeded(Faults::power_cuts(), seed);
        let mut writer = Options::new().open_on(sim_disk(&disk), "/data/journal").unwrap();
        for number in 0..20_u8 {
            writer.append(Entry { kind: 1, key: b"k", payload: &[number] }).unwrap();
            if number % 5 == 4 && number < 19 {
                writer.commit().unwrap();
            }
        }
        disk.crash();
        assert!(writer.commit().is_err(), "its machine is gone");

        let writer = Options::new().open_on(sim_disk(&disk), "/data/journal").unwrap();
        assert!(writer.durable() >= Lsn(15), "seed {seed}: {}", writer.durable());
        let mut reader = writer.reader(Lsn(1)).unwrap();
        for number in 0..writer.durable().0 {
            let record = reader.next().unwrap().unwrap();
            assert_eq!((record.lsn, record.payload), (Lsn(number + 1), &[number as u8][..]));
        }
        assert_eq!(reader.next().unwrap(), None);
    }
}
