//! Keeps one simulated device alive: connects it, carries what it says, loses its
//! connection now and then, and connects it again.

use std::time::Duration;

use hoist_device_client::session::ANNOUNCE_AFTER_MS;
use hoist_net::backoff::Backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use super::device::{Device, Send};
use crate::client::mqtt::{Broker, ConnectError, Connection, Event, Login, Lost};

/// First upper bound of a pause before connecting again; doubled up to the last.
const RECONNECT_FIRST: Duration = Duration::from_millis(200);
/// Last upper bound: a server that is back is found soon.
const RECONNECT_LAST: Duration = Duration::from_secs(5);
/// Sessions of devices may be silent this long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Why a session is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    Lost,
    Flapped,
    Stopped,
}

/// Runs the device until `stop`.
pub(super) async fn live(
    mut device: Device,
    broker: Broker,
    token: String,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LAST);
    loop {
        let login = Login {
            broker: broker.clone(),
            client_id: device.id().to_string(),
            user: device.id().to_string(),
            token: token.clone(),
            keep_alive: KEEP_ALIVE,
            will: Some(device.will()),
        };
        let opened = tokio::select! {
            opened = Connection::open(&login) => opened,
            () = stopped(&mut stop) => return,
        };
        match opened {
            Ok(mut connection) => {
                backoff.reset();
                match session(&mut device, &mut connection, &mut stop).await {
                    Over::Lost => {}
                    Over::Flapped => connection.cut(),
                    Over::Stopped => {
                        let _ = connection.publish(device.goodbye());
                        connection.close().await;
                        return;
                    }
                }
                device.disconnected();
            }
            Err(ConnectError::Refused { .. }) => {
                tracing::warn!(device = %device.id(), "the broker refuses this device");
                device.refused();
                backoff.exhaust();
            }
            Err(error) => {
                tracing::debug!(device = %device.id(), %error, "no connection");
                backoff.lengthen();
            }
        }
        let resume = Instant::now() + device.luck().below(backoff.pause());
        while Instant::now() < resume {
            tokio::select! {
                () = tokio::time::sleep_until(resume) => {}
                () = work_on(&mut device) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }
}

/// Carries messages both ways until the session is over.
async fn session(
    device: &mut Device,
    connection: &mut Connection,
    stop: &mut watch::Receiver<bool>,
) -> Over {
    device.connected();
    let flap = device.luck().flap().map(|time| Instant::now() + time);
    let spec_due = Instant::now() + Duration::from_millis(ANNOUNCE_AFTER_MS);
    loop {
        if send(device, connection).is_err() || device.leaves {
            return Over::Lost;
        }
        let announce = device.session.announces().then_some(spec_due);
        tokio::select! {
            event = connection.next() => match event {
                Ok(Event::Message { topic, payload }) => device.received(&topic, &payload),
                Ok(Event::Acknowledged) => device.acknowledged(),
                Ok(Event::Subscribed { granted: true, .. }) => {}
                Ok(Event::Subscribed { filter, .. }) => {
                    tracing::warn!(device = %device.id(), filter, "the broker refuses a subscription");
                    return Over::Lost;
                }
                Err(Lost) => return Over::Lost,
            },
            () = sleep_until(device.wake()) => device.woken(),
            () = sleep_until(announce) => device.announce(),
            () = sleep_until(flap) => return Over::Flapped,
            () = stopped(stop) => return Over::Stopped,
        }
    }
}

fn send(device: &mut Device, connection: &mut Connection) -> Result<(), Lost> {
    for send in device.take_sends() {
        match send {
            Send::Publish(message) => connection.publish(message)?,
            Send::Subscribe(filter) => connection.subscribe(&filter)?,
            Send::Unsubscribe(filter) => connection.unsubscribe(&filter)?,
        }
    }
    Ok(())
}

/// Does the work of the device, which goes on without a connection too.
async fn work_on(device: &mut Device) {
    sleep_until(device.wake()).await;
    device.woken();
    // Nobody hears it now; the next session says it again (W7).
    drop(device.take_sends());
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
