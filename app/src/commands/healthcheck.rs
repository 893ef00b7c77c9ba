//! `roadstead healthcheck`: whether this container's own slot is ready.

use crate::{config::Settings, server::slot::ask_holder};

pub async fn run(settings: &Settings) -> Result<(), String> {
    let slot = settings.slot.ok_or("ROADSTEAD_SLOT: say which slot to ask, blue or green")?;
    let answer = ask_holder(&settings.socket_dir, slot).await?;
    if answer.state != "ready" {
        return Err(format!("slot {slot} is {}", answer.state));
    }
    println!("slot {slot} is ready");
    Ok(())
}
