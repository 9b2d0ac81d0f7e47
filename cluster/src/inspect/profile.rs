//! What a node's processor does for a time. The program takes the profile; it is handed out in parts, because it may be
//! larger than a message of a link.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::controls;
use super::question::{PROFILE_S_MAX, ProfileFormat};
use super::report::Report;

/// The largest profile that is handed out.
pub const PROFILE_BYTES_MAX: usize = 8 << 20;
/// Bytes of one part.
const PART_BYTES: usize = 256 << 10;
/// How long it can be asked for.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// There is one node in a process, and one profile of it at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static LAST: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    number: u64,
    profile: Vec<u8>,
}

/// Takes a profile and keeps it until its parts have been asked for.
pub(crate) async fn take(seconds: u32, format: ProfileFormat) -> Report {
    match taken(seconds, format).await {
        Ok(profile) => keep(profile),
        Err(reason) => Report::Refused { reason },
    }
}

async fn taken(seconds: u32, format: ProfileFormat) -> Result<Vec<u8>, String> {
    if seconds == 0 || seconds > PROFILE_S_MAX {
        return Err(format!("a profile is of 1 to {PROFILE_S_MAX} seconds"));
    }
    let _alone = ALONE.try_lock().map_err(|_| "a profile of this node is being taken; ask again when it is done")?;
    let profiling = controls::profile()?;
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let made = tokio::task::spawn_blocking(move || profiling.finish(format)).await;
    let profile = made.map_err(|error| format!("the profile could not be made: {error}"))??;
    if profile.len() > PROFILE_BYTES_MAX {
        let bytes = profile.len();
        return Err(format!(
            "the profile has {bytes} bytes, at most {PROFILE_BYTES_MAX} are handed out; take a shorter"
        ));
    }
    Ok(profile)
}

pub(super) fn keep(profile: Vec<u8>) -> Report {
    let (number, bytes) = (rand::random(), profile.len() as u64);
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept { number, profile });
    tokio::spawn(async move {
        tokio::time::sleep(KEPT_FOR).await;
        LAST.lock().unwrap_or_else(PoisonError::into_inner).take_if(|kept| kept.number == number);
    });
    Report::Profiled { number, bytes }
}

/// A part of the last profile; it is forgotten with the last part.
pub(crate) fn part(number: u64, from: u64) -> Report {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kept) = last.as_ref().filter(|kept| kept.number == number) else {
        return Report::Refused { reason: "this profile is kept no longer; take another".into() };
    };
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(kept.profile.len());
    let until = (from + PART_BYTES).min(kept.profile.len());
    let base64 = BASE64_STANDARD.encode(&kept.profile[from..until]);
    if until == kept.profile.len() {
        *last = None;
    }
    Report::ProfilePart { base64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_is_handed_out_in_parts_and_then_forgotten() {
        let profile: Vec<u8> = (0..PART_BYTES * 2 + 7).map(|number| (number % 251) as u8).collect();
        let Report::Profiled { number, bytes } = keep(profile.clone()) else { panic!("it is kept") };
        assert_eq!(bytes, profile.len() as u64);
        let mut whole = Vec::new();
        while (whole.len() as u64) < bytes {
            let Report::ProfilePart { base64 } = part(number, whole.len() as u64) else { panic!("a part") };
            assert!(base64.len() < 512 << 10, "it fits a message");
            whole.extend(BASE64_STANDARD.decode(base64).unwrap());
        }
        assert!(whole == profile);
        assert!(matches!(part(number, 0), Report::Refused { .. }));
    }

    #[tokio::test]
    async fn only_some_times_can_be_profiled_and_only_by_a_program_that_can() {
        for seconds in [0, PROFILE_S_MAX + 1] {
            assert!(matches!(take(seconds, ProfileFormat::Folded).await, Report::Refused { .. }));
        }
        assert!(matches!(take(1, ProfileFormat::Folded).await, Report::Refused { .. }), "a test has no such control");
    }
}
