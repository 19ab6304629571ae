//! The target of a URL: a directory, or a bucket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::ObjectsError;

/// The time that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The time that one attempt of a request may take: a shard may have some hundred megabytes.
const REQUEST: Duration = Duration::from_secs(60);
/// The time for which a request is retried, from its first attempt on.
const RETRY: Duration = Duration::from_secs(15);
/// Which variables name a server that is not Amazon's, the first one first.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
/// The default region; stores that are not Amazon's take any.
const REGION: &str = "us-east-1";

/// The target of a URL.
pub(crate) struct Target {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The prefix of all names in it.
    pub root: Path,
    /// The directory, where it is one.
    pub directory: Option<PathBuf>,
    /// The URL for people.
    pub name: String,
}

impl Target {
    /// Reads a URL: `file:///directory` or `s3://bucket/prefix`, with the `AWS_*` variables among these.
    pub(crate) fn of(text: &str, variables: &[(String, String)]) -> Result<Target, ObjectsError> {
        let refused = |detail: String| ObjectsError::Url { url: without_secrets(text), detail };
        let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
        if url.password().is_some() || !url.username().is_empty() {
            return Err(refused("passwords are not part of it: use AWS_ACCESS_KEY_ID and the like".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it ends with its path: nothing may follow `?` or `#`".to_owned()));
        }
        let name = text.trim_end_matches('/').to_owned();
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| refused("it must be file:///directory".to_owned()))?;
                std::fs::create_dir_all(&path).map_err(|error| refused(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| refused(error.to_string()))?;
                let store = Arc::new(store.with_fsync(true));
                Ok(Target { store, root: Path::default(), directory: Some(path), name })
            }
            "s3" => {
                let bucket = url.host_str().filter(|bucket| !bucket.is_empty());
                let bucket = bucket.ok_or_else(|| refused("it must be s3://bucket/prefix".to_owned()))?;
                let root = Path::from_url_path(url.path()).map_err(|error| refused(error.to_string()))?;
                if let Some(detail) = variables.iter().find_map(|(name, value)| fault_of(name, value)) {
                    return Err(ObjectsError::Variable(detail));
                }
                let store = Arc::new(s3(bucket, variables).map_err(|error| refused(error.to_string()))?);
                Ok(Target { store, root, directory: None, name })
            }
            other => Err(refused(format!("`{other}` is neither `file` nor `s3`"))),
        }
    }
}

/// A bucket, with what the usual variables say.
fn s3(bucket: &str, variables: &[(String, String)]) -> object_store::Result<impl ObjectStore + use<>> {
    // Of the providers that might be linked one must be chosen. Where somebody did before, it is that one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new().with_timeout(REQUEST).with_connect_timeout(CONNECT);
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: 8, retry_timeout: RETRY };
    let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry).with_region(REGION);
    for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("AWS_")) {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = ENDPOINTS.iter().find_map(|wanted| variables.iter().find(|(name, _)| name == wanted));
    if let Some((_, endpoint)) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    builder.with_bucket_name(bucket).build()
}

/// The fault of a variable, which the client would only find as it sends its first request, and not as an error. The
/// value is not shown: it may hold what is secret.
fn fault_of(name: &str, value: &str) -> Option<String> {
    use AmazonS3ConfigKey as Key;
    let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok())??;
    let (is_well, expected) = match key {
        Key::Endpoint
        | Key::S3Endpoint
        | Key::MetadataEndpoint
        | Key::StsEndpoint
        | Key::ContainerCredentialsFullUri => {
            (is_http_url(value), "must be a URL with http:// or https:// and a host, such as http://127.0.0.1:9000")
        }
        Key::Region | Key::DefaultRegion => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (!value.is_empty() && value.bytes().all(is_part), "must be letters, digits and hyphens, such as us-east-1")
        }
        Key::AccessKeyId | Key::Token => (
            value.bytes().all(|byte| byte.is_ascii_graphic()),
            "must have no spaces, line ends or other odd characters",
        ),
        _ => return None,
    };
    (!is_well).then(|| format!("{name} {expected}"))
}

/// Returns whether it is `http://` or `https://` and a host, with nothing that a request line cannot have: `Url` is more lenient.
fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@[]%".contains(&byte);
    rest.is_some_and(|rest| !rest.starts_with('/') && rest.bytes().all(is_plain)) && Url::parse(text).is_ok()
}

/// A URL that may be shown: without a name and a password before the host.
fn without_secrets(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let path = path.map(|path| format!("/{path}")).unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_nothing_is_refused_and_shows_no_password() {
        for (url, why) in [
            ("nowhere", "relative URL"),
            ("https://example.org/x", "neither `file` nor `s3`"),
            ("s3:///prefix", "s3://bucket/prefix"),
            ("s3://bucket/prefix?x=1", "`?`"),
            ("s3://key:secret@bucket/prefix", "AWS_ACCESS_KEY_ID"),
            ("file://host/directory", "file:///directory"),
            ("file:///proc/nothing/here", "No such file"),
        ] {
            let error = Target::of(url, &[]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
        }
        let target = Target::of("s3://bucket/a/b/", &[]).expect("a bucket");
        assert_eq!((target.root.as_ref(), target.name.as_str()), ("a/b", "s3://bucket/a/b"));
    }

    #[test]
    fn a_variable_that_no_request_can_be_made_of_is_refused_by_its_name() {
        let open = |name: &str, value: &str| Target::of("s3://bucket/p", &[(name.to_owned(), value.to_owned())]);
        let urls = ["127.0.0.1:9000", "notaurl", "http://", "http:///x", "http://h:x", "http://h:9000 ", "ftp://h", ""];
        let odd = [("AWS_REGION", "us east"), ("AWS_ACCESS_KEY_ID", "key\n"), ("AWS_SESSION_TOKEN", "to\nken")];
        let named = ENDPOINTS.iter().chain(&["AWS_ENDPOINT_URL_STS", "AWS_METADATA_ENDPOINT"]);
        let endpoints = named.flat_map(|name| urls.map(|url| (*name, url)));
        for (name, value) in endpoints.chain(odd) {
            let error = open(name, value).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(&format!("{name} must")), "{name}={value:?}: {error}");
        }
        for url in ["http://127.0.0.1:9000", "https://s3.example.org/", "http://[::1]:9000/base"] {
            assert!(open("AWS_ENDPOINT_URL", url).is_ok(), "{url}");
        }
        assert!(fault_of("AWS_ACCESS_KEY_ID", "key").is_none() && open("AWS_SOMETHING_ELSE", "a b\n").is_ok());
    }
}
