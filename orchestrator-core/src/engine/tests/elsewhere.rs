use super::*;

#[test]
fn who_waits_elsewhere_is_named_in_the_answer() {
    let mut rig = Rig::listening();
    let (user, request) = ("alice".parse().unwrap(), "r1".parse().unwrap());
    let asked = arrival::Asked::new(user, request, "group-list", b"{}");
    let mut arrival = Arrival::of(Content::Command(Box::new(asked)));
    arrival.answer_to = Some(Waiter(7));
    rig.happens(Event::Arrived(vec![arrival]));
    rig.run();
    rig.place("respond to Some(Waiter(7))");
}
