//! A certificate that the program signs itself, for machines without one: kept in a directory, so that whoever trusts it once
//! need not again after a restart.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audience_rules::ast::Millis;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::pair::{TlsError, TlsPair};

/// The time for which a certificate is made: the longest that browsers take.
const LIFE: Duration = Duration::from_secs(398 * 24 * 3600);
/// The time before a certificate's end at which another is made, in seconds.
const RENEWAL_SECONDS: i64 = 30 * 24 * 3600;

/// A certificate of the program's own for these names.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// The directory that keeps it; without one it lasts as long as the process.
    pub directory: Option<PathBuf>,
    /// Names and addresses of this machine.
    pub names: Vec<String>,
}

impl SelfSigned {
    /// The pair that is kept, or a new one where there is none, its names are others or its end is near.
    pub(super) fn pair(&self, now: Millis) -> Result<TlsPair, TlsError> {
        match self.kept() {
            Some(pair) if !is_near_end(pair.expires_at, now) => Ok(pair),
            _ => self.make(now),
        }
    }

    /// The files of the certificate, the key and the names.
    fn files(directory: &Path) -> [PathBuf; 3] {
        ["certificate.pem", "key.pem", "names"].map(|name| directory.join(name))
    }

    fn kept(&self) -> Option<TlsPair> {
        let [certificate, key, names] = SelfSigned::files(self.directory.as_deref()?);
        let is_same = fs::read_to_string(names).ok()?.lines().eq(&self.names);
        is_same.then(|| TlsPair::read(&certificate, &key).ok()).flatten()
    }

    fn make(&self, now: Millis) -> Result<TlsPair, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Making(error.into());
        let mut wanted = CertificateParams::new(self.names.clone()).map_err(failed)?;
        let begin = date_time_ymd(1970, 1, 1) + Duration::from_secs((now / 1_000).unsigned_abs());
        (wanted.not_before, wanted.not_after) = (begin - Duration::from_secs(3600), begin + LIFE);
        wanted.distinguished_name.push(DnType::CommonName, "Audience Manager, self-signed");
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = wanted.self_signed(&key).map_err(failed)?.pem();
        let key = key.serialize_pem();
        if let Some(directory) = &self.directory {
            self.keep(directory, &certificate, &key)?;
        }
        let place = || "the self-signed certificate".to_owned();
        TlsPair::parse((certificate.as_bytes(), place()), (key.as_bytes(), place()))
    }

    fn keep(&self, directory: &Path, certificate: &str, key: &str) -> Result<(), TlsError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| TlsError::File { path, cause }
        };
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let [certificate_file, key_file, names_file] = SelfSigned::files(directory);
        // The names last: a pair that was written by halves is made again.
        let _ = fs::remove_file(&names_file);
        for (path, text) in [(certificate_file, certificate), (key_file, key), (names_file, &self.names.join("\n"))] {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Returns whether a certificate ends soon.
pub(super) fn is_near_end(expires_at: i64, now: Millis) -> bool {
    expires_at - now / 1_000 < RENEWAL_SECONDS
}
