use super::*;

#[test]
fn a_signed_time_is_known_before_the_spec_that_shows_it_is_judged() {
    // W2
    let mut device = Device::member();
    let later_ms = NOW_MS + 40 * 86_400_000;
    let spec = GroupSpec {
        generation: Generation(later_ms),
        valid_for_s: 60,
        entries: vec![entry(1)],
        ..GroupSpec::default()
    };
    let outputs = device.hear_group("eu", spec);
    assert_eq!(topics(&outputs), [(true, Topic::Release(RELEASE))]);
    assert_eq!(device.clock.0, later_ms);
}
