//! The file that is imported: looked through once, then read row by row in a thread of its own.
//!
//! The first look takes nothing into memory. It finds what separates the columns, counts the rows for the progress,
//! makes the digest by which an import is known again, and refuses what cannot be read: other encodings than UTF-8
//! are not guessed at, because a wrong guess spoils names silently, and a row that does not end (a quotation mark is
//! missing) would be the rest of the file.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use csv::{Position, ReaderBuilder, StringRecord};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::text::Headings;
use crate::error::{Error, Result};

/// The longest row, in bytes.
const LONGEST_ROW: u64 = 1 << 20;
/// The most columns.
const MOST_COLUMNS: usize = 1_000;
/// What may separate columns, when nobody says: the one that stands most often in the first line.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A CSV file that was looked through.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    delimiter: u8,
    /// Whether its lines end in CR LF.
    crlf: bool,
    /// The SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Its names of columns.
    pub headings: Headings,
    /// How many rows follow them, as far as quotation marks tell.
    pub rows: u64,
}

/// A row and where it stands.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line on which it begins; the first of the file is 1.
    pub line: u64,
    /// Its values.
    pub cells: StringRecord,
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
        let broken = |error: csv::Error| Error::BadInput(format!("the file cannot be read: {error}"));
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        let mut reader = ReaderBuilder::new().delimiter(self.delimiter).flexible(true).from_reader(file);
        reader.headers().map_err(broken)?;
        let mut row = 0;
        if let Some(place) = place {
            let mut position = Position::new();
            position.set_byte(place.byte).set_line(place.line).set_record(place.row + 1);
            reader.seek(position).map_err(broken)?;
            row = place.row;
        }
        loop {
            let (mut rows, mut empty) = (Vec::with_capacity(size), 0);
            let mut more = true;
            while rows.len() < size && more {
                let mut cells = StringRecord::new();
                more = reader.read_record(&mut cells).map_err(broken)?;
                if !more {
                    break;
                }
                row += 1;
                // After CR LF the reader counts the LF to the next row.
                let line = cells.position().map_or(0, Position::line) + u64::from(self.crlf);
                if cells.iter().all(|cell| cell.trim().is_empty()) {
                    empty += 1;
                } else {
                    rows.push(Row { line, cells });
                }
            }
            let at = reader.position();
            let next = Place { byte: at.byte(), line: at.line(), row };
            let last = !more;
            if !(rows.is_empty() && empty == 0) && send.blocking_send(Ok(Batch { rows, empty, next })).is_err() {
                return Ok(());
            }
            if last {
                return Ok(());
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::BadInput(format!("{} cannot be read: {error}", path.display()))
}

fn inspect(path: PathBuf, delimiter: Option<u8>) -> Result<Source> {
    let open = || File::open(&path).map_err(|error| unreadable(&path, &error));
    let mut file = BufReader::with_capacity(1 << 16, open()?);
    let mut scan = Scan::new(delimiter);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut utf8 = Utf8::default();
    let mut first = true;
    let (mut crlf, mut before) = (None, 0);
    loop {
        let read = file.read(&mut buffer).map_err(|error| unreadable(&path, &error))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if std::mem::take(&mut first) && (bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])) {
            return Err(Error::BadInput(
                "the file is encoded in UTF-16; save it as CSV in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8"
                    .to_owned(),
            ));
        }
        hasher.update(bytes);
        for byte in bytes {
            if *byte == b'\n' && crlf.is_none() {
                crlf = Some(before == b'\r');
            }
            before = *byte;
            utf8.take(*byte).map_err(|()| not_utf8(scan.line, *byte))?;
            scan.take(*byte)?;
        }
    }
    if utf8.is_within() {
        return Err(not_utf8(scan.line, 0));
    }
    let (rows, delimiter) = scan.end();
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(open()?);
    let headings = reader.headers().map_err(|error| Error::BadInput(format!("the file cannot be read: {error}")))?;
    if headings.iter().all(|heading| heading.trim().is_empty()) {
        return Err(Error::BadInput("the file is empty: its first line must name the columns".to_owned()));
    }
    if headings.len() > MOST_COLUMNS {
        return Err(Error::BadInput(format!("the file has {} columns; {MOST_COLUMNS} is the most", headings.len())));
    }
    let headings = Headings::new(headings);
    Ok(Source {
        path,
        delimiter,
        crlf: crlf == Some(true),
        digest: HEXLOWER.encode(&hasher.finalize()),
        headings,
        rows,
    })
}

