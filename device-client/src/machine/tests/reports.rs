//! Reports of a device while all goes well (W5, W7).

use super::*;

#[test]
fn a_listed_deployment_is_installed_in_order_and_reported_in_five_statuses() {
    let world = World::new(2).online(spec(1, vec![entry(1)]));
    assert_eq!(world.result(), &FinalResult::Successful(Success::Installed));
    let kinds: Vec<_> = world
        .ran
        .iter()
        .map(|(artifact, kind, _)| (*artifact, *kind))
        .collect();
    let way_in = &ScriptKind::ALL[..4];
    let expected: Vec<_> = (0..2)
        .flat_map(|artifact| way_in.iter().map(move |kind| (artifact, *kind)))
        .collect();
    assert_eq!(kinds, expected);
    let steps: Vec<_> = world
        .said
        .iter()
        .map(|said| said.running.map(|r| r.step))
        .collect();
    assert_eq!(
        steps,
        [
            None,
            Some(Step::Downloading(0)),
            Some(Step::Downloaded),
            Some(Step::Installing),
            Some(Step::Installing),
            None
        ],
        "the attempt is counted at the install intent"
    );
    assert!(world.said.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

#[test]
fn an_acknowledged_outcome_is_not_sent_again_but_a_resync_gets_the_whole_ring_w5() {
    let mut world = World::new(1).online(spec(1, vec![entry(1)]));
    assert_eq!(world.said.last().unwrap().outcomes.len(), 1);
    world.acknowledge();
    world.tell(told_group(spec(2, vec![entry(2)])));
    assert_eq!(
        world.said.last().unwrap().outcomes.len(),
        1,
        "only the new one"
    );
    let called = GroupSpec {
        resync: Resync(9),
        ..spec(3, Vec::new())
    };
    world.tell(told_group(called));
    assert_eq!(world.said.last().unwrap().outcomes.len(), 2);
    assert_eq!(world.said.last().unwrap().ended, 2);
}

#[test]
fn progress_is_reported_every_ten_percent_w7() {
    let mut world = World::new(1);
    world.fetches_fail = vec![Retry::Later];
    world = world.online(spec(1, vec![entry(1)]));
    // The clock stands still after the first report, so only percents count.
    world.tell(Event::DownloadProgress(1));
    let before = world.said.len();
    for percent in 2..=100 {
        world.tell(Event::DownloadProgress(percent));
    }
    assert!(
        world.said.len() - before <= 10,
        "{}",
        world.said.len() - before
    );
}
