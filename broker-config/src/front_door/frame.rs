//! Whether a client's packet is one that MQTT 3.1.1 allows. The codec behind it is lenient: it
//! reads what it needs and skips the rest. Numbers in brackets are of the standard.

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

/// Checks the packet at the start of the input, if it is complete; the codec says what is
/// wrong with its length.
///
/// # Errors
/// [`Code::Packet`].
pub(crate) fn check(input: &[u8]) -> Result<(), Code> {
    let Some((kind, flags, body)) = split(input) else {
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

/// Type, flags and body of a complete packet.
fn split(input: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (first, rest) = input.split_first()?;
    let length = announced(input)?;
    let last = rest.iter().position(|byte| byte & 0x80 == 0)?;
    let body = rest.get(last + 1..)?.get(..length)?;
    Some((first >> 4, first & 0x0f, body))
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

/// What a list of filters consists of.
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

/// How long the body of the packet at the start of the input is to be.
pub(crate) fn announced(input: &[u8]) -> Option<usize> {
    let digits = input.get(1..)?.iter().take(LENGTH_BYTES_MAX);
    let mut length = 0;
    for (index, digit) in digits.enumerate() {
        length |= usize::from(digit & 0x7f) << (7 * index);
        if digit & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

/// The body of a complete CONNECT at the start of the input.
pub(crate) fn connect_body(input: &[u8]) -> Option<&[u8]> {
    split(input).map(|(_, _, body)| body)
}
