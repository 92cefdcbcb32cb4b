//! The check that a client's packet is one that MQTT 3.1.1 allows. The codec behind it is lenient:
//! it reads what it needs and skips the rest. Numbers in brackets are of the standard.

use super::code::Code;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// Bytes of a remaining length at most.
const LENGTH_BYTES_MAX: usize = 4;

/// The urgency of a packet from a client that is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Nobody else has work by it, and its sender's connection depends on it: now and then.
    Ping,
    /// It answers what was sent to it: at once.
    Answer,
    /// Its turn ends the connection: after everything that was before it.
    Goodbye,
    /// It is work for others.
    Waits,
}

/// The urgency of a packet with this first byte.
pub(crate) fn urgency(first: u8) -> Urgency {
    match first >> 4 {
        PINGREQ => Urgency::Ping,
        PUBACK => Urgency::Answer,
        DISCONNECT => Urgency::Goodbye,
        _ => Urgency::Waits,
    }
}

/// Checks the packet at the start of the input, if it is complete.
///
/// # Errors
/// [`Code::Packet`], or [`Code::Size`] for a length that is none.
pub(crate) fn check(input: &[u8]) -> Result<(), Code> {
    let Some((kind, flags, body)) = split(input)? else {
        return Ok(());
    };
    let sound = match kind {
        CONNECT => flags == 0,
        PUBLISH => publish(flags, body).is_some(),
        PUBACK => flags == 0 && body.len() == 2,
        SUBSCRIBE => flags == 2 && subscribe(body, Filter::WithQos).is_some(),
        UNSUBSCRIBE => flags == 2 && subscribe(body, Filter::Bare).is_some(),
        PINGREQ | DISCONNECT => flags == 0 && body.is_empty(),
        // QoS 2 is not spoken, and the rest is said by servers only.
        _ => false,
    };
    match sound {
        true => Ok(()),
        false => Err(Code::Packet),
    }
}

/// Type, flags and body.
type Parts<'a> = (u8, u8, &'a [u8]);

/// The parts of a complete packet.
fn split(input: &[u8]) -> Result<Option<Parts<'_>>, Code> {
    let Some(Announced { begins, bytes }) = announced(input)? else {
        return Ok(None);
    };
    let body = input.get(begins..).and_then(|rest| rest.get(..bytes));
    let first = input.first().zip(body);
    Ok(first.map(|(first, body)| (first >> 4, first & 0x0f, body)))
}

/// [3.3]
fn publish(flags: u8, body: &[u8]) -> Option<()> {
    let (is_dup, qos) = (flags & 0b1000 != 0, flags >> 1 & 0b11);
    if qos == 3 || (qos == 0 && is_dup) {
        return None;
    }
    let mut rest = body;
    text(&mut rest)?;
    if qos > 0 {
        id(&mut rest)?;
    }
    Some(())
}

/// The parts of a list of filters.
#[derive(Clone, Copy)]
enum Filter {
    Bare,
    WithQos,
}

/// [3.8, 3.10]
fn subscribe(body: &[u8], filter: Filter) -> Option<()> {
    let mut rest = body;
    id(&mut rest)?;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        text(&mut rest)?;
        if matches!(filter, Filter::WithQos) && byte(&mut rest)? > 2 {
            return None;
        }
    }
    Some(())
}

/// A packet id, which is never 0 [2.3.1].
fn id(rest: &mut &[u8]) -> Option<u16> {
    let id = u16::from_be_bytes([byte(rest)?, byte(rest)?]);
    (id != 0).then_some(id)
}

pub(crate) fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

/// Bytes behind their length.
pub(crate) fn binary<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes([byte(rest)?, byte(rest)?]));
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

/// A text, which is UTF-8 without U+0000 [1.5.3].
pub(crate) fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let text = std::str::from_utf8(binary(rest)?).ok()?;
    (!text.contains('\0')).then_some(text)
}

/// Where the body of a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Its first byte, counted from the packet's.
    pub(crate) begins: usize,
    /// The length of the body.
    pub(crate) bytes: usize,
}

/// The body that the packet at the start of the input says it has; `None` until that is known.
///
/// # Errors
/// [`Code::Size`] for a length that goes on after its last digit [2.2.3]: whatever follows
/// would be waited for without end.
pub(crate) fn announced(input: &[u8]) -> Result<Option<Announced>, Code> {
    let digits = input.iter().skip(1).take(LENGTH_BYTES_MAX);
    let mut bytes = 0;
    for (index, digit) in digits.enumerate() {
        bytes |= usize::from(digit & 0x7f) << (7 * index);
        if digit & 0x80 == 0 {
            let begins = index + 2;
            return Ok(Some(Announced { begins, bytes }));
        }
    }
    match input.len() > LENGTH_BYTES_MAX {
        true => Err(Code::Size),
        false => Ok(None),
    }
}

/// The body of a complete CONNECT at the start of the input.
pub(crate) fn connect_body(input: &[u8]) -> Result<Option<&[u8]>, Code> {
    Ok(split(input)?.map(|(_, _, body)| body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_as_far_as_it_is_there_and_has_four_digits_at_most() {
        // bad-inputs row 9
        for (input, wanted) in [
            (&[][..], Ok(None)),
            (&[0x10], Ok(None)),
            (&[0x10, 0x80, 0x80, 0x80], Ok(None)),
            (&[0x10, 0x81, 0x80, 0x80, 0x01], Ok(Some((5, 0x20_0001)))),
            (&[0x10, 0x7f, 0xff], Ok(Some((2, 0x7f)))),
            (&[0x10, 0xff, 0xff, 0xff, 0xff], Err(Code::Size)),
            (&[0x10, 0x80, 0x80, 0x80, 0x80, 0x01], Err(Code::Size)),
        ] {
            let read = announced(input).map(|read| read.map(|read| (read.begins, read.bytes)));
            assert_eq!(read, wanted, "{input:02x?}");
        }
    }
}
