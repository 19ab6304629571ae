//! The tables are made once, whoever makes them.

mod common;

use std::time::{Duration, Instant};

use audience_contract::CatalogueStore;
use audience_postgres::{PostgresCatalogue, PostgresError, PostgresSettings, migrate};
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

#[test]
fn a_table_that_is_gone_is_missed() {
    let scratch = Scratch::new();
    let settings = PostgresSettings { poll_interval: Duration::from_millis(20), ..scratch.settings() };
    let catalogue = PostgresCatalogue::open(&settings).expect("it opens");
    assert_eq!(catalogue.fault(), None);
    scratch.sql().run("DROP TABLE audience.segments CASCADE");
    let deadline = Instant::now() + Duration::from_secs(60);
    while catalogue.fault().is_none() && Instant::now() < deadline {
        let _ = catalogue.wait_for_change(0, Duration::from_millis(10));
    }
    let fault = catalogue.fault().expect("a look finds it");
    assert!(fault.ends_with("are missing: audience.segments"), "{fault}");
    for error in [migrate(&settings).err(), PostgresCatalogue::open(&settings).err()] {
        assert!(matches!(&error, Some(PostgresError::Schema(why)) if why.contains("audience.segments")), "{error:?}");
    }
}

#[test]
fn who_is_not_let_in_is_told_so_in_the_words_of_the_server() {
    let scratch = Scratch::new();
    let strange = scratch.url.replace("dbname=", "dbname=no_such_");
    let stranger = format!("{}&user=no_such_user", scratch.url);
    for (url, words) in [(strange, "does not exist (SQLSTATE 3D000)"), (stranger, "no_such_user")] {
        let error = PostgresCatalogue::open(&PostgresSettings::new(&url)).err().expect("it does not open");
        assert!(matches!(&error, PostgresError::Rejected(said) if said.contains(words)), "{error}");
        assert!(matches!(migrate(&PostgresSettings::new(&url)), Err(PostgresError::Rejected(_))));
    }
}
