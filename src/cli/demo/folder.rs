//! The demo's folder: whose it is, and whether its data is whole.
//!
//! A note in the folder (`demo.json`) says what the data is grown from and whether that came to its end. It is written
//! before the first database and again after the last row, so data that a crash cut short is known as such and made
//! anew. Databases without a note are somebody else's, and never touched. One process at a time has the folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{cli::Failure, services::demo::Growth};

const NOTE: &str = "demo.json";
const LOCK: &str = "demo.lock";
const MASTER: &str = "master.db";
const TENANTS: &str = "tenants";

/// What the note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    seed: u64,
    customers: u32,
    complete: bool,
}

/// The folder, for as long as this process has it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held until the process ends.
    _lock: File,
}

/// What there is to do in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing is there: the data is to be made.
    Nothing,
    /// The data is whole, and grown from this.
    Data(Growth),
}

impl Folder {
    /// Takes the folder.
    ///
    /// # Errors
    /// When it cannot be used, or another process has it.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::new(format!("the demo cannot use the folder {}: {error}", path.display()));
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
                "another demo runs in the folder {}; stop it, or name another folder with --data-dir",
                path.display()
            ))),
        }
    }

    /// Looks what is there; what was left half made is removed.
    ///
    /// # Errors
    /// When the folder cannot be read, or its databases are not the demo's.
    pub fn look(&self) -> Result<Found, Failure> {
        let note = self.path.join(NOTE);
        let text = match fs::read(&note) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if self.path.join(MASTER).exists() {
                    Err(Failure::new(format!(
                        "the folder {} holds databases that are not the demo's; name another folder with --data-dir",
                        self.path.display()
                    )))
                } else {
                    Ok(Found::Nothing)
                };
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let note: Note = serde_json::from_slice(&text).map_err(|error| self.failed(&error.into()))?;
        if note.complete {
            return Ok(Found::Data(Growth { seed: note.seed, customers: note.customers }));
        }
        self.clear().map_err(|error| self.failed(&error))?;
        Ok(Found::Nothing)
    }

    /// Notes that the data is about to be made, or that it is whole.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note(&self, growth: Growth, complete: bool) -> Result<(), Failure> {
        let Growth { seed, customers } = growth;
        let write = || {
            let new = self.path.join("demo.json.new");
            let file = File::create(&new)?;
            serde_json::to_writer(&file, &Note { seed, customers, complete })?;
            file.sync_all()?;
            // The note is the old one or the new one, never a part of one.
            fs::rename(&new, self.path.join(NOTE))
        };
        write().map_err(|error| self.failed(&error))
    }

    fn clear(&self) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        for suffix in ["", "-wal", "-shm"] {
            gone(fs::remove_file(self.path.join(format!("{MASTER}{suffix}"))))?;
        }
        gone(fs::remove_dir_all(self.path.join(TENANTS)))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::new(format!("the demo cannot use the folder {}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_made_data_is_removed_whole_data_is_kept_and_that_of_others_is_not_touched() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("demo");
        let folder = Folder::take(&path).unwrap();
        assert!(Folder::take(&path).unwrap_err().to_string().contains("another demo runs"));
        assert_eq!(folder.look().unwrap(), Found::Nothing);

        let growth = Growth { seed: 3, customers: 5 };
        let make = || {
            fs::create_dir_all(path.join("tenants")).unwrap();
            fs::write(path.join("master.db"), "rows").unwrap();
            fs::write(path.join("tenants/one.db"), "rows").unwrap();
        };
        folder.note(growth, false).unwrap();
        make();
        assert_eq!(folder.look().unwrap(), Found::Nothing);
        assert!(!path.join("master.db").exists() && !path.join("tenants").exists());

        make();
        folder.note(growth, true).unwrap();
        assert_eq!(folder.look().unwrap(), Found::Data(growth));
        assert!(path.join("tenants/one.db").exists());

        fs::remove_file(path.join("demo.json")).unwrap();
        assert!(folder.look().unwrap_err().to_string().contains("not the demo's"));
        assert!(path.join("tenants/one.db").exists());
    }
}
