//! Messages over a connection: a length (`u32`, little-endian), then the message in bincode.

use std::io::{self, Read, Write};

use bincode::Options as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A longer message is none of ours: it would only fill the memory.
const MOST_BYTES: u32 = 1 << 30;

/// Writes a message; does not flush.
pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let bytes = bincode::serialize(message).map_err(invalid)?;
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MOST_BYTES);
    let length = length.ok_or_else(|| invalid(format!("a message of {} bytes is too long", bytes.len())))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)
}

/// Reads a message; the end of the stream is an error.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MOST_BYTES {
        return Err(invalid(format!("a message of {length} bytes: this is not a process of the cluster")));
    }
    let mut bytes = Vec::new();
    // Grows as bytes come, not as the length promises.
    if from.take(u64::from(length)).read_to_end(&mut bytes)? < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // As `serialize` writes it, and nothing behind it: a message of another build is not to be taken for one of ours.
    bincode::DefaultOptions::new().with_fixint_encoding().deserialize(&bytes).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_one_by_one() {
        let mut bytes = Vec::new();
        write(&mut bytes, &"first").expect("written");
        write(&mut bytes, &(2u64, vec![1u8])).expect("written");
        let mut from = &bytes[..];
        assert_eq!(read::<String>(&mut from).expect("read"), "first");
        assert_eq!(read::<(u64, Vec<u8>)>(&mut from).expect("read"), (2, vec![1]));
        assert_eq!(read::<u8>(&mut from).expect_err("at the end").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let too_long = (MOST_BYTES + 1).to_le_bytes();
        assert_eq!(read::<u8>(&mut &too_long[..]).expect_err("too long").kind(), io::ErrorKind::InvalidData);
        let longer = [2, 0, 0, 0, 7, 7];
        assert_eq!(read::<u8>(&mut &longer[..]).expect_err("too much").kind(), io::ErrorKind::InvalidData);
        let cut = [9, 0, 0, 0, 1];
        assert_eq!(read::<u8>(&mut &cut[..]).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
        let other = [1, 0, 0, 0, 255];
        assert_eq!(read::<String>(&mut &other[..]).expect_err("no text").kind(), io::ErrorKind::InvalidData);
    }
}
