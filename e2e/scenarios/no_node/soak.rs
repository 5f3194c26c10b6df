//! What is too long for every run: a journey for each boundary, and journeys with
//! random ones.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher, RandomState},
};

use super::{
    Bed,
    dying::dying,
    journey::journey,
    places::{self, Place},
};
use crate::support::setting;

#[tokio::test]
async fn each_boundary_alone_changes_nothing_of_the_end() {
    let bed = Bed::ready().await;
    let wanted = setting("SOAK_PLACES").unwrap_or_default();
    let wanted = |place: &Place| wanted.is_empty() || wanted.split(',').any(|begin| place.to_string().starts_with(begin));
    for (n, place) in places::all().into_iter().enumerate().filter(|(_, place)| wanted(place)) {
        eprintln!("{place}");
        bed.without_label().await;
        let left = dying(&bed, vec![place], true, journey(&bed, &format!("alone{n}"))).await;
        assert!(left.is_empty(), "the journey does not reach {left:?}");
    }
}

#[tokio::test]
async fn random_deaths_change_nothing_of_the_end() {
    let given = setting("SOAK_SEED").map(|seed| seed.parse().expect("SOAK_SEED is a number"));
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let rounds: u64 = setting("SOAK_ROUNDS").map_or(5, |rounds| rounds.parse().expect("SOAK_ROUNDS is a number"));
    let bed = Bed::ready().await;
    for round in 0..rounds {
        // Each round's own, so that one alone is repeated by its own seed.
        let seed = seed.wrapping_add(round);
        let places = some_places(&mut Random(seed));
        eprintln!("round {round}, SOAK_SEED={seed}: {}", places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        bed.without_label().await;
        // Several primitives at once.
        let names = ["left", "right"].map(|side| format!("{side}{round}"));
        let both = async {
            tokio::join!(journey(&bed, &names[0]), journey(&bed, &names[1]));
        };
        let left = dying(&bed, places, false, both).await;
        eprintln!("not reached so often: {left:?}");
    }
}

/// Half of the places, each the first to the fourth time that it is reached.
fn some_places(random: &mut Random) -> Vec<Place> {
    let all = places::all();
    let chosen: BTreeSet<_> = (0..all.len() / 2).map(|_| random.below(all.len())).collect();
    let times = |random: &mut Random| 1 + u64::try_from(random.below(4)).unwrap_or(0);
    chosen.into_iter().map(|index| Place { times: times(random), ..all[index].clone() }).collect()
}

/// `SplitMix64`: the same numbers from the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }
}
