//! The rows of a CSV file, one after another, and the line on which each begins.
//!
//! A row can be longer than a line (quotation marks keep lines' ends), lines can end in LF, CR LF or CR, even in one
//! file, and blank lines are no rows. People look for a row by its line, so it is counted here, byte by byte. A row
//! that does not end is refused before it fills the memory: it would be the rest of the file.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::Path,
};

use csv::StringRecord;
use csv_core::{ReadRecordResult, ReaderBuilder};

use super::source::{Place, unreadable};
use crate::error::{Error, Result};

/// The longest row, in bytes.
const LONGEST_ROW: u64 = 1 << 20;
/// Why a row may not end.
const MISSING: &str = "is a quotation mark missing?";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads rows. The first one holds the headings.
pub(super) struct Rows<R> {
    input: R,
    parser: csv_core::Reader,
    /// Where the next row begins, or a blank line before it.
    at: Place,
    /// Whether the headings come next.
    at_headings: bool,
    delimiter: u8,
    /// Where the byte before stands among quotation marks.
    quotes: Quotes,
    torn: bool,
    /// Whether the byte before was a carriage return.
    after_return: bool,
    /// The values of the row that was read last, one behind the other, and where each of them ends.
    values: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quotes {
    /// Before a value.
    Begin,
    /// In a value without them.
    None,
    /// Between them.
    Open,
    /// Behind one that closes, or is the first of two that stand for one.
    Closed,
}

impl Rows<BufReader<File>> {
    /// Opens a file at a place, or at its beginning.
    ///
    /// # Errors
    /// [`Error::BadInput`] when it cannot be read.
    pub(super) fn open(path: &Path, delimiter: u8, place: Option<Place>) -> Result<Self> {
        let unreadable = |error: io::Error| unreadable(path, &error);
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(unreadable)?);
        if let Some(place) = place {
            input.seek(SeekFrom::Start(place.byte)).map_err(unreadable)?;
        }
        Self::new(input, delimiter, place).map_err(unreadable)
    }
}

impl<R: BufRead> Rows<R> {
    fn new(mut input: R, delimiter: u8, place: Option<Place>) -> io::Result<Self> {
        let mut parser = ReaderBuilder::new().delimiter(delimiter).build();
        // The parser passes over a byte order mark before the first byte that it sees, which may stand in the middle of
        // the file. So it sees a blank line first.
        parser.read_record(b"\n", &mut [0], &mut [0]);
        let at = match place {
            Some(place) => place,
            None => {
                let marked = input.fill_buf()?.starts_with(BYTE_ORDER_MARK);
                let byte = if marked { BYTE_ORDER_MARK.len() } else { 0 };
                input.consume(byte);
                Place { byte: byte as u64, line: 1, row: 0 }
            }
        };
        let (values, ends) = (vec![0; 1 << 12], vec![0; 1 << 6]);
        let (at_headings, quotes) = (place.is_none(), Quotes::Begin);
        Ok(Self {
            input,
            parser,
            at,
            at_headings,
            delimiter,
            quotes,
            torn: false,
            after_return: false,
            values,
            ends,
            count: 0,
        })
    }

    /// Where the next row begins.
    pub(super) const fn place(&self) -> Place {
        self.at
    }

