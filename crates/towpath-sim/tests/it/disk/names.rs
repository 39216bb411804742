//! Names in a crash: safe once their directory is synced, and never half renamed.

use std::collections::BTreeSet;

use super::{always, keep, number};
use towpath_sim::disk::{Disk, Faults};

#[test]
fn directories_hold_names_in_order() {
    let disk = always(Faults::default());
    disk.create_dir("log").unwrap();
    disk.create("/log//2").unwrap();
    disk.create("log/./1").unwrap();
    disk.create("log1").unwrap();
    assert_eq!(disk.read_dir("log").unwrap(), ["1", "2"]);
    assert_eq!(disk.read_dir("/").unwrap(), ["log", "log1"]);
    disk.rename("log/1", "other").unwrap();
    assert_eq!(disk.read_dir("/").unwrap(), ["log", "log1", "other"]);
    disk.remove_file("log/2").unwrap();
    disk.remove_dir("log").unwrap();
    assert!(!disk.is_file("log").unwrap());
}

#[test]
fn errors_carry_the_numbers_of_linux() {
    let disk = always(Faults::default());
    disk.create_dir("dir").unwrap();
    disk.create("dir/file").unwrap();
    let error = |result: std::io::Result<()>| number(result.unwrap_err());
    assert_eq!(error(disk.open("none").map(drop)), Some(2));
    assert_eq!(error(disk.create("none/file").map(drop)), Some(2));
    assert_eq!(error(disk.create_new("dir/file").map(drop)), Some(17));
    assert_eq!(error(disk.create_dir("dir")), Some(17));
    assert_eq!(error(disk.create("dir/file/x").map(drop)), Some(20));
    assert_eq!(error(disk.read_dir("dir/file").map(drop)), Some(20));
    assert_eq!(error(disk.open("dir").map(drop)), Some(21));
    assert_eq!(error(disk.remove_file("dir")), Some(21));
    assert_eq!(error(disk.rename("dir/file", "dir")), Some(21));
    assert_eq!(error(disk.open("dir/../x").map(drop)), Some(22));
    assert_eq!(error(disk.remove_dir("dir")), Some(39));
    assert_eq!(error(disk.sync_dir("none")), Some(2));
}

/// What is in the root after a crash, over many seeds: names with the content's first byte.
fn outcomes(prepare: impl Fn(&Disk)) -> BTreeSet<String> {
    let after = |seed| {
        let disk = Disk::seeded(Faults::default(), seed);
        keep(&disk, "note", b"old");
        disk.set_faults(Faults::power_cuts());
        prepare(&disk);
        disk.crash();
        let names = disk.read_dir("/").unwrap();
        let files = names.iter().map(|name| {
            let bytes = disk.open(name).unwrap().read_to_end().unwrap();
            let content = match bytes.as_slice() {
                b"old" => "old",
                b"new" => "new",
                b"" => "empty",
                _ if bytes.iter().all(|byte| *byte == 0) => "zeros",
                other => panic!("{other:?}"),
            };
            format!("{name}={content}")
        });
        files.collect::<Vec<_>>().join(" ")
    };
    (0..500).map(after).collect()
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_new_file_may_vanish_though_its_bytes_are_synced() {
    let found = outcomes(|disk| {
        let new = disk.create("fresh").unwrap();
        new.append(b"new").unwrap();
        new.sync_data().unwrap();
    });
    assert_eq!(found, set(&["note=old", "fresh=new note=old"]));
}

#[test]
fn a_name_whose_directory_is_synced_stays() {
    let found = outcomes(|disk| {
        disk.create("fresh").unwrap();
        disk.sync_dir("/").unwrap();
        disk.remove_file("note").unwrap();
    });
    assert_eq!(found, set(&["fresh=empty", "fresh=empty note=old"]));
}

#[test]
fn a_rename_over_another_leaves_one_of_the_two() {
    let found = outcomes(|disk| {
        let new = disk.create("fresh").unwrap();
        new.append(b"new").unwrap();
        new.sync_data().unwrap();
        disk.sync_dir("/").unwrap();
        disk.rename("fresh", "note").unwrap();
    });
    assert_eq!(found, set(&["fresh=new note=old", "note=new"]));
}

#[test]
fn a_rename_is_no_barrier_for_bytes() {
    let found = outcomes(|disk| {
        let new = disk.create("fresh").unwrap();
        new.append(b"new").unwrap();
        disk.rename("fresh", "note").unwrap();
        disk.sync_dir("/").unwrap();
    });
    // The famous one: the old file is gone, and the new one has nothing in it.
    assert_eq!(found, set(&["note=empty", "note=new", "note=zeros"]));
}

#[test]
fn what_is_in_a_lost_directory_is_lost() {
    let found = outcomes(|disk| {
        disk.create_dir("dir").unwrap();
        disk.create("dir/file").unwrap();
        disk.sync_dir("dir").unwrap();
        assert!(disk.is_file("dir/file").unwrap());
        disk.crash();
        let whole = disk.is_file("dir/file").unwrap();
        // For `outcomes`, which opens what it finds.
        if whole {
            disk.remove_file("dir/file").unwrap();
            disk.remove_dir("dir").unwrap();
            disk.create("had").unwrap();
            disk.sync_dir("/").unwrap();
        } else {
            assert_eq!(disk.read_dir("/").unwrap(), ["note"]);
        }
    });
    assert_eq!(found, set(&["had=empty note=old", "note=old"]));
}
