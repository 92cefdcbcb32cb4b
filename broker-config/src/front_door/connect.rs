//! Reads a CONNECT as MQTT 3.1.1 says [3.1]: what is malformed, what is refused with a code,
//! and a password of any bytes.

use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Connect, LastWill};

use super::frame::{binary, byte, text};

const USER: u8 = 0b1000_0000;
const PASSWORD: u8 = 0b0100_0000;
const WILL_RETAIN: u8 = 0b0010_0000;
const WILL_QOS: u8 = 0b0001_1000;
const WILL: u8 = 0b0000_0100;
const CLEAN: u8 = 0b0000_0010;
const RESERVED: u8 = 0b0000_0001;

/// Why a CONNECT is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is malformed: the connection is closed without an answer [3.1.4].
    Malformed,
    /// It names no client and wants its session kept [3.1.3.1].
    NoClientId,
    /// Its password is no text, so it is no token of ours.
    Password,
}

/// Reads the body of a CONNECT of level 4.
///
/// # Errors
/// [`Fault`].
pub(crate) fn read(body: &[u8]) -> Result<Connect, Fault> {
    let mut rest = body;
    let (connect, password) = parts(&mut rest).ok_or(Fault::Malformed)?;
    if !rest.is_empty() {
        return Err(Fault::Malformed);
    }
    if connect.client_id.is_empty() && !connect.clean_session {
        return Err(Fault::NoClientId);
    }
    with_password(connect, password)
}

fn with_password(mut connect: Connect, password: Option<&[u8]>) -> Result<Connect, Fault> {
    let Some(password) = password else {
        return Ok(connect);
    };
    let password = std::str::from_utf8(password).map_err(|_| Fault::Password)?;
    if let Some(login) = &mut connect.login {
        password.clone_into(&mut login.password);
    }
    Ok(connect)
}

fn parts<'a>(rest: &mut &'a [u8]) -> Option<(Connect, Option<&'a [u8]>)> {
    if text(rest)? != "MQTT" || byte(rest)? != 4 {
        return None;
    }
    let flags = byte(rest)?;
    let keep_alive = u16::from_be_bytes([byte(rest)?, byte(rest)?]);
    let wills = flags & WILL != 0;
    let sound = flags & RESERVED == 0
        && (wills || flags & (WILL_QOS | WILL_RETAIN) == 0)
        && flags & WILL_QOS != WILL_QOS
        && (flags & USER != 0 || flags & PASSWORD == 0);
    if !sound {
        return None;
    }
    let mut connect = Connect::new(text(rest)?);
    connect.keep_alive = keep_alive;
    connect.clean_session = flags & CLEAN != 0;
    if wills {
        connect.last_will = Some(will(flags, rest)?);
    }
    let mut password = None;
    if flags & USER != 0 {
        let user = text(rest)?;
        if flags & PASSWORD != 0 {
            password = Some(binary(rest)?);
        }
        connect.set_login(user, "");
    }
    Some((connect, password))
}

fn will(flags: u8, rest: &mut &[u8]) -> Option<LastWill> {
    let topic = text(rest)?;
    let message = binary(rest)?.to_vec();
    let qos = match flags & WILL_QOS {
        0 => QoS::AtMostOnce,
        0b0000_1000 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    Some(LastWill::new(topic, message, qos, flags & WILL_RETAIN != 0))
}
