//! Which server binary to run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::TestkitError;

/// Names of the server, in order of preference.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Where `make redis` unpacks a server, in the repository.
const UNPACKED: &str = ".redis/bin";

/// `TRIBUTARY_REDIS_SERVER`, else the first on `PATH`, else what `make redis` unpacked in the
/// repository we stand in.
pub(super) fn server() -> Result<PathBuf, TestkitError> {
    let here = std::env::current_dir().unwrap_or_default();
    among(std::env::var_os("TRIBUTARY_REDIS_SERVER"), std::env::var_os("PATH"), &here)
}

fn among(named: Option<OsString>, path: Option<OsString>, here: &Path) -> Result<PathBuf, TestkitError> {
    if let Some(named) = named.filter(|named| !named.is_empty()).map(PathBuf::from) {
        return if named.is_file() { Ok(named) } else { Err(TestkitError::NamedServerMissing(named)) };
    }
    let path = path.unwrap_or_default();
    std::env::split_paths(&path)
        .chain(here.ancestors().map(|dir| dir.join(UNPACKED)))
        .flat_map(|dir| NAMES.map(|name| dir.join(name)))
        .find(|candidate| candidate.is_file())
        .ok_or(TestkitError::NoServer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        dir
    }

    #[test]
    fn the_named_server_comes_before_path_and_path_before_what_was_unpacked() {
        let (named, path, repo) = (dir_with(&["mine"]), dir_with(&["valkey-server"]), dir_with(&[]));
        let (unpacked, here) = (repo.path().join(UNPACKED), repo.path().join("shared/store"));
        std::fs::create_dir_all(&unpacked).unwrap();
        std::fs::write(unpacked.join("redis-server"), "").unwrap();
        let found = |named: Option<OsString>, path: Option<OsString>| among(named, path, &here).unwrap();
        let on_path = Some(path.path().as_os_str().to_owned());
        let mine = named.path().join("mine");

        assert_eq!(found(Some(mine.clone().into_os_string()), on_path.clone()), mine);
        assert_eq!(found(None, on_path), path.path().join("valkey-server"));
        assert_eq!(found(None, None), unpacked.join("redis-server"));
    }

    #[test]
    fn a_named_server_that_is_missing_is_not_replaced_by_another() {
        let path = dir_with(&["redis-server"]);
        let error = among(Some("/none/such".into()), Some(path.path().into()), path.path());
        assert!(error.unwrap_err().to_string().contains("TRIBUTARY_REDIS_SERVER is /none/such"));
    }

    #[test]
    fn without_any_server_the_error_says_how_to_install_one() {
        let empty = dir_with(&[]);
        let error = among(None, None, empty.path()).unwrap_err().to_string();
        assert!(error.contains("make redis") && error.contains("apt-get install"), "{error}");
    }
}
