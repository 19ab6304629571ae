//! Checks of ids, names and lists, and the refusals that more than one kind of edit gives.

use audience_contract::StoreError;
use audience_protocol::{
    CheckedSegmentId, CheckedUserId, ConflictKind, MAX_ID_BYTES, PlatformError, ResourceKind, Result,
};
use audience_rules::fault::{Fault, code};
use audience_rules::json::JsonFault;

/// One fault of a document.
pub(crate) fn fault(pointer: &str, code: &'static str, message: impl Into<String>) -> Fault {
    Fault { pointer: pointer.to_owned(), code, message: message.into() }
}

/// A request that is refused for one fault.
pub(crate) fn invalid(pointer: &str, code: &'static str, message: impl Into<String>) -> PlatformError {
    PlatformError::Invalid(vec![fault(pointer, code, message)])
}

/// A request that is refused since others refer to its subject.
pub(crate) fn conflict(fault: Fault) -> PlatformError {
    PlatformError::Conflict { kind: ConflictKind::Referenced, message: fault.message }
}

/// Refusal: there is no such segment.
pub fn segment_not_found(id: &str) -> PlatformError {
    PlatformError::NotFound { kind: ResourceKind::Segment, id: id.to_owned() }
}

/// The API's error for a store's fault.
pub fn unavailable(error: StoreError) -> PlatformError {
    match error {
        StoreError::Refused { detail, .. } => invalid("", code::DOES_NOT_FIT, format!("it cannot be stored: {detail}")),
        StoreError::Unknown { .. } => PlatformError::OutcomeUnknown(error.to_string()),
        error => PlatformError::Unavailable(error.to_string()),
    }
}

/// A refusal of a document that cannot be serialized.
pub(crate) fn unwritable(error: serde_json::Error) -> PlatformError {
    PlatformError::Unavailable(format!("the document could not be written: {error}"))
}

/// A refusal of rules that are no JSON.
pub(crate) fn malformed_rules(error: &JsonFault) -> PlatformError {
    invalid("/rules", "malformed_json", error.to_string())
}

/// Moves the faults of rules to the place of the rules in a segment.
pub(crate) fn below_rules(faults: Vec<Fault>) -> PlatformError {
    PlatformError::Invalid(below("/rules", faults))
}

/// Moves faults to the place where their document stands in another.
pub(crate) fn below(pointer: &str, faults: Vec<Fault>) -> Vec<Fault> {
    let moved = faults.into_iter().map(|fault| Fault { pointer: format!("{pointer}{}", fault.pointer), ..fault });
    moved.collect()
}

/// The fault of a segment's id, if it has one.
pub(crate) fn id_fault(id: &str) -> Option<Fault> {
    CheckedSegmentId::parse(id).err().map(|faulty| fault("/id", faulty.code, faulty.message))
}

/// Refuses a name that is empty or too long.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid("/name", code::EMPTY, "a name is not empty"));
    }
    if name.len() > MAX_ID_BYTES {
        return Err(invalid("/name", code::OUT_OF_RANGE, format!("a name has 1 to {MAX_ID_BYTES} bytes")));
    }
    Ok(())
}

/// The faults of the ids in a list of members.
pub(crate) fn member_faults(members: &[String]) -> Vec<Fault> {
    let faulty = members.iter().enumerate().filter_map(|(index, id)| Some((index, CheckedUserId::parse(id).err()?)));
    faulty.map(|(index, found)| fault(&format!("/members/{index}"), found.code, found.message)).collect()
}

/// Refuses a list of members with a faulty id.
pub(crate) fn check_members(members: &[String]) -> Result<()> {
    let faults = member_faults(members);
    if faults.is_empty() { Ok(()) } else { Err(PlatformError::Invalid(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_1_to_256_bytes_and_are_no_word_of_a_path() {
        for good in ["a", "Ünicode 🎈", &"x".repeat(256)] {
            assert_eq!(id_fault(good), None, "{good}");
        }
        for bad in ["", "preview", &"x".repeat(257), &"é".repeat(129)] {
            assert_eq!(id_fault(bad).unwrap().pointer, "/id", "{bad}");
        }
    }

    #[test]
    fn each_faulty_member_is_named() {
        let members = ["a".to_owned(), String::new(), "b".to_owned(), "x".repeat(257)];
        let faults = member_faults(&members);
        let named: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
        assert_eq!(named, [("/members/1", code::EMPTY), ("/members/3", code::OUT_OF_RANGE)]);
    }

    #[test]
    fn a_refusal_of_a_store_is_the_requests_fault_and_another_fault_is_not() {
        let refused = StoreError::Refused { action: "putting", detail: "too long".to_owned() };
        assert!(matches!(unavailable(refused), PlatformError::Invalid(faults) if faults.len() == 1));
        let away = StoreError::Unavailable { action: "putting", detail: "no answer".to_owned() };
        assert!(matches!(unavailable(away), PlatformError::Unavailable(_)));
    }
}
