//! `hoist device revoke` and `hoist device token rotate`: what a device comes in with.

use hoist_orchestrator_core::api::command::{DeviceRevoke, DeviceTokenRotate, Verb};
use hoist_server::failure::Failure;

use super::add::{Told, hand_over};
use super::{SHAPE, detail_of, shown_of};
use crate::args;
use crate::client::agent_file;
use crate::context::Context;

/// Shuts a device out. Nobody is asked first: a stolen device waits for no answer, and the way back
/// is open.
pub(super) async fn revoke(context: &Context, wish: args::DeviceRevoke) -> Result<u8, Failure> {
    let body = DeviceRevoke {
        device: wish.device,
        reason: wish.reason,
        dry_run: wish.dry_run,
    };
    let revoked = context.command(Verb::DeviceRevoke, &body).await?;
    let device = &body.device;
    let sentence = match body.dry_run {
        false => format!(
            "{device} revoked: its session ends and nothing that it has lets it in; it stays listed, \
             and `hoist device token rotate {device}` lets it in again with another token"
        ),
        true => format!("{device} would be revoked; nothing was changed"),
    };
    context.print_change(&SHAPE, &revoked, &sentence)
}

/// Gives a device another token; prints its agent.toml, or writes it.
pub(super) async fn rotate(context: &Context, wish: args::TokenRotate) -> Result<u8, Failure> {
    let args::TokenRotate {
        device,
        overlap,
        out,
        dry_run,
    } = wish;
    if let Some(path) = &out {
        agent_file::check(path, &device, &context.settings.data_dir.value)?;
    }
    // The answer to it does not say the type, which the file has to.
    let known = detail_of(shown_of(context, device.clone()).await?)?;
    let body = DeviceTokenRotate {
        device,
        overlap_secs: Some(overlap.as_secs()),
        dry_run,
    };
    let rotated = context.command(Verb::DeviceTokenRotate, &body).await?;
    let device = &body.device;
    if dry_run {
        let sentence = format!("{device} would get another token; nothing was changed");
        return context.print_change(&SHAPE, &rotated, &sentence);
    }
    let before = match (rotated["oldTokenUntil"].as_str(), &known.item.revoked) {
        (Some(until), _) => format!("the one before is good until {until}"),
        (None, Some(_)) => "it may come in again".to_owned(),
        (None, None) => "the one before is good no longer".to_owned(),
    };
    let told = Told {
        what: format!("{device} has another token; {before}"),
        again: format!("`hoist device add {device}`, as it was registered, prints it again"),
    };
    let device_type = Some(known.device_type.as_str()).filter(|of| !of.is_empty());
    hand_over(context, (out, device_type), &rotated, &told)
}
