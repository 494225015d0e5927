//! The file that is imported: looked through once, then read row by row in a thread of its own.
//!
//! The first look takes nothing into memory. It finds what separates the columns, counts the rows for the progress,
//! makes the digest by which an import is known again, and refuses what cannot be read. Other encodings than UTF-8
//! are not guessed at, because a wrong guess spoils names silently.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use csv::StringRecord;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{rows::Rows, text::Headings};
use crate::error::{Error, Result};

/// The most columns.
const MOST_COLUMNS: usize = 1_000;
/// What may separate columns, when nobody says: the one by which the headings are most.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What other files begin with, and what to do with them.
const OTHERS: [(&[u8], &str); 4] = [
    (b"\xff\xfe", "encoded in UTF-16; save it as CSV in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "encoded in UTF-16; save it as CSV in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8"),
    (b"PK\x03\x04", "a spreadsheet such as .xlsx, or another archive; save its sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first: gunzip"),
];

/// A CSV file that was looked through.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    delimiter: u8,
    /// The SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Its names of columns.
    pub headings: Headings,
    /// How many rows follow them.
    pub rows: u64,
}

/// A row and where it stands.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line on which it begins; the first of the file is 1.
    pub line: u64,
    /// Its values.
    pub cells: StringRecord,
    /// Whether a value goes on behind the quotation mark that closes it.
    pub torn: bool,
}

/// Where to go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The byte.
    pub byte: u64,
    /// The line.
    pub line: u64,
    /// How many rows, headings aside, stand before.
    pub row: u64,
}

/// Some rows, and where those after them begin.
#[derive(Debug)]
pub struct Batch {
    /// The rows; those whose values are all empty are left out.
    pub rows: Vec<Row>,
    /// How many were left out.
    pub empty: u64,
    /// Where the next batch begins.
    pub next: Place,
}

impl Source {
    /// Looks through a file.
    ///
    /// # Errors
    /// [`Error::BadInput`] with a sentence for people when the file cannot be read or is no CSV file in UTF-8.
    pub async fn open(path: &Path, delimiter: Option<u8>) -> Result<Self> {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || inspect(path, delimiter)).await.map_err(Error::internal)?
    }

    /// Reads the rows from `place` on (from the first one where there is none), in batches of `size`, ahead of
    /// whoever takes them by two batches. Dropping the receiver ends it.
    #[must_use]
    pub fn batches(&self, place: Option<Place>, size: usize) -> mpsc::Receiver<Result<Batch>> {
        let (send, receive) = mpsc::channel(2);
        let source = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = source.read(place, size, &send) {
                // Whoever has gone needs no error.
                let _ = send.blocking_send(Err(error));
            }
        });
        receive
    }

    fn read(&self, place: Option<Place>, size: usize, send: &mpsc::Sender<Result<Batch>>) -> Result<()> {
        let mut reader = Rows::open(&self.path, self.delimiter, place)?;
        if place.is_none() {
            reader.next()?;
        }
        loop {
            let (mut rows, mut empty) = (Vec::with_capacity(size), 0);
            let mut more = true;
            while rows.len() < size && more {
                match reader.next()? {
                    None => more = false,
                    Some(line) => {
                        let cells = reader.cells()?;
                        if cells.iter().all(|cell| cell.trim().is_empty()) {
                            empty += 1;
                        } else {
                            rows.push(Row { line, cells, torn: reader.is_torn() });
                        }
                    }
                }
            }
            let batch = Batch { rows, empty, next: reader.place() };
            if !(batch.rows.is_empty() && empty == 0) && send.blocking_send(Ok(batch)).is_err() {
                return Ok(());
            }
            if !more {
                return Ok(());
            }
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::BadInput(format!("{} cannot be read: {error}", path.display()))
}

fn inspect(path: PathBuf, delimiter: Option<u8>) -> Result<Source> {
    let digest = check(&path)?;
    let delimiter = match delimiter {
        Some(delimiter) => delimiter,
        None => find_delimiter(&path)?,
    };
    let mut reader = Rows::open(&path, delimiter, None)?;
    let headings = match reader.next()? {
        Some(_) if reader.len() > MOST_COLUMNS => {
            let message = format!("the file has {} columns; {MOST_COLUMNS} is the most", reader.len());
            return Err(Error::BadInput(message));
        }
        Some(_) => reader.cells()?,
        None => StringRecord::new(),
    };
    if headings.iter().all(|heading| heading.trim().is_empty()) {
        return Err(Error::BadInput("the file is empty: its first line must name the columns".to_owned()));
    }
    let mut rows = 0;
    while reader.next()?.is_some() {
        rows += 1;
    }
    Ok(Source { path, delimiter, digest, headings: Headings::new(&headings), rows })
}

/// Whether a file is one, and in UTF-8. Answers its digest.
fn check(path: &Path) -> Result<String> {
    let failed = |error: io::Error| unreadable(path, &error);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let message =
            format!("{} is no file; an import reads it more than once, so a pipe will not do", path.display());
        return Err(Error::BadInput(message));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let (mut utf8, mut line, mut first, mut binary) = (Utf8::default(), 1, true, false);
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if std::mem::take(&mut first)
            && let Some((_, what)) = OTHERS.iter().find(|(begin, _)| bytes.starts_with(begin))
        {
            return Err(Error::BadInput(format!("the file is {what}")));
        }
        hasher.update(bytes);
        for byte in bytes {
            binary |= *byte == 0;
            utf8.take(*byte).map_err(|()| {
                // What Western European text uses beyond ASCII, and UTF-8 never in this place.
                not_utf8(line, if binary { "it seems to be no text" } else { "it seems to be Windows-1252 or Latin-1" })
            })?;
            line += u64::from(*byte == b'\n');
        }
    }
    if utf8.is_within() {
        return Err(not_utf8(line, "it ends within a character"));
    }
    Ok(HEXLOWER.encode(&hasher.finalize()))
}