fn not_utf8(line: u64, byte: u8) -> Error {
    let guess = match byte {
        0 => "it ends within a character",
        // What Western European text uses beyond ASCII, and UTF-8 never in this place.
        _ => "it seems to be Windows-1252 or Latin-1",
    };
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

/// Follows rows and quotation marks as the CSV reader will.
struct Scan {
    given: Option<u8>,
    line: u64,
    rows: u64,
    length: u64,
    began: u64,
    state: State,
    counts: [u64; DELIMITERS.len()],
    in_headings: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    QuoteInQuoted,
}

impl Scan {
    const fn new(given: Option<u8>) -> Self {
        Self {
            given,
            line: 1,
            rows: 0,
            length: 0,
            began: 1,
            state: State::Start,
            counts: [0; DELIMITERS.len()],
            in_headings: true,
        }
    }

    /// While the headings are read, any of the candidates may be the delimiter.
    fn delimits(&self, byte: u8) -> bool {
        match self.given {
            Some(given) => byte == given,
            None => self.in_headings && DELIMITERS.contains(&byte),
        }
    }

    fn take(&mut self, byte: u8) -> Result<()> {
        let quoted = self.state == State::Quoted;
        if byte == b'\n' || byte == b'\r' {
            self.line += u64::from(byte == b'\n');
            if !quoted {
                self.end_row();
                return Ok(());
            }
        }
        self.length += 1;
        if self.length > LONGEST_ROW {
            return Err(Error::BadInput(format!(
                "the row that begins on line {} is longer than {LONGEST_ROW} bytes: is a quotation mark missing?",
                self.began
            )));
        }
        if !quoted
            && let Some(place) = DELIMITERS.iter().position(|delimiter| *delimiter == byte)
            && let (true, Some(count)) = (self.in_headings, self.counts.get_mut(place))
        {
            *count += 1;
        }
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) => State::Quoted,
            (State::QuoteInQuoted, b'"') => State::Quoted,
            (State::Start, b'"') => State::Quoted,
            // A byte order mark is no part of the first name.
            (State::Start, 0xef | 0xbb | 0xbf) if self.length <= 3 && self.in_headings => State::Start,
            (_, byte) if self.delimits(byte) => State::Start,
            _ => State::Plain,
        };
        Ok(())
    }

    fn end_row(&mut self) {
        if self.length > 0 {
            self.rows += u64::from(!self.in_headings);
            if self.in_headings {
                self.given = Some(self.delimiter());
            }
            self.in_headings = false;
        }
        (self.length, self.began, self.state) = (0, self.line, State::Start);
    }

    fn delimiter(&self) -> u8 {
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let found = DELIMITERS.iter().zip(self.counts).find(|(_, count)| *count == most && most > 0);
        self.given.unwrap_or(found.map_or(b',', |(delimiter, _)| *delimiter))
    }

    fn end(mut self) -> (u64, u8) {
        self.end_row();
        (self.rows, self.delimiter())
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
        assert_eq!(lines[0], 2);
        let (source, _) = read(b"a\tb\n1\t2", 5).unwrap();
        assert_eq!((source.delimiter, source.rows), (b'\t', 1));
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
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, 2);
        }

        #[test]
        fn rows_are_counted_as_the_reader_finds_them(text in "[a,;\r\n é]{1,60}") {
            if let Ok((source, rows)) = read(text.as_bytes(), 1) {
                let mut reader = ReaderBuilder::new()
                    .delimiter(source.delimiter)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                prop_assert_eq!(source.rows, reader.records().count() as u64);
                prop_assert!(rows.len() as u64 <= source.rows);
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
