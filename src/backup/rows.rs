//! Rows in a file: gzip over the rows' cells one after the other. A cell is a byte that tells its kind (0 nothing,
//! 1 a number, 2 bytes), then the number (8 bytes) or the length (4 bytes) and the bytes; numbers are little-endian.
//! How many cells a row has stands in the manifest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use nakku_cluster::store::snapshot::Cell;
use sha2::{Digest, Sha256};

const NOTHING: u8 = 0;
const NUMBER: u8 = 1;
const BYTES: u8 = 2;
/// No column holds more (LONGBLOB could): a length beyond it is none.
const CELL_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// Writes a file of rows.
pub struct RowWriter {
    compressor: GzEncoder<Hashed>,
}

/// A file that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its length.
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl RowWriter {
    /// A new file, for its owner only.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let hashed = Hashed { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
        Ok(Self { compressor: GzEncoder::new(hashed, Compression::fast()) })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the disk is full, for instance.
    pub fn write(&mut self, row: &[Cell]) -> io::Result<()> {
        for cell in row {
            match cell {
                Cell::Null => self.compressor.write_all(&[NOTHING])?,
                Cell::Integer(number) => {
                    self.compressor.write_all(&[NUMBER])?;
                    self.compressor.write_all(&number.to_le_bytes())?;
                }
                Cell::Bytes(bytes) => {
                    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
                    self.compressor.write_all(&[BYTES])?;
                    self.compressor.write_all(&length.to_le_bytes())?;
                    self.compressor.write_all(bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the file; it is on disk when this returns.
    ///
    /// # Errors
    /// When the disk is full, for instance.
    pub fn finish(self) -> io::Result<Written> {
        let mut hashed = self.compressor.finish()?;
        hashed.file.flush()?;
        hashed.file.get_ref().sync_all()?;
        Ok(Written { bytes: hashed.bytes, sha256: hex(&hashed.hash.finalize()) })
    }
}

/// Reads a file of rows.
pub struct RowReader {
    decompressor: BufReader<MultiGzDecoder<BufReader<File>>>,
    columns: usize,
}

impl RowReader {
    /// Of rows with so many cells.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: &Path, columns: usize) -> io::Result<Self> {
        let decompressor = MultiGzDecoder::new(BufReader::new(File::open(path)?));
        Ok(Self { decompressor: BufReader::new(decompressor), columns })
    }

    /// The next row, nothing at the end.
    ///
    /// # Errors
    /// When the file ends within a row or holds something else.
    pub fn next(&mut self) -> io::Result<Option<Vec<Cell>>> {
        // A file that was cut fails here, or ends within a row.
        if self.decompressor.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut row = Vec::with_capacity(self.columns);
        while row.len() < self.columns {
            let mut kind = [0];
            self.decompressor.read_exact(&mut kind)?;
            row.push(match kind[0] {
                NOTHING => Cell::Null,
                NUMBER => {
                    let mut number = [0; 8];
                    self.decompressor.read_exact(&mut number)?;
                    Cell::Integer(i64::from_le_bytes(number))
                }
                BYTES => Cell::Bytes(self.bytes()?),
                other => return Err(wrong(format!("no cell begins with {other}"))),
            });
        }
        Ok(Some(row))
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.decompressor.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > CELL_BYTES_MAX {
            return Err(wrong(format!("a cell of {length} bytes")));
        }
        let mut bytes = Vec::new();
        let read = self.decompressor.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
        if read == length as usize { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

/// Length and hash of a file as it is.
///
/// # Errors
/// When it can't be read.
pub fn measure(path: &Path) -> io::Result<Written> {
    let mut file = BufReader::new(File::open(path)?);
    let mut hashed = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Written { bytes, sha256: hex(&hashed.finalize()) });
        }
        hashed.update(&buffer[..read]);
        bytes += read as u64;
    }
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wrong(message: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let path = std::env::temp_dir().join(format!("nakku-rows-{:016x}", rand::random::<u64>()));
        let row =
            |number: i64| vec![Cell::Integer(number), Cell::Null, Cell::Bytes(vec![0xFF; (number & 0x1FFF) as usize])];
        let numbers = [0, 1, -1, i64::MIN, i64::MAX, 8191];
        let mut writer = RowWriter::create(&path).expect("the folder for temporary files takes one");
        for number in numbers {
            writer.write(&row(number)).expect("it is written");
        }
        let written = writer.finish().expect("it ends");
        let measured = measure(&path).expect("it is there");
        assert_eq!((written.bytes, &written.sha256), (measured.bytes, &measured.sha256));
        assert!(RowWriter::create(&path).is_err(), "it is there already");
        let mut reader = RowReader::open(&path, 3).expect("it is there");
        for number in numbers {
            assert_eq!(reader.next().expect("a row"), Some(row(number)));
        }
        assert_eq!(reader.next().expect("the end"), None);
        let whole = std::fs::read(&path).expect("it is there");
        std::fs::write(&path, &whole[..whole.len() - 9]).expect("it can be cut");
        let mut reader = RowReader::open(&path, 3).expect("it is there");
        let all: io::Result<Vec<_>> = std::iter::from_fn(|| reader.next().transpose()).collect();
        assert!(all.is_err(), "it ends too early");
        std::fs::remove_file(&path).expect("it is there");
    }
}
