//! Rooms whose makers are gone: each is ended, emptied and taken away, so that a maker
//! may die at any point.

use super::Spawner;
use crate::ports::error::PortError;

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Its name.
    pub id: String,
    /// What came back of its money, in the token's units; or why it is still there.
    pub brought: Result<u128, String>,
}

/// Takes away every room whose maker has said nothing for too long.
pub async fn sweep(spawner: &Spawner<'_>) -> Result<Vec<Swept>, PortError> {
    let rooms = spawner.persist(|| spawner.rooms.list()).await?;
    let now = spawner.clock.now();
    let mut swept = Vec::new();
    for room in rooms.into_iter().filter(|room| room.expires < now) {
        (spawner.tell)(&format!("room {} was left behind", room.id));
        let brought = spawner.clear(&room.id, &room.notes, None).await;
        swept.push(Swept { id: room.id, brought });
    }
    Ok(swept)
}
