//! The wire format of protobuf: numbered fields of numbers and bytes. Nothing is known of types here.

use super::Malformed;
use crate::schema::Shape;

/// A field as it stands in the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbered<'a> {
    pub(super) number: u32,
    pub(super) value: Wire<'a>,
}

/// Its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    /// A varint, or eight or four bytes.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// What an absent field stands for.
    pub(super) fn zero(shape: &Shape) -> Self {
        match shape {
            Shape::Int32 | Shape::Int64 | Shape::Bool | Shape::Float => Self::Number(0),
            _ => Self::Bytes(&[]),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Malformed::WireType),
        }
    }

    pub(super) fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err(Malformed::WireType),
        }
    }
}

/// The fields of a message, in their order.
pub(super) fn fields(mut bytes: &[u8]) -> Result<Vec<Numbered<'_>>, Malformed> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed::WireType)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Number(u64::from_le_bytes(array(&mut bytes)?)),
            2 => {
                let length =
                    usize::try_from(varint(&mut bytes)?).map_err(|_| Malformed::Truncated)?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(array(&mut bytes)?))),
            _ => return Err(Malformed::WireType),
        };
        fields.push(Numbered { number, value });
    }
    Ok(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    take(bytes, N)?.try_into().map_err(|_| Malformed::Truncated)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = array(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::WireType)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_told_apart() {
        let read = fields(&[0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i']).unwrap();
        assert_eq!(
            read,
            [
                Numbered {
                    number: 1,
                    value: Wire::Number(150)
                },
                Numbered {
                    number: 2,
                    value: Wire::Bytes(b"hi")
                }
            ]
        );
    }

    #[test]
    fn what_ends_too_early_or_never_is_malformed() {
        assert_eq!(fields(&[0x12, 0x05, b'h']), Err(Malformed::Truncated));
        assert_eq!(fields(&[0x08]), Err(Malformed::Truncated));
        assert_eq!(fields(&[0xff; 12]), Err(Malformed::WireType));
        assert_eq!(fields(&[0x0b]), Err(Malformed::WireType));
    }
}
