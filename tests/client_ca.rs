//! The CAs of others that let devices in are exchanged while the server runs.

use crate::enroll::{Factory, comes_in, is_online, server_of, with_certificate};
use crate::harness::eventually;

#[test]
fn a_ca_that_is_taken_out_of_its_file_shuts_its_devices_out_and_nobody_else() {
    let (stays, goes) = (Factory::new(), Factory::new());
    let server = server_of(&stays);
    let file = server.scratch().join("factory.pem");
    let both = format!("{}{}", stays.pem, goes.pem);
    let shown = |factory: &Factory, device: &str| {
        let (chain, key) = factory.make(device, 2090);
        with_certificate(&server, device, (&chain, &key))
    };
    let [one, other] = [(&stays, "pump-1"), (&goes, "pump-2")].map(|(of, id)| shown(of, id));
    let staying = server.agent(&one);
    comes_in(&server, "pump-1");
    let going = server.agent(&other);
    eventually("the agent of another CA to be refused", || {
        going
            .said()
            .contains("of no CA that it accepts")
            .then_some(())
    });
    // What is no certificate changes nothing, and is told.
    std::fs::write(&file, "nonsense").unwrap();
    eventually("the server to say so", || {
        let said = std::fs::read_to_string(server.scratch().join("server.log")).ok()?;
        said.contains("the CAs of before stay accepted")
            .then_some(())
    });
    std::fs::write(&file, both).unwrap();
    comes_in(&server, "pump-2");
    std::fs::write(&file, &stays.pem).unwrap();
    eventually("the device to be shut out", || {
        (!is_online(&server, "pump-2")).then_some(())
    });
    comes_in(&server, "pump-1");
    let connected = staying.said().matches("connected session").count();
    assert_eq!(
        connected,
        1,
        "who stays is not sent away: {}",
        staying.said()
    );
}
