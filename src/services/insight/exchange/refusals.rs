//! The rows that were left out, in a CSV file beside the one that was imported: a line for each thing that is wrong.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

const COLUMNS: [&str; 6] = ["line", "column", "field", "value", "code", "reason"];

/// One thing that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line of the file.
    pub line: u64,
    /// The columns it comes from.
    pub column: String,
    /// The field that they were to fill.
    pub field: String,
    /// What stood in the columns.
    pub value: String,
    /// What kind of trouble it is.
    pub code: String,
    /// A sentence for people.
    pub reason: String,
}

/// The file of them. It is made when the first is written.
pub struct Refusals {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl Refusals {
    /// A file for an import that begins, or goes on: then what was written of it after the last batch is cut off.
    ///
    /// # Errors
    /// [`Error::BadInput`] when it cannot be written, or is another file.
    pub fn open(path: &Path, length: u64) -> Result<Self> {
        let mut refusals = Self { path: path.to_owned(), file: None, length: 0 };
        match std::fs::metadata(path) {
            Ok(metadata) if length > 0 && metadata.len() >= length => {
                let file = OpenOptions::new().write(true).open(path).map_err(|error| refusals.failed(&error))?;
                file.set_len(length).map_err(|error| refusals.failed(&error))?;
                (refusals.file, refusals.length) = (Some(file), length);
            }
            Ok(metadata) if metadata.is_file() => {
                if metadata.len() > 0 && !refusals.is_ours().map_err(|error| refusals.failed(&error))? {
                    let message = format!(
                        "{} is there, and holds something else than the errors of an import; name another file",
                        path.display()
                    );
                    return Err(Error::BadInput(message));
                }
                std::fs::remove_file(path).map_err(|error| refusals.failed(&error))?;
            }
            _ => {}
        }
        Ok(refusals)
    }

    /// Whether the file that is there was written by an import, so that nothing else is lost with it.
    fn is_ours(&self) -> std::io::Result<bool> {
        let mut begin = Vec::new();
        let headings = COLUMNS.join(",") + "\n";
        File::open(&self.path)?.take(headings.len() as u64).read_to_end(&mut begin)?;
        Ok(begin == headings.as_bytes())
    }

    /// Writes some, and everything to the disk.
    ///
    /// # Errors
    /// [`Error::BadInput`] when the file cannot be written.
    pub fn write(&mut self, refusals: &[Refusal]) -> Result<()> {
        if refusals.is_empty() {
            return Ok(());
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut put = |row: [&str; 6]| writer.write_record(row).map_err(Error::internal);
        if self.length == 0 {
            put(COLUMNS)?;
        }
        for refusal in refusals {
            let Refusal { line, column, field, value, code, reason } = refusal;
            put([&line.to_string(), column, field, value, code, reason])?;
        }
        let bytes = writer.into_inner().map_err(|error| Error::internal(error.to_string()))?;
        let written = self.append(&bytes);
        written.map_err(|error| self.failed(&error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(&self.path)?),
        };
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    /// How long the file is; 0 when there is none.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Where it is, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::BadInput(format!("{} cannot be written: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: u64) -> Refusal {
        Refusal {
            line,
            column: "sector".to_owned(),
            field: "industry".to_owned(),
            value: "a,\"b\"".to_owned(),
            code: "INVALID".to_owned(),
            reason: "no".to_owned(),
        }
    }

    #[test]
    fn what_came_after_the_last_batch_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors.csv");
        let mut refusals = Refusals::open(&path, 0).unwrap();
        assert_eq!(refusals.path(), None);
        refusals.write(&[refusal(2)]).unwrap();
        let length = refusals.length();
        refusals.write(&[refusal(3)]).unwrap();
        drop(refusals);
        let mut refusals = Refusals::open(&path, length).unwrap();
        refusals.write(&[refusal(4)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = csv::Reader::from_reader(text.as_bytes())
            .records()
            .map(|row| row.unwrap().get(0).unwrap().to_owned())
            .collect();
        assert_eq!(lines, ["2", "4"]);
        // A new import begins with no file.
        let refusals = Refusals::open(&path, 0).unwrap();
        assert_eq!((refusals.path(), path.exists()), (None, false));
    }

    #[test]
    fn no_other_file_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.csv");
        std::fs::write(&path, "account\nA\n").unwrap();
        let message = Refusals::open(&path, 0).err().unwrap().to_string();
        assert!(message.contains("accounts.csv is there"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "account\nA\n");
        std::fs::write(&path, "").unwrap();
        assert!(Refusals::open(&path, 0).is_ok());
    }
}