    /// Reads the next row and answers the line on which it begins; none at the end.
    ///
    /// # Errors
    /// [`Error::BadInput`] when the file cannot be read, or the row does not end.
    pub(super) fn next(&mut self) -> Result<Option<u64>> {
        let failed = |error: io::Error| Error::BadInput(format!("the file cannot be read: {error}"));
        while matches!(self.input.fill_buf().map_err(failed)?.first(), Some(b'\r' | b'\n')) {
            self.pass(1).map_err(failed)?;
        }
        let (began, mut filled) = (self.at, 0);
        (self.count, self.quotes, self.torn) = (0, Quotes::Begin, false);
        loop {
            let input = self.input.fill_buf().map_err(failed)?;
            if input.is_empty() && self.quotes == Quotes::Open {
                let message = format!("the row that begins on line {} does not end: {MISSING}", began.line);
                return Err(Error::BadInput(message));
            }
            let values = self.values.get_mut(filled..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, wrote, ended) = self.parser.read_record(input, values, ends);
            (filled, self.count) = (filled + wrote, self.count + ended);
            self.pass(read).map_err(failed)?;
            if self.at.byte - began.byte > LONGEST_ROW {
                let message =
                    format!("the row that begins on line {} is longer than {LONGEST_ROW} bytes: {MISSING}", began.line);
                return Err(Error::BadInput(message));
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.values.resize(self.values.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        // The line feed of CR LF belongs to the end of this row.
        if self.after_return && self.input.fill_buf().map_err(failed)?.first() == Some(&b'\n') {
            self.pass(1).map_err(failed)?;
        }
        // The headings are no row.
        self.at.row += u64::from(!std::mem::take(&mut self.at_headings));
        Ok(Some(began.line))
    }

    /// Whether a value of the row that was read last goes on behind the quotation mark that closes it. Then one is
    /// missing, and the row may have taken others into itself.
    pub(super) const fn is_torn(&self) -> bool {
        self.torn
    }

    /// How many values the row has that was read last.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The values of the row that was read last.
    ///
    /// # Errors
    /// [`Error::BadInput`] when they are not UTF-8, because the file was changed after it had been looked through.
    pub(super) fn cells(&self) -> Result<StringRecord> {
        let mut cells = StringRecord::with_capacity(self.values.len(), self.count);
        let mut start = 0;
        for end in self.ends.iter().take(self.count) {
            let value = self.values.get(start..*end).and_then(|value| std::str::from_utf8(value).ok());
            cells
                .push_field(value.ok_or_else(|| Error::BadInput("the file was changed while it was read".to_owned()))?);
            start = *end;
        }
        Ok(cells)
    }

    /// Consumes bytes that are in the buffer, counts their lines, and follows the quotation marks as the parser does.
    fn pass(&mut self, count: usize) -> io::Result<()> {
        for byte in self.input.fill_buf()?.iter().take(count) {
            self.at.line += u64::from(*byte == b'\r' || (*byte == b'\n' && !self.after_return));
            self.after_return = *byte == b'\r';
            self.quotes = match (self.quotes, *byte) {
                (Quotes::Begin | Quotes::Closed, b'"') | (Quotes::Open, 0..b'"' | b'#'..) => Quotes::Open,
                (Quotes::Open, b'"') => Quotes::Closed,
                (_, b'\r' | b'\n') => Quotes::Begin,
                (_, byte) if byte == self.delimiter => Quotes::Begin,
                (quotes, _) => {
                    self.torn |= quotes == Quotes::Closed;
                    Quotes::None
                }
            };
        }
        self.input.consume(count);
        self.at.byte += count as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = (u64, Vec<String>);

    fn rest<R: BufRead>(rows: &mut Rows<R>) -> Result<Vec<(Row, Place)>> {
        let mut found = Vec::new();
        while let Some(line) = rows.next()? {
            assert_ne!(rows.quotes, Quotes::Open, "the parser ends no row between quotation marks");
            let cells = rows.cells()?.iter().map(str::to_owned).collect();
            found.push(((line, cells), rows.place()));
        }
        Ok(found)
    }

    /// All rows, read through a buffer of a few bytes.
    fn read(text: &[u8], delimiter: u8, buffer: usize) -> Result<Vec<(Row, Place)>> {
        rest(&mut Rows::new(BufReader::with_capacity(buffer, text), delimiter, None).unwrap())
    }

    /// What the csv crate finds.
    fn model(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    /// Where each line of a text begins, whatever its lines end in.
    fn lines(text: &str) -> Vec<&str> {
        let mut lines = vec![text];
        for (at, _) in text.match_indices(['\r', '\n']) {
            if !text[at..].starts_with("\r\n") {
                lines.push(&text[at + 1..]);
            }
        }
        lines
    }

    #[test]
    fn rows_stand_on_the_lines_that_editors_show() {
        let text = "\u{feff}name,note\r\n\r\nA,\"two\r\nlines\"\r\n\n\nB,\"\n\"\n\u{feff}C,x\rD,";
        let found: Vec<_> = read(text.as_bytes(), b',', 64).unwrap().into_iter().map(|(row, _)| row).collect();
        let row = |line, cells: [&str; 2]| (line, cells.map(str::to_owned).to_vec());
        assert_eq!(
            found,
            [
                row(1, ["name", "note"]),
                row(3, ["A", "two\r\nlines"]),
                row(7, ["B", "\n"]),
                row(9, ["\u{feff}C", "x"]),
                row(10, ["D", ""]),
            ]
        );
    }

    #[test]
    fn rows_that_do_not_end_are_refused() {
        let text = |length: u64| format!("name\n{}\nB\n", "x".repeat(usize::try_from(length).unwrap()));
        assert_eq!(read(text(LONGEST_ROW - 1).as_bytes(), b',', 1 << 16).unwrap().len(), 3);
        let message = |text: &str| read(text.as_bytes(), b',', 1 << 16).unwrap_err().to_string();
        let long = message(&text(LONGEST_ROW));
        assert!(long.contains("begins on line 2 is longer"), "{long}");
        let open = message("name\nA\n\"B\nC\n");
        assert!(open.contains("begins on line 3 does not end"), "{open}");
    }

    #[test]
    fn a_value_that_goes_on_behind_its_quotation_mark_is_torn() {
        let text = "\"a\",\"\"\"b\"\"\",\"\"\n\"a\nb,\"c\"\n5\" pipe,x\n\"a\"\"\",\"\"b\r\"\"\"\"";
        let mut rows = Rows::new(text.as_bytes(), b',', None).unwrap();
        let mut torn = Vec::new();
        while let Some(line) = rows.next().unwrap() {
            torn.push((line, rows.is_torn()));
        }
        assert_eq!(torn, [(1, false), (2, true), (4, false), (5, true), (6, false)]);
    }

    proptest! {
        /// Whatever the text, the rows are those that the csv crate finds, and each stands on the line that is told.
        #[test]
        fn rows_are_those_of_the_csv_crate(text in "[ab,;\"\r\n é\u{feff}]{0,60}", buffer in 3..20usize) {
            // Where a quotation mark is open, what comes behind the text is still within it.
            let closed = model(&format!("{text}\nz\n")).pop() == Some(vec!["z".to_owned()]);
            let found = read(text.as_bytes(), b',', buffer);
            prop_assert_eq!(found.is_ok(), closed);
            let found = found.unwrap_or_default();
            let cells: Vec<_> = found.iter().map(|((_, cells), _)| cells.clone()).collect();
            prop_assert!(!closed || cells == model(&text), "{cells:?}");

            let lines = lines(&text);
            let mut before = 0;
            for ((line, cells), _) in &found {
                prop_assert!(*line > before, "a row begins on a line of its own");
                before = *line;
                // A byte order mark counts as one at the beginning of the file alone.
                let blank = if *line == 1 { "" } else { "\n" };
                let begin = lines[usize::try_from(*line).unwrap() - 1];
                prop_assert!(!begin.starts_with(['\r', '\n']), "a blank line is no row");
                prop_assert_eq!(cells, &model(&format!("{blank}{begin}"))[0]);
            }
        }

        /// Going on from where a row ends finds the same rest.
        #[test]
        fn reading_goes_on_anywhere(
            text in "[a,\"\r\n\u{feff}]{0,40}",
            delimiter in prop::sample::select(vec![b',', b'a']),
        ) {
            let all = read(text.as_bytes(), delimiter, 64).unwrap_or_default();
            for (index, (_, place)) in all.iter().enumerate() {
                let byte = usize::try_from(place.byte).unwrap();
                let mut rows = Rows::new(&text.as_bytes()[byte..], delimiter, Some(*place)).unwrap();
                prop_assert_eq!(&rest(&mut rows).unwrap()[..], &all[index + 1..]);
            }
        }

        /// What a program writes as CSV is read as it was.
        #[test]
        fn what_was_written_is_read(
            table in prop::collection::vec(prop::collection::vec("[a,;\"\r\n é]{0,6}", 2..4), 0..6),
            crlf in any::<bool>(),
        ) {
            let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().flexible(true).terminator(terminator).from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let cells: Vec<_> = read(&text, b',', 16).unwrap().into_iter().map(|((_, cells), _)| cells).collect();
            prop_assert_eq!(cells, table);
            let mut rows = Rows::new(&text[..], b',', None).unwrap();
            while rows.next().unwrap().is_some() {
                prop_assert!(!rows.is_torn());
            }
        }
    }
}