/// The candidate by which the headings are most; the comma where none separates anything.
fn find_delimiter(path: &Path) -> Result<u8> {
    let mut found = (b',', 1);
    for delimiter in DELIMITERS {
        let mut reader = Rows::open(path, delimiter, None)?;
        // With a wrong delimiter, quotation marks can stand where they do not close.
        if matches!(reader.next(), Ok(Some(_))) && reader.len() > found.1 {
            found = (delimiter, reader.len());
        }
    }
    Ok(found.0)
}

fn not_utf8(line: u64, guess: &str) -> Error {
    Error::BadInput(format!(
        "line {line} is not UTF-8: {guess}. Save the file as CSV in UTF-8, or convert it: iconv -f WINDOWS-1252 -t \
         UTF-8"
    ))
}

/// Checks UTF-8 byte by byte.
#[derive(Default)]
struct Utf8 {
    /// How many bytes of the character are to come, and between what the next of them must be.
    left: u8,
    least: u8,
    most: u8,
}

impl Utf8 {
    fn take(&mut self, byte: u8) -> Result<(), ()> {
        if self.left > 0 {
            if !(self.least..=self.most).contains(&byte) {
                return Err(());
            }
            (self.left, self.least, self.most) = (self.left - 1, 0x80, 0xbf);
            return Ok(());
        }
        (self.left, self.least, self.most) = match byte {
            0..=0x7f => return Ok(()),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            _ => return Err(()),
        };
        Ok(())
    }

