//! The store of objects of the tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::Path;
use std::sync::Arc;

use audience_objects::Objects;

/// The bucket that `scripts/services` makes.
const BUCKET: &str = "audience-test";

/// A directory.
pub(crate) fn in_directory(directory: &Path) -> Arc<Objects> {
    Objects::open(&format!("file://{}", directory.display()), &[]).expect("a directory")
}

/// A place of that name on the test server.
pub(crate) fn on_s3(name: &str) -> Arc<Objects> {
    let endpoint = std::env::var("AUDIENCE_TEST_S3").unwrap_or_else(|_| {
        panic!("AUDIENCE_TEST_S3 is not set: start the services with: eval \"$(scripts/services start)\"")
    });
    let variables =
        [("AWS_ENDPOINT_URL", &*endpoint), ("AWS_ACCESS_KEY_ID", "audience"), ("AWS_SECRET_ACCESS_KEY", "audience")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Objects::open(&format!("s3://{BUCKET}/{name}"), &variables).expect("a bucket")
}

/// A name that no other run uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}
