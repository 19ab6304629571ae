//! The tables are made once, whoever makes them.

mod common;

use audience_contract::CatalogueStore;
use audience_postgres::{PostgresError, migrate};
use common::Scratch;

#[test]
fn of_several_processes_one_migrates() {
    let scratch = Scratch::new();
    let racers: Vec<_> = (0..6)
        .map(|_| {
            let settings = scratch.settings();
            std::thread::spawn(move || migrate(&settings).expect("migrate").len())
        })
        .collect();
    let mut applied: Vec<usize> = racers.into_iter().map(|racer| racer.join().expect("no panic")).collect();
    applied.sort_unstable();
    let all = migrate(&Scratch::new().settings()).expect("migrate").len();
    assert!(all > 0);
    assert_eq!(applied, [0, 0, 0, 0, 0, all]);
    assert_eq!(migrate(&scratch.settings()).expect("migrate"), [], "once more changes nothing");
    assert_eq!(scratch.open().version().expect("version"), 0);
}

#[test]
fn tables_of_another_program_are_left_alone() {
    let scratch = Scratch::new();
    migrate(&scratch.settings()).expect("migrate");
    let sql = scratch.sql();
    sql.run("INSERT INTO audience.migrations (number, name, checksum) VALUES (999, 'future', '')");
    let error = migrate(&scratch.settings()).expect_err("it is refused");
    assert!(matches!(&error, PostgresError::Schema(why) if why.contains("999")), "{error}");
    sql.run("DELETE FROM audience.migrations WHERE number = 999; UPDATE audience.migrations SET checksum = 'x'");
    assert!(matches!(migrate(&scratch.settings()), Err(PostgresError::Schema(_))));
}