    const fn is_within(&self) -> bool {
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    type Lines = Vec<(u64, Vec<String>)>;

    fn read(bytes: &[u8], size: usize) -> Result<(Source, Lines)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let file = file(bytes);
            let source = Source::open(file.path(), None).await?;
            let mut batches = source.batches(None, size);
            let mut rows = Vec::new();
            while let Some(batch) = batches.recv().await {
                let batch = batch?;
                // Going on from where a batch ends finds the same rest.
                let mut rest = source.batches(Some(batch.next), 1);
                let next = rest.recv().await.transpose()?.and_then(|batch| batch.rows.into_iter().next());
                rows.extend(batch.rows.into_iter().map(|row| (row.line, row.cells, next.clone())));
            }
            let found =
                rows.iter().map(|(line, cells, _)| (*line, cells.iter().map(str::to_owned).collect())).collect();
            for window in rows.windows(2) {
                if let [(_, _, Some(next)), (_, cells, _)] = window
                    && size == 1
                {
                    assert_eq!(&next.cells, cells);
                }
            }
            Ok((source, found))
        })
    }

    /// Whether a quotation mark is open at the end of the headings, with this delimiter.
    fn find_open(text: &str, delimiter: u8) -> bool {
        Rows::open(file(text.as_bytes()).path(), delimiter, None).unwrap().next().is_err()
    }

    #[test]
    fn reads_what_spreadsheets_write() {
        let text = "\u{feff}name;\"city;town\";note\r\nA;B;\"two\nlines \"\"quoted\"\"\"\r\n\r\n;;\r\nÄ;;x\r\n";
        let (source, rows) = read(text.as_bytes(), 1).unwrap();
        assert_eq!(source.delimiter, b';');
        assert_eq!(source.headings.names(), ["name", "city;town", "note"]);
        assert_eq!(source.rows, 3);
        let lines: Vec<_> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].1, ["A", "B", "two\nlines \"quoted\""]);
        assert_eq!(rows[1].1, ["Ä", "", "x"]);
        assert_eq!(lines, [2, 6]);
        let (source, _) = read(b"a\tb\n1\t2", 5).unwrap();
        assert_eq!((source.delimiter, source.rows), (b'\t', 1));
        // What stands between quotation marks separates nothing, whichever candidate they belong to.
        let (source, _) = read(b";\"\r\",", 1).unwrap();
        assert_eq!((source.delimiter, source.rows), (b';', 0));
    }

    #[test]
    fn says_what_it_cannot_read() {
        let message = |bytes: &[u8]| read(bytes, 1).err().unwrap().to_string();
        assert!(message(b"").contains("empty"));
        assert!(message(b"\n\n").contains("empty"));
        let windows = message(b"name\nx\nJos\xe9\n");
        assert!(windows.contains("line 3") && windows.contains("Windows-1252"), "{windows}");
        assert!(message(b"\xff\xfen\0").contains("UTF-16"));
        assert!(message("name\né".as_bytes().split_last().unwrap().1).contains("within a character"));
        let endless = [b"name\nx\n\"".to_vec(), vec![b'x'; 2 << 20]].concat();
        assert!(message(&endless).contains("begins on line 3"), "{}", message(&endless));
        assert!(message(b"name\nx\n\"y\nz").contains("begins on line 3 does not end"));
        let wide = vec![b','; MOST_COLUMNS];
        assert!(message(&[b"a".to_vec(), wide].concat()).contains("1001 columns"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let message = runtime.block_on(Source::open(folder.path(), None)).unwrap_err().to_string();
        assert!(message.contains("is no file"), "{message}");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, 2);
        }

        #[test]
        fn rows_are_counted_as_the_csv_crate_finds_them(text in "[a,;\"\r\n é]{1,60}") {
            if let Ok((source, rows)) = read(text.as_bytes(), 1) {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(source.delimiter)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                prop_assert_eq!(source.rows, reader.records().count() as u64);
                prop_assert!(rows.len() as u64 <= source.rows);
                // No other candidate finds more headings.
                let headings = source.headings.names().len();
                for delimiter in DELIMITERS {
                    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
                    let found = reader.headers().unwrap().len();
                    prop_assert!(found <= headings || find_open(&text, delimiter), "{} {found}", char::from(delimiter));
                }
            }
        }

        #[test]
        fn agrees_with_std_about_utf8(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut utf8 = Utf8::default();
            let valid = bytes.iter().all(|byte| utf8.take(*byte).is_ok()) && !utf8.is_within();
            prop_assert_eq!(valid, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
