//! Gives a writer what a server sends. A connection that broke off but brought something is
//! followed by another one after a pause: a link that breaks every few KiB gets through. One
//! that brought nothing is given up: the machine backs off before the next.

use std::ops::Range;
use std::time::Duration;

use tokio::time::sleep;

use super::http::Answer;
use super::{ArtifactWriter, DownloadError, Fetch, Limits, writer};

/// Asked for before any length is known: a manifest with a few payloads, and their index.
pub(super) const START_BYTES: usize = 4 * 1024;
/// Content that a connection must bring to be worth another one: a multiple of what opening
/// it and asking moves.
const WORTH_BYTES: u64 = 4 * 1024;

/// Fetches the start; returns what of the content came with it.
pub(super) async fn receive_start(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
) -> Result<Vec<u8>, DownloadError> {
    let mut ahead = Vec::new();
    let size = fetch.artifact.size;
    while writer.manifest().is_none() {
        let from = writer.offset();
        let to = writer.start_end(START_BYTES as u64).min(size);
        if from >= to {
            return Err(writer::too_short(&fetch.artifact));
        }
        match take_start(fetch, writer, from..to, &mut ahead).await {
            Ok(()) => {}
            Err(error) if error.is_link() && writer.offset() >= from + WORTH_BYTES => {
                pause(fetch.limits).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ahead)
}

/// One connection for the start.
async fn take_start(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
    range: Range<u64>,
    ahead: &mut Vec<u8>,
) -> Result<(), DownloadError> {
    let size = fetch.artifact.size;
    let wanted = range.end;
    let mut answer = Answer::ask(fetch, range).await?;
    while writer.manifest().is_none() || ahead.len() < START_BYTES {
        let data = match answer.next().await {
            Ok(Some(data)) => data,
            Ok(None) if writer.manifest().is_none() && writer.offset() < wanted => {
                return Err(answer.ended(writer.offset(), size));
            }
            Err(error) if writer.manifest().is_none() => return Err(error),
            Ok(None) | Err(_) => break,
        };
        let rest = writer.push_start(&data);
        let rest = rest.map_err(|error| answer.judge(error, size))?;
        let room = START_BYTES - ahead.len();
        ahead.extend_from_slice(&rest[..rest.len().min(room)]);
    }
    Ok(())
}

/// Asks for what the writer lacks and gives it what comes. Wrong bytes are asked for once
/// more, from the beginning of their segment; `wrong` is where bytes were wrong before, if
/// any were.
pub(super) async fn receive(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
    mut wrong: Option<u64>,
    progress: &mut impl FnMut(u64),
) -> Result<(), DownloadError> {
    loop {
        let before = writer.offset();
        let Err(error) = take_content(fetch, writer, progress).await else {
            return Ok(());
        };
        if error.is_link() {
            writer.keep_part()?;
        }
        let again = match error.is_wrong_content() {
            true => {
                let begins = writer.proven();
                wrong.replace(begins).is_none_or(|before| begins > before)
            }
            false => error.is_link() && writer.offset() >= before + WORTH_BYTES,
        };
        if !again {
            return Err(error);
        }
        pause(fetch.limits).await;
    }
}

/// One connection for the content.
async fn take_content(
    fetch: &Fetch,
    writer: &mut ArtifactWriter,
    progress: &mut impl FnMut(u64),
) -> Result<(), DownloadError> {
    if writer.is_complete() {
        return Ok(());
    }
    let size = fetch.artifact.size;
    let before = writer.offset();
    let mut answer = Answer::ask(fetch, before..size).await?;
    if answer.file_bytes.is_some_and(|bytes| bytes > size) {
        tracing::warn!(
            artifact = %fetch.artifact.id(),
            "the server has more bytes than were signed; stopping at the signed length"
        );
    }
    writer.goes_on();
    let taken = take_all(&mut answer, writer, size, progress).await;
    if taken.is_err() && !answer.is_of(size) {
        // Perhaps a portal's page: it must not get into the segment.
        writer.back_to(before);
    }
    taken
}

async fn take_all(
    answer: &mut Answer,
    writer: &mut ArtifactWriter,
    size: u64,
    progress: &mut impl FnMut(u64),
) -> Result<(), DownloadError> {
    while !writer.is_complete() {
        let Some(data) = answer.next().await? else {
            return Err(answer.ended(writer.offset(), size));
        };
        let pushed = writer.push(&data);
        pushed.map_err(|error| answer.judge(error, size))?;
        progress(writer.offset());
    }
    Ok(())
}

/// Before a server is asked again: never twice a second, and not in step with other devices
/// behind the same broken link.
pub(super) async fn pause(limits: Limits) {
    let mut random = [0; 8];
    // Only jitter depends on it.
    let _fixed = getrandom::fill(&mut random);
    sleep(jittered(limits.pause, u64::from_le_bytes(random))).await;
}

/// Evenly distributed from `pause` to twice as much.
fn jittered(pause: Duration, random: u64) -> Duration {
    let most = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
    pause.saturating_add(Duration::from_millis(random % most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_never_shorter_than_it_says_and_never_twice_as_long() {
        let second = Duration::from_secs(1);
        for random in (0..1_000).map(|random| random * 7_919) {
            let pause = jittered(second, random);
            assert!((second..2 * second).contains(&pause), "{pause:?}");
        }
        assert_eq!(jittered(second, 999), Duration::from_millis(1_999));
        assert_eq!(jittered(Duration::ZERO, 5), Duration::ZERO);
        assert_eq!(Limits::default().pause, second);
    }
}
